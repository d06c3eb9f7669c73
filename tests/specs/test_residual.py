"""specs/resnet.arch, resnet_cifar.arch and resnext.arch against figures and files that nobody here made."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import plain_arithmetic
import pytest
import torch
from published_figures import recomputed
from spec_weights import Weights, ordinary_weights

import archdsl
from archdsl.runtime.verify import opened, run_torch

TORCHVISION = Path(__file__).parents[3] / "shared/reference/torchvision"


def totals(name: str) -> tuple[int, int]:
    found = archdsl.load(name).report().totals
    return found.params, found.macs


# Totals ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "depth", "kind"),
    [
        ("plain18", 18, "none"), ("plain34", 34, "none"), ("resnet18", 18, "B"), ("resnet34", 34, "B"),
        ("resnet34_a", 34, "A"), ("resnet34_c", 34, "C"), ("resnet50", 50, "B"), ("resnet101", 101, "B"),
        ("resnet152", 152, "B"),
    ],
)  # fmt: skip
def test_resnets_are_what_table_1_adds_up_to(spec: str, depth: int, kind: str) -> None:
    assert totals(spec) == plain_arithmetic.resnet(depth, kind)


@pytest.mark.parametrize("depth", [20, 32, 44, 56, 110, 1202])
def test_cifar_networks_are_what_section_4_2_adds_up_to(depth: int) -> None:
    assert totals(f"resnet{depth}") == plain_arithmetic.resnet_cifar(depth)
    if depth < 110:
        assert totals(f"plain{depth}") == plain_arithmetic.resnet_cifar(depth)


@pytest.mark.parametrize(
    ("spec", "depth", "cardinality", "width"),
    [
        ("resnext50_32x4d", 50, 32, 4), ("resnext50_branches", 50, 32, 4), ("resnext50_concat", 50, 32, 4),
        ("resnext101_32x4d", 101, 32, 4), ("resnext101_64x4d", 101, 64, 4), ("resnet50_1x64d", 50, 1, 64),
    ],
)  # fmt: skip
def test_resnexts_are_what_table_1_adds_up_to(spec: str, depth: int, cardinality: int, width: int) -> None:
    assert totals(spec) == plain_arithmetic.resnext(depth, cardinality, width)


@pytest.mark.parametrize(
    ("entry", "spec"),
    [
        ("plain-18", "plain18"),
        ("ResNet-18", "resnet18"),
        ("ResNet-34", "resnet34"),
        ("ResNet-50", "resnet50"),
        ("ResNet-20 (CIFAR-10)", "resnet20"),
        ("ResNet-32 (CIFAR-10)", "resnet32"),
        ("ResNet-44 (CIFAR-10)", "resnet44"),
        ("ResNet-110 (CIFAR-10)", "resnet110"),
        ("ResNeXt-50 (32x4d)", "resnext50_32x4d"),
        ("ResNet-50 (ResNeXt baseline)", "resnet50_1x64d"),
        ("ResNeXt-101 (64x4d)", "resnext101_64x4d"),
    ],
)
def test_totals_are_those_of_the_reference(entry: str, spec: str) -> None:
    assert totals(spec) == recomputed(entry)


def test_the_kinds_of_shortcut_are_those_of_the_reference() -> None:
    assert totals("resnet34_a") == recomputed("ResNet-34", "option_A")
    assert totals("resnet34_c") == recomputed("ResNet-34", "option_C")


@pytest.mark.parametrize(
    ("spec", "theirs"),
    [("resnet18", "resnet18"), ("resnet50_1x64d", "resnet50"), ("resnext50_32x4d", "resnext50_32x4d")],
)
def test_totals_and_weights_are_torchvisions_where_it_has_the_same_network(spec: str, theirs: str) -> None:
    reference = json.loads((TORCHVISION / f"{theirs}.json").read_text())
    net = archdsl.load(spec)
    assert totals(spec) == (reference["params"], reference["macs"])
    shapes = sorted(weight.shape for layer in net.checked.layers for weight in layer.weights)
    assert shapes == sorted(tuple(shape) for _, shape in reference["state_dict"])


# Shortcuts ------------------------------------------------------------------------------------------------------------


def test_a_padded_shortcut_takes_every_other_pixel_and_adds_channels_of_zeros() -> None:
    """With its convolutions at zero, the first unit of a stage gives its shortcut alone."""
    net = archdsl.load("resnet20")
    weights = ordinary_weights(net)
    silent = {key: 0 * value if key.startswith("stage2.0.residual") else value for key, value in weights.items()}
    whole, tensors = opened(net.checked)
    image = np.random.default_rng(0).standard_normal((2, 3, 32, 32), dtype=np.float32)
    found = run_torch(whole, silent, [{"image": image}])[0]
    seen = {tensors[name]: value for name, value in found.items()}
    before, after = (seen[net.checked.stages[unit].result.name] for unit in ("stage1.2", "stage2.0"))
    assert np.array_equal(after[:, :16], before[:, :, ::2, ::2])
    assert not after[:, 16:].any()
    assert before.any()


# The three forms of ResNeXt -------------------------------------------------------------------------------------------


def as_form(form: str, weights: Weights, names: set[str], width: int) -> Weights:
    """Weights of the grouped form (c) under the names of form a or b: each path has its share of the channels."""
    found = {}
    for name in sorted(names):
        source, path = source_of(form, name)
        value = weights[source]
        if path is not None and value.ndim:
            wide = width * 2 ** (int(name[len("conv")]) - 2)  # a path is twice as wide in each next stage
            share = slice(path * wide, (path + 1) * wide)
            value = value[:, share] if name.endswith("conv3.weight") else value[share]
        found[name] = value
    return found


def source_of(form: str, name: str) -> tuple[str, int | None]:
    """The name of the grouped form that a name of form a or b is (a share of), and the path's number."""
    unit, branches, rest = name.partition(".residual.")
    if not branches:
        return name, None
    path, _, inside = rest.partition(".")
    if not path.startswith("path"):
        end = f"conv3.{rest}" if form == "a" else rest  # the normalization of the sum is that of the last layer
        return f"{unit}.residual.{end}", None
    if form == "a":
        inside = inside.removeprefix("0.").replace("conv3.weight", "conv3.conv.weight")
    return f"{unit}.residual.{inside}", int(path.removeprefix("path"))


def outputs(net: archdsl.Network, weights: Weights) -> np.ndarray:
    image = torch.randn(2, *net.checked.inputs[0].type.shape, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        found: np.ndarray = net.torch(weights).eval()(image).numpy()
    return found


def compare_forms(inputs: dict[str, tuple[int, ...]], **reduced: int) -> None:
    grouped = archdsl.load("resnext50_32x4d", inputs=inputs, **reduced)
    weights = ordinary_weights(grouped)
    expected = outputs(grouped, weights)
    assert expected.std() > 0.1
    for form in ("a", "b"):
        other = archdsl.load("resnext50_32x4d", inputs=inputs, form=form, **reduced)
        names = {f"{layer.path}.{weight.name}" for layer in other.checked.layers for weight in layer.weights}
        mapped = as_form(form, weights, names, int(grouped.parameters["width"]))
        difference = np.abs(outputs(other, mapped) - expected).max() / np.abs(expected).max()
        assert difference < 1e-5, form


def test_the_three_forms_of_resnext_are_the_same_function() -> None:
    compare_forms({"image": (3, 64, 64)}, cardinality=4)


@pytest.mark.slow
def test_the_three_forms_of_the_full_resnext_are_the_same_function() -> None:
    compare_forms({"image": (3, 224, 224)})
