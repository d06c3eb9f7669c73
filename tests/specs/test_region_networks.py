"""specs/detection, from R-CNN to panoptic FPN: torchvision's names and totals, and finds that both forms agree on."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from both_forms import TOLERANCE, declared
from published_figures import PUBLISHED, entries
from spec_weights import Weights, ordinary_weights

import archdsl
from archdsl.library import family, networks_in, shipped
from archdsl.runtime.verify import difference, draw_inputs, run_onnx, run_torch

FAMILIES = {
    f"detection/{name}"
    for name in ("rcnn", "spp_net", "fast_rcnn", "faster_rcnn", "fpn", "retinanet", "mask_rcnn", "panoptic_fpn")
}
#: factors and offsets of the batch normalization in a ResNet-50, which torchvision's detectors freeze
FROZEN = 53_120

Shapes = dict[str, tuple[int, ...]]


def keys_and_shapes(net: archdsl.Network, below: str = "") -> Shapes:
    layers = net.checked.layers
    found = {layer.key(weight): weight.shape for layer in layers for weight in layer.weights}
    return {key: shape for key, shape in found.items() if key.startswith(below)}


def count(shapes: Shapes) -> int:
    return sum(math.prod(shape) for shape in shapes.values())


def params(name: str) -> int:
    found: int = declared(f"detection/{name}").report().to_dict()["totals"]["params"]
    return found


def trunk() -> Shapes:
    """torchvision's ResNet-50 without its classifier, as the body of a detector."""
    reference = json.loads((PUBLISHED.parent / "torchvision/resnet50.json").read_text())
    return {f"backbone.body.{key}": tuple(shape) for key, shape in reference["state_dict"] if not key.startswith("fc.")}


def biased(paths: Shapes) -> Shapes:
    """A weight, and a bias of as many numbers as its first axis."""
    return {
        key: value
        for path, shape in paths.items()
        for key, value in ((f"{path}.weight", shape), (f"{path}.bias", shape[:1]))
    }


def pyramid(widths: list[int]) -> Shapes:
    inner: Shapes = {f"backbone.fpn.inner_blocks.{i}.0": (256, width, 1, 1) for i, width in enumerate(widths)}
    return inner | {f"backbone.fpn.layer_blocks.{i}.0": (256, 256, 3, 3) for i in range(len(widths))}


RPN: Shapes = {
    "rpn.head.conv.0.0": (256, 256, 3, 3), "rpn.head.cls_logits": (3, 256, 1, 1), "rpn.head.bbox_pred": (12, 256, 1, 1)
}  # fmt: skip
BOX_HEAD: Shapes = {
    "roi_heads.box_head.fc6": (1024, 256 * 7 * 7), "roi_heads.box_head.fc7": (1024, 1024),
    "roi_heads.box_predictor.cls_score": (91, 1024), "roi_heads.box_predictor.bbox_pred": (4 * 91, 1024),
}  # fmt: skip
MASK_HEAD: Shapes = {
    **{f"roi_heads.mask_head.{i}.0": (256, 256, 3, 3) for i in range(4)},
    "roi_heads.mask_predictor.conv5_mask": (256, 256, 2, 2),
    "roi_heads.mask_predictor.mask_fcn_logits": (91, 256, 1, 1),
}
RETINA_HEADS: Shapes = {
    **{f"head.classification_head.conv.{i}.0": (256, 256, 3, 3) for i in range(4)},
    "head.classification_head.cls_logits": (9 * 91, 256, 3, 3),
    **{f"head.regression_head.conv.{i}.0": (256, 256, 3, 3) for i in range(4)},
    "head.regression_head.bbox_reg": (9 * 4, 256, 3, 3),
}
COARSER: Shapes = {f"backbone.fpn.extra_blocks.{level}": (256, 256, 3, 3) for level in ("p6", "p7")}
STAGES = [256, 512, 1024, 2048]


def test_no_network_of_these_families_is_left_out() -> None:
    names = {name for spec in shipped() if family(spec) in FAMILIES for name in networks_in(spec)}
    assert names == {"rpn_head", "retinanet", *(name for name, _ in BOTH)}


@pytest.mark.parametrize(
    ("name", "paths"),
    [
        ("faster_rcnn_fpn", pyramid(STAGES) | RPN | BOX_HEAD),
        ("mask_rcnn", pyramid(STAGES) | RPN | BOX_HEAD | MASK_HEAD),
        ("retinanet_torchvision", pyramid(STAGES[1:]) | COARSER | RETINA_HEADS),
    ],
)
def test_weights_have_torchvisions_names_and_shapes(name: str, paths: Shapes) -> None:
    assert keys_and_shapes(declared(f"detection/{name}")) == trunk() | biased(paths)


def test_totals_are_torchvisions() -> None:
    printed = {name: entry["totals"].get("params") for name, entry in entries().items()}
    assert printed["RetinaNet-R50-FPN"].startswith(f"{params('retinanet_torchvision') - FROZEN:,} ")
    assert printed["Mask R-CNN R50-FPN"].startswith(f"{params('mask_rcnn') - FROZEN:,} ")
    assert params("faster_rcnn_fpn") - FROZEN == 41_755_286


