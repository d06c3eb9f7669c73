"""specs/detection, Darknet, YOLO, SSD and DSSD: totals, the figures in print, and what each network is known for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from both_forms import TOLERANCE, assert_agreement, declared
from published_figures import entries, recomputed
from spec_weights import ordinary_weights

import archdsl
from archdsl.library import family, networks_in, shipped
from archdsl.runtime.verify import verify

FAMILIES = {f"detection/{name}" for name in ("darknet", "yolo_v1", "yolo_v2", "yolo_v3", "yolo_v4", "ssd", "dssd")}
#: network -> the reference's entry that recomputes it
SAME = {
    "yolo_v1": ("YOLOv1", "paper_figure3_version"), "yolo_v1_released": ("YOLOv1",),
    "darknet19": ("Darknet-19",), "darknet53": ("Darknet-53",),
    "yolo_v3_320": ("YOLOv3-320",), "yolo_v3": ("YOLOv3-416",), "yolo_v3_608": ("YOLOv3-608",),
    "yolo_v4_320": ("YOLOv4-320",), "yolo_v4_416": ("YOLOv4-416",), "yolo_v4": ("YOLOv4-608",),
    "ssd300": ("SSD300-VGG (VOC)",),
}  # fmt: skip
#: network -> billions of operations in print, two for each multiply-add
BILLIONS = {
    "darknet19": 5.58, "darknet19_256": 7.29, "darknet53": 18.57, "extraction": 8.52,
    "yolo_v2": 34.90, "yolo_v2_544": 59.68, "yolo_v2_coco": 62.94, "yolo_v2_tiny": 5.41,
    "yolo_v3_320": 38.97, "yolo_v3": 65.86, "yolo_v3_608": 140.69,
}  # fmt: skip


def totals(name: str) -> dict[str, Any]:
    return declared(f"detection/{name}").report().to_dict()["totals"]


def shapes(name: str) -> dict[str, tuple[int, ...]]:
    layers = declared(f"detection/{name}").checked.layers
    return {layer.key(weight): weight.shape for layer in layers for weight in layer.weights}


def outputs(name: str) -> list[tuple[int, ...]]:
    """At the sizes that the file is about."""
    shapes = [output.type.shape for output in declared(f"detection/{name}").checked.deployed_outputs]
    return [tuple(int(size) for size in shape) for shape in shapes]


@pytest.mark.parametrize("name", SAME)
def test_totals(name: str) -> None:
    found = totals(name)
    assert (found["params"], found["macs"]) == recomputed(*SAME[name])


@pytest.mark.parametrize("name", BILLIONS)
def test_billions_of_operations_as_darknet_counts_them(name: str) -> None:
    assert round(2 * totals(name)["macs"] / 1e9, 2) == BILLIONS[name]


@pytest.mark.parametrize(("entry", "name"), [("YOLOv3-416", "yolo_v3"), ("YOLOv4-608", "yolo_v4")])
def test_convolutions(entry: str, name: str) -> None:
    convolutions = [layer for layer in declared(f"detection/{name}").checked.layers if layer.op.name == "conv"]
    assert len(convolutions) == entries()[entry]["recomputed"]["convs"]


@pytest.mark.parametrize("side", [320, 416, 512, 608])
def test_yolo_v4_as_its_own_darknet_counts(side: int) -> None:
    """One operation for each element of a residual sum besides, and k^2 for each of a pool."""
    net = archdsl.load("detection/yolo_v4", side=side).checked
    besides = {
        "add": sum(layer.output_types[0].elements for layer in net.layers if layer.op.name == "add"),
        "maxpool": sum(
            layer.output_types[0].elements * layer.op.kernel**2  # type: ignore[attr-defined]
            for layer in net.layers
            if layer.op.name == "maxpool"
        ),
    }
    macs = sum(layer.op.macs(layer.input_types, layer.output_types) for layer in net.layers)
    found = int(2 * macs + sum(besides.values())) / 1e9
    printed = entries()[f"YOLOv4-{side}"]["totals"]["flops"]
    assert printed in (round(found, 1), np.floor(10 * found) / 10)


# YOLO -----------------------------------------------------------------------------------------------------------------


def test_the_weight_file_of_yolo_v3_has_62_million_numbers() -> None:
    """Its size is known, and its header is 20 bytes; it has means and variances, but no count of batches."""
    stored = [shape for key, shape in shapes("yolo_v3").items() if not key.endswith("num_batches_tracked")]
    assert 20 + 4 * sum(int(np.prod(shape)) for shape in stored) == 248_007_048


def test_yolo_v1_ends_in_seven_by_seven_cells() -> None:
    assert outputs("yolo_v1") == [(2 * 5 + 20, 7, 7)]
    assert outputs("yolo_v1_released") == [(3 * 5 + 20, 7, 7)]


def test_passthrough_of_yolo_v2() -> None:
    """Section 2: 26x26x512 becomes 13x13x2048; the later release has 64 filters before it."""
    assert shapes("yolo_v2")["conv3.conv.weight"][1] == 4 * 512 + 1024
    assert shapes("yolo_v2_coco")["conv3.conv.weight"][1] == 4 * 64 + 1024
    assert outputs("yolo_v2") == [(5 * 25, 13, 13)]


def test_yolo_v3_and_v4_predict_at_three_scales() -> None:
    assert outputs("yolo_v3") == [(255, 13, 13), (255, 26, 26), (255, 52, 52)]
    assert outputs("yolo_v4") == [(255, 76, 76), (255, 38, 38), (255, 19, 19)]


# SSD ------------------------------------------------------------------------------------------------------------------


def test_boxes_of_ssd() -> None:
    boxes = entries()["SSD300-VGG (VOC)"]["totals"]["boxes"]
    assert outputs("ssd300") == [(boxes, 4), (boxes, 21)]


def test_maps_of_ssd() -> None:
    stages = declared("detection/ssd300").checked.stages
    for row in entries()["SSD300-VGG (VOC)"]["rows"]:
        assert list(stages[row["layer"]].type.shape) == row["output"]


def test_conv4_3_of_ssd_is_scaled_to_twenty() -> None:
    assert (archdsl.load("detection/ssd300").initialize()["norm4_3.scale"] == 20).all()
    assert shapes("ssd300")["norm4_3.scale"] == (512, 1, 1)


@pytest.mark.parametrize(("name", "index"), [("dssd321", 0), ("dssd513", 1)])
def test_boxes_of_dssd(name: str, index: int) -> None:
    boxes = entries()["DSSD321 / DSSD513"]["totals"]["boxes"][index]
    assert outputs(name) == [(boxes, 4), (boxes, 21)]


# Both forms -----------------------------------------------------------------------------------------------------------

#: the light ones, and what each is loaded with
QUICK: list[tuple[str, dict[str, Any]]] = [("yolo_v2_tiny", {"side": 64}), ("darknet19", {"side": 32})]
SLOW: list[tuple[str, dict[str, Any]]] = [
    ("darknet53", {"side": 64}),
    ("extraction", {"side": 64}),
    ("yolo_v1", {}),
    ("yolo_v1_released", {}),
    *[(name, {"inputs": {"image": (3, 96, 96)}}) for name in ("yolo_v2", "yolo_v2_coco", "yolo_v3", "yolo_v4")],
    ("ssd300", {}),
]
#: where maps are multiplied with maps: under larger weights than their own, no softmax is left to compare
OWN_WEIGHTS = ["dssd321", "dssd513"]
#: the same networks on other images
TWICE = {"darknet19_256", "yolo_v2_544", "yolo_v3_320", "yolo_v3_608", "yolo_v4_320", "yolo_v4_416", "yolo_v4_512"}


def test_no_network_of_these_families_is_left_out() -> None:
    found = {name for spec in shipped() if family(spec) in FAMILIES for name in networks_in(spec)}
    assert found == {name for name, _ in (*QUICK, *SLOW)} | {*OWN_WEIGHTS} | TWICE


@pytest.mark.parametrize(("name", "given"), QUICK)
def test_both_forms_agree(name: str, given: dict[str, Any]) -> None:
    assert_agreement(archdsl.load(f"detection/{name}", **given))


@pytest.mark.slow
@pytest.mark.parametrize(("name", "given"), SLOW)
def test_both_forms_agree_on_a_small_image(name: str, given: dict[str, Any]) -> None:
    assert_agreement(archdsl.load(f"detection/{name}", **given))


@pytest.mark.slow
@pytest.mark.parametrize("name", OWN_WEIGHTS)
def test_both_forms_agree_with_their_own_weights(name: str) -> None:
    net = declared(f"detection/{name}")
    assert verify(net.checked, net.initialize(), batches=(1,), tolerance=TOLERANCE).agrees


@pytest.mark.slow
def test_one_file_of_yolo_v3_serves_all_sizes() -> None:
    net = declared("detection/yolo_v3")
    result = verify(net.checked, ordinary_weights(net), batches=(1,), tolerance=TOLERANCE)
    assert result.agrees
    assert len({difference.sizes for difference in result.differences}) > 1
