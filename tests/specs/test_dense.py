"""specs/densenet.arch and densenet_cifar.arch against figures that nobody here made."""

from __future__ import annotations

import json
from pathlib import Path

import plain_arithmetic
import pytest
from published_figures import recomputed

import archdsl

TORCHVISION = Path(__file__).parents[3] / "shared/reference/torchvision"


def totals(name: str) -> tuple[int, int]:
    found = archdsl.load(name).report().totals
    return found.params, found.macs


@pytest.mark.parametrize(
    ("depth", "blocks", "growth"),
    [
        (121, (6, 12, 24, 16), 32), (169, (6, 12, 32, 32), 32), (201, (6, 12, 48, 32), 32),
        (161, (6, 12, 36, 24), 48), (264, (6, 12, 64, 48), 32),
    ],
)  # fmt: skip
def test_imagenet_networks_are_what_table_1_adds_up_to(depth: int, blocks: tuple[int, ...], growth: int) -> None:
    expected = plain_arithmetic.densenet(blocks, growth, 2 * growth, 1000, bottleneck=True, keep=0.5, grid=56)
    assert totals(f"densenet{depth}") == expected
    if depth != 264:
        assert totals(f"densenet{depth}") == recomputed(f"DenseNet-{depth} (k={growth})")


@pytest.mark.parametrize(("depth", "growth"), [(40, 12), (100, 12), (100, 24)])
def test_cifar_networks_are_what_section_3_adds_up_to(depth: int, growth: int) -> None:
    blocks = ((depth - 4) // 3,) * 3
    expected = plain_arithmetic.densenet(blocks, growth, 16, 10, bottleneck=False, keep=1, grid=32)
    assert totals(f"densenet_{depth}_{growth}") == expected


@pytest.mark.parametrize(("depth", "growth"), [(100, 12), (250, 24), (190, 40), (40, 36), (40, 48), (40, 60)])
def test_compressed_cifar_networks_are_what_section_3_adds_up_to(depth: int, growth: int) -> None:
    blocks = ((depth - 4) // 6,) * 3
    expected = plain_arithmetic.densenet(blocks, growth, 2 * growth, 10, bottleneck=True, keep=0.5, grid=32)
    assert totals(f"densenet_bc_{depth}_{growth}") == expected


@pytest.mark.parametrize(
    ("entry", "spec"),
    [
        ("DenseNet L=40 k=12 (CIFAR-10)", "densenet_40_12"),
        ("DenseNet L=100 k=12 (CIFAR-10)", "densenet_100_12"),
        ("DenseNet-BC L=100 k=12 (CIFAR-10)", "densenet_bc_100_12"),
        ("DenseNet-BC L=250 k=24 (CIFAR-10)", "densenet_bc_250_24"),
        ("DenseNet-BC L=40 k=36 (CIFAR-10)", "densenet_bc_40_36"),
        ("DenseNet-BC L=40 k=48 (CIFAR-10)", "densenet_bc_40_48"),
        ("DenseNet-BC L=40 k=60 (CIFAR-10)", "densenet_bc_40_60"),
    ],
)
def test_totals_are_those_of_the_reference(entry: str, spec: str) -> None:
    assert totals(spec) == recomputed(entry)


def test_densenet121_has_the_totals_and_weights_of_torchvisions() -> None:
    reference = json.loads((TORCHVISION / "densenet121.json").read_text())
    net = archdsl.load("densenet121")
    assert totals("densenet121") == (reference["params"], reference["macs"])
    shapes = [weight.shape for layer in net.checked.layers for weight in layer.weights]
    assert shapes == [tuple(shape) for _, shape in reference["state_dict"]]


def test_dropout_follows_every_convolution_but_the_first() -> None:
    for bc, convolutions in ((False, 39), (True, 39)):
        net = archdsl.load("densenet_40_12", drop=0.2, bc=bc)
        ops = [layer.op.name for layer in net.checked.layers]
        assert ops.count("conv") == convolutions
        assert ops.count("dropout") == convolutions - 1
    assert "dropout" not in [layer.op.name for layer in archdsl.load("densenet_40_12").checked.layers]