def test_panoptic_fpn_is_mask_rcnn_and_a_semantic_branch() -> None:
    recomputed = entries()["Panoptic FPN R50"]["recomputed"]
    net = archdsl.load("detection/panoptic_fpn", things=91)
    assert net.report().to_dict()["totals"]["params"] - FROZEN == recomputed["sum"]
    assert count(keys_and_shapes(net, "semantic.")) == recomputed["semantic_branch"]


def test_the_heads_of_retinanet_are_counted_once_and_used_five_times() -> None:
    net = declared("detection/retinanet")
    heads = [layer for layer in net.checked.layers if layer.path.startswith("head.") and layer.weights]
    assert len(heads) == 5 * 10
    shapes = keys_and_shapes(net, "head.")
    assert len(shapes) == 2 * 10
    assert count(shapes) == 8 * 590_080 + 9 * (80 + 4) * (256 * 9 + 1)
    totals = net.report().to_dict()["totals"]
    positions = sum(height * width for height, width in ((100, 168), (50, 84), (25, 42), (13, 21), (7, 11)))
    backbone = archdsl.load("detection/fpn", low=3, extra="C5").report().to_dict()["totals"]
    assert totals["macs"] - backbone["macs"] == positions * 256 * 9 * (8 * 256 + 9 * (80 + 4))


def test_a_pyramid_of_fifty_bins_whatever_the_image() -> None:
    for size in (180, 224, 300):
        net = archdsl.load("detection/spp_net", inputs={"image": (3, size, size)})
        assert net.checked.stages["spp"].type.shape == (50 * 256,)


# Both forms -----------------------------------------------------------------------------------------------------------

FEW: dict[str, Any] = {"before": 100, "after": 30}
IMAGE: dict[str, Any] = {"image": (3, 160, 192)}
BOXES: dict[str, Any] = {"proposals": (20, 4)}
BOTH: list[tuple[str, dict[str, Any]]] = [
    ("rcnn", {}),
    ("spp_net", {}),
    ("spp_net_detection", {"inputs": IMAGE | BOXES}),
    ("fast_rcnn", {"inputs": IMAGE | BOXES}),
    ("faster_rcnn", {"inputs": IMAGE, **FEW}),
    ("fpn", {"inputs": IMAGE}),
    ("faster_rcnn_fpn", {"inputs": IMAGE, **FEW}),
    ("retinanet_torchvision", {"inputs": IMAGE}),
    ("mask_rcnn", {"inputs": IMAGE, **FEW}),
    ("mask_rcnn_on_boxes", {"inputs": IMAGE | BOXES}),
    ("panoptic_fpn", {"inputs": IMAGE, **FEW}),
]

#: how much smaller than ordinary weights those are whose results would be out of the ordinary: residual branches that
#: add up, scores that saturate (equal ones have no order) and boxes that grow beyond the image
SHARES = {
    ".bn3.weight": 0.3, "rpn.head.cls_logits.": 0.1, "rpn.head.bbox_pred.": 0.02, ".cls_logits.weight": 0.02,
    ".bbox_reg.weight": 0.03, "cls_score.weight": 0.25, "bbox_pred.weight": 0.1, "mask_fcn_logits.weight": 0.3,
}  # fmt: skip


def weights(net: archdsl.Network) -> Weights:
    """Ordinary ones, under which a detector finds things."""
    found = ordinary_weights(net)
    for key in found:
        share = next((share for part, share in SHARES.items() if part in key), 1.0)
        found[key] = (found[key] * np.asarray(share)).astype(found[key].dtype)
    return found


def inputs(net: archdsl.Network, batch: int) -> dict[str, np.ndarray]:
    """Boxes of all sizes that lie in the image."""
    drawn = draw_inputs(net.checked, batch, 0)
    height, width = drawn["image"].shape[2:] if "image" in drawn else (1, 1)
    for name in drawn.keys() & {"proposals", "proposal"}:
        corners = np.random.default_rng(batch).uniform(0, 1, (*drawn[name].shape[:2], 2, 2))
        corners = np.sort(corners, axis=2) * [width, height]
        drawn[name] = corners.reshape(drawn[name].shape).astype(np.float32)
    return drawn


@pytest.mark.slow
@pytest.mark.parametrize(("name", "settings"), BOTH)
def test_both_forms_agree(name: str, settings: dict[str, Any]) -> None:
    net = archdsl.load(f"detection/{name}", **settings)
    values = weights(net)
    feeds = [inputs(net, batch) for batch in (1, 2)]
    theirs, ours = run_torch(net.checked, values, feeds), run_onnx(net.checked, values, feeds, opset=17)
    for batch, first, second in zip((1, 2), theirs, ours, strict=True):
        assert "labels" not in first or (first["scores"][:, 0] > 0.05).all()  # something is found
        for output in net.checked.deployed_outputs:
            found = difference(batch, output.name, first[output.name], second[output.name])
            assert found.max_rel <= TOLERANCE, (output.name, found)
