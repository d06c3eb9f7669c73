"""Resizing, cropping and exchanging channels for space, against the torch functions that do the same."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ops_authority import PROPERTY, call, counts, images, in_torch, inferred, refusal, sizes, typed
from torch import nn
from torch.nn import functional

from archdsl.ops.base import TensorType


@PROPERTY
@given(images(channels=3), st.data())
def test_resize_by_factors_is_interpolate(value: TensorType, data: st.DataObject) -> None:
    factor = st.floats(0.3, 3).map(lambda number: round(number, 2))
    scale = data.draw(factor | st.tuples(*[factor] * len(value.spatial)))
    expected = in_torch(lambda x: functional.interpolate(x, scale_factor=scale), value)
    empty = expected is not None and 0 in expected[0]
    assert inferred(call("resize", scale=scale), value) == (None if empty else expected)


@PROPERTY
@given(images(channels=3), st.data(), st.sampled_from(["nearest", "bilinear", "bicubic"]), st.booleans())
def test_resize_to_sizes_agrees_on_shapes_and_refusals(
    value: TensorType, data: st.DataObject, mode: str, corners: bool
) -> None:
    size = data.draw(sizes(len(value.spatial), 1, 20))
    given_corners = corners if mode != "nearest" or corners else None
    expected = in_torch(lambda x: functional.interpolate(x, size, mode=mode, align_corners=given_corners), value)
    assert inferred(call("resize", size=size, mode=mode, align_corners=corners), value) == expected


@PROPERTY
@given(images(channels=3), st.data())
def test_a_tensor_says_the_size(value: TensorType, data: st.DataObject) -> None:
    other = typed(9, *data.draw(st.tuples(*[st.integers(1, 9)] * len(value.spatial))))
    assert inferred(call("resize"), value, other) == [(value.shape[0], *other.spatial)]
    fits = all(new <= old for new, old in zip(other.spatial, value.spatial, strict=True))
    assert inferred(call("crop"), value, other) == ([(value.shape[0], *other.spatial)] if fits else None)


@PROPERTY
@given(st.tuples(*[st.integers(1, 24)] * 3).map(lambda shape: typed(*shape)), st.integers(1, 4))
def test_blocks_are_torchs(value: TensorType, block: int) -> None:
    shuffled, unshuffled = (in_torch(kind(block), value) for kind in (nn.PixelShuffle, nn.PixelUnshuffle))
    assert inferred(call("pixel_shuffle", block=block), value) == shuffled
    assert inferred(call("depth_to_space", block=block), value) == shuffled
    assert inferred(call("pixel_unshuffle", block=block), value) == unshuffled
    assert inferred(call("space_to_depth", block=block), value) == unshuffled


@pytest.mark.parametrize(("mode", "operations"), [("nearest", 0), ("bilinear", 7), ("bicubic", 31)])
def test_sampling_costs_its_products_and_sums(mode: str, operations: int) -> None:
    assert counts(call("resize", size=5, mode=mode), typed(2, 9, 9)) == (0, operations * 2 * 5 * 5)


@pytest.mark.parametrize(
    ("name", "arguments", "inputs", "code"),
    [
        ("resize", {}, (typed(3, 8, 8),), "argument-value"),
        ("resize", {"size": 4, "scale": 2}, (typed(3, 8, 8),), "argument-value"),
        ("resize", {"size": 4}, (typed(3, 8, 8), typed(3, 4, 4)), "argument-value"),
        ("resize", {}, (typed(3, 8, 8), typed(3, 4)), "operand-shape"),
        ("resize", {"scale": 0.1}, (typed(3, 8, 8),), "argument-value"),
        ("resize", {"scale": (1, 2, 3)}, (typed(3, 8, 8),), "argument-length"),
        ("resize", {"size": 4, "mode": "bicubic"}, (typed(3, 8),), "rank-mismatch"),
        ("crop", {}, (typed(3, 8, 8),), "argument-value"),
        ("crop", {"size": 4}, (typed(3, 8, 8), typed(3, 4, 4)), "argument-value"),
        ("crop", {}, (typed(3, 8, 8), typed(3, 4)), "operand-shape"),
        ("crop", {"size": 9}, (typed(3, 8, 8),), "slice-range"),
        ("crop", {"size": 4, "offset": 5}, (typed(3, 8, 8),), "slice-range"),
        ("crop", {"size": 4}, (typed(3),), "rank-mismatch"),
        ("pixel_shuffle", {"block": 2}, (typed(3, 8, 8),), "groups-divide"),
        ("space_to_depth", {"block": 3}, (typed(3, 9, 8),), "groups-divide"),
        ("depth_to_space", {"block": 2}, (typed(4, 8),), "rank-mismatch"),
        ("dropout2d", {}, (typed(8),), "rank-mismatch"),
        ("drop_path", {"rate": 1}, (typed(8),), "argument-value"),
    ],
)
def test_refusals(name: str, arguments: dict[str, object], inputs: tuple[TensorType, ...], code: str) -> None:
    assert refusal(call(name, **arguments), *inputs).code == code


def test_the_middle_leaves_an_odd_rest_at_the_end() -> None:
    assert call("crop", size=4).bounds((typed(1, 7, 8),)) == ((1, 5), (2, 6))
