"""Boxes, regions, and layers without shared weights: shapes, counts and what is refused."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ops_authority import PROPERTY, call, counts, images, inferred, refusal, sizes, typed, weights_of

from archdsl.ops.base import TensorType

IMAGE, BOXES = typed(3, 8, 9), typed(5, 4)


@PROPERTY
@given(images(channels=4), st.data(), st.integers(1, 3), st.booleans())
def test_a_local_convolution_is_a_convolution_with_a_kernel_for_each_region(
    value: TensorType, data: st.DataObject, share: int, bias: bool
) -> None:
    rank = len(value.spatial)
    given = {"out": 3, "kernel": data.draw(sizes(rank, 1, 4)), "stride": data.draw(sizes(rank, 1, 3)), "bias": bias}
    op, conv = call("local_conv", share=share, **given), call("conv", **given)
    shape = inferred(conv, value)
    assert inferred(op, value) == shape
    if shape is None:
        return
    regions = tuple(math.ceil(size / share) for size in shape[0][1:])
    shared = weights_of(conv, value)
    assert weights_of(op, value) == {name: ((*regions, *s), *rest) for name, (s, *rest) in shared.items()}
    assert counts(op, value) == counts(conv, value)


def test_deepid_shares_in_squares_of_four() -> None:
    """Sun et al., 2014: the third layer's 60 maps of 6 x 4 come of 3 x 2 kernels of 40 x 3 x 3."""
    weights = weights_of(call("local_conv", out=60, kernel=3, share=2), typed(40, 8, 6))
    assert weights["weight"][0] == (3, 2, 60, 40, 3, 3)


@pytest.mark.parametrize(
    ("name", "arguments", "inputs", "shape"),
    [
        ("roi_align", {"out": 7}, (IMAGE, BOXES), (5, 3, 7, 7)),
        ("roi_pool", {"out": (2, 3)}, (IMAGE, BOXES), (5, 3, 2, 3)),
        ("nms", {}, (BOXES, typed(5)), (100,)),
        ("nms", {"max": 7}, (BOXES, typed(20, 5)), (20, 7)),
        ("take", {}, (typed(9, 4, 2), TensorType((6,), "int64")), (6, 4, 2)),
        ("anchors", {"widths": (1, 2), "heights": (3, 4), "stride": 8}, (IMAGE,), (144, 4)),
        ("box_decode", {}, (BOXES, BOXES), (5, 4)),
    ],
)
def test_shapes(
    name: str, arguments: dict[str, object], inputs: tuple[TensorType, ...], shape: tuple[int, ...]
) -> None:
    assert inferred(call(name, **arguments), *inputs) == [shape]


@pytest.mark.parametrize(
    ("name", "arguments", "inputs", "code"),
    [
        ("roi_align", {"out": 7}, (typed(3, 8), BOXES), "rank-mismatch"),
        ("roi_align", {"out": 7}, (IMAGE, typed(4)), "operand-shape"),
        ("roi_pool", {"out": 7}, (IMAGE, typed(5, 5)), "operand-shape"),
        ("roi_pool", {"out": (1, 2, 3)}, (IMAGE, BOXES), "argument-length"),
        ("nms", {}, (BOXES, typed(6)), "operand-shape"),
        ("nms", {}, (typed(5, 3), typed(5)), "operand-shape"),
        ("nms", {"iou": 1.5}, (BOXES, typed(5)), "argument-value"),
        ("take", {}, (BOXES, typed(3)), "operand-shape"),
        ("take", {}, (TensorType((5, 4), "int64"), TensorType((3,), "int64")), "dtype-mismatch"),
        ("anchors", {"widths": (1, 2), "heights": 3, "stride": 8}, (IMAGE,), "argument-length"),
        ("anchors", {"widths": 1, "heights": 3, "stride": 0}, (IMAGE,), "argument-value"),
        ("anchors", {"widths": 1, "heights": 3, "stride": 8}, (BOXES,), "rank-mismatch"),
        ("box_decode", {}, (BOXES, typed(6, 4)), "operand-shape"),
        ("box_decode", {"scales": (1, 2)}, (BOXES, BOXES), "argument-length"),
    ],
)
def test_refusals(name: str, arguments: dict[str, object], inputs: tuple[TensorType, ...], code: str) -> None:
    assert refusal(call(name, **arguments), *inputs).code == code


@pytest.mark.parametrize(
    "arguments", [{"kernel": "global"}, {"kernel": 3, "pad": (1, 0)}, {"kernel": 3, "pad": 1, "dilation": 2}]
)
def test_indices_count_in_the_input_alone(arguments: dict[str, object]) -> None:
    failure = refusal(call("maxpool", indices=True, **arguments), typed(2, 9))
    assert (failure.code, failure.argument) == ("argument-value", "indices")
