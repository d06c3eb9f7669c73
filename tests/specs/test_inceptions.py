"""The specs of the Inception networks after GoogLeNet against figures that nobody here made."""

from __future__ import annotations

import json
from pathlib import Path

import plain_arithmetic
import pytest
from published_figures import entries, recomputed

import archdsl

TORCHVISION = Path(__file__).parents[3] / "shared/reference/torchvision"


def totals(name: str, **parameters: object) -> tuple[int, int]:
    found = archdsl.load(name, **parameters).report().totals
    return found.params, found.macs


def grid(name: str, path: str) -> tuple[int, ...]:
    shape: tuple[int, ...] = archdsl.load(name).checked.stages[path].type.shape
    return shape


def test_batch_normalized_inception_in_all_its_readings() -> None:
    assert totals("inception_bn") == recomputed("BN-Inception")
    assert totals("inception_bn", projection_4c_4d=96) == recomputed("BN-Inception", "alt_pool96")
    assert totals("inception_bn", separable=False) == recomputed("BN-Inception", "plain_conv1")


def test_every_row_of_the_batch_normalized_table_comes_out_as_the_reference_has_it() -> None:
    for row in entries()["BN-Inception"]["rows"]:
        module = row["layer"].split()[0]
        if module[0].isdigit():
            assert list(grid("inception_bn", f"inception_{module}")) == row["exact_output"]


def test_inception_v2_has_the_stem_and_the_grids_of_table_1() -> None:
    net = archdsl.load("inception_v2")
    stem = [layer for layer in net.checked.layers if layer.path in {f"conv{i}.conv" for i in range(1, 7)}]
    macs = sum(layer.op.macs(layer.input_types, layer.output_types) for layer in stem)
    assert macs == entries()["Inception-v2 (1512.00567 Table 1)"]["recomputed"]["stem_macs_of_table"]
    convolutions = ("conv1", "conv2", "conv3", "pool3", "conv4", "conv5", "conv6")
    stages = (*convolutions, "reduction_35", "reduction_17", "inception_8")
    inputs = [row["input"] for row in entries()["Inception-v2 (1512.00567 Table 1)"]["rows"]]
    assert [list(grid("inception_v2", stage)) for stage in stages] == inputs[1:11]


def test_inception_v3_is_the_released_network() -> None:
    assert totals("inception_v3") == recomputed("Inception-v3")
    whole = archdsl.load("inception_v3").report().to_dict()["training_totals"]
    assert (whole["params"], whole["macs"]) == recomputed("Inception-v3", "with_aux")
    reference = json.loads((TORCHVISION / "inception_v3.json").read_text())
    shapes = sorted(w.shape for layer in archdsl.load("inception_v3").checked.layers for w in layer.weights)
    assert shapes == sorted(tuple(shape) for _, shape in reference["state_dict"])


def test_inception_v4_and_the_residual_networks_are_what_their_figures_add_up_to() -> None:
    assert totals("inception_v4") == plain_arithmetic.inception_v4()
    assert totals("inception_resnet_v1") == plain_arithmetic.inception_resnet_v1()
    assert totals("inception_resnet_v2") == recomputed("Inception-ResNet-v2")


@pytest.mark.parametrize(
    ("entry", "spec"),
    [
        ("Inception-v4", "inception_v4"),
        ("Inception-ResNet-v1", "inception_resnet_v1"),
        ("Inception-ResNet-v2", "inception_resnet_v2"),
    ],
)
def test_grids_of_the_networks_of_2016(entry: str, spec: str) -> None:
    stages = ("stem", "a", "reduction_a", "b", "reduction_b", "c")
    printed = [row["output"] for row in entries()[entry]["rows"]]
    assert [list(grid(spec, stage)) for stage in stages] == printed[:6]


def test_residuals_are_scaled_before_they_are_added() -> None:
    net = archdsl.load("inception_resnet_v2")
    scales = {layer.path: layer.op.factor for layer in net.checked.layers if layer.op.name == "scale"}
    added = [layer.inputs for layer in net.checked.layers if layer.op.name == "add"]
    assert len(added) == len(scales) == 20
    assert all(inputs[1].path in scales for inputs in added)
    assert set(scales.values()) == {0.17, 0.1, 0.2}
