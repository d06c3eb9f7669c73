"""Ops that arrange elements, against the torch functions that do the same."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ops_authority import (
    PROPERTY,
    call,
    counts,
    images,
    in_torch,
    inferred,
    padded,
    paddings,
    pairs_of,
    refusal,
    samples,
    sizes,
    typed,
)
from torch import nn

from archdsl.ops.base import GLOBAL, Op, TensorType, Window


@PROPERTY
@given(samples())
def test_flatten_is_torchs(value: TensorType) -> None:
    assert inferred(call("flatten"), value) == in_torch(nn.Flatten(), value)


@PROPERTY
@given(samples(), st.lists(st.sampled_from([-2, -1, -1, 0, 1, 2, 3, 4, 6, 8, 12]), min_size=1, max_size=4))
def test_reshape_agrees_with_torch_on_shapes_and_refusals(value: TensorType, shape: list[int]) -> None:
    assert inferred(call("reshape", shape=tuple(shape)), value) == in_torch(lambda x: x.reshape(1, *shape), value)


@PROPERTY
@given(samples(), st.data())
def test_reshape_to_what_fits(value: TensorType, data: st.DataObject) -> None:
    shape = data.draw(st.permutations(value.shape))
    if data.draw(st.booleans()):
        shape[data.draw(st.integers(0, len(shape) - 1))] = -1
    expected = in_torch(lambda x: x.reshape(1, *shape), value)
    assert inferred(call("reshape", shape=tuple(shape)), value) == expected
    assert expected is not None


@PROPERTY
@given(samples(), st.data())
def test_transpose_agrees_with_torch_on_shapes_and_refusals(value: TensorType, data: st.DataObject) -> None:
    rank = len(value.shape)
    orders = st.permutations(range(1, rank + 1)) | st.lists(st.integers(0, rank + 1), max_size=rank + 1)
    order = data.draw(orders)
    assert inferred(call("transpose", order=tuple(order)), value) == in_torch(lambda x: x.permute(0, *order), value)


@PROPERTY
@given(images(high=6), st.data(), st.sampled_from(["zero", "reflect", "replicate"]), st.sampled_from([0.0, 1.5]))
def test_pad_agrees_with_torch_on_shapes_and_refusals(
    value: TensorType, data: st.DataObject, mode: str, border: float
) -> None:
    amount = data.draw(paddings(len(value.spatial), 6))
    torchs = padded(pairs_of(amount, len(value.spatial)), {"zero": "constant"}.get(mode, mode), border)
    expected = None if mode != "zero" and border else in_torch(torchs, value)
    assert inferred(call("pad", amount=amount, mode=mode, value=border), value) == expected


@PROPERTY
@given(samples(high=9), st.data())
def test_slice_is_torchs_where_it_lies_inside(value: TensorType, data: st.DataObject) -> None:
    """Stricter: torch cuts bounds off silently, and gives empty tensors."""
    axis = data.draw(st.integers(1, len(value.shape)))
    axis = data.draw(st.sampled_from([axis, axis - len(value.shape) - 1]))
    size = value.shape[axis - 1 if axis > 0 else axis]
    start, step = data.draw(st.integers(-size - 2, size + 2)), data.draw(st.integers(1, 3))
    end = data.draw(st.none() | st.integers(-size - 2, size + 2))
    (expected,) = in_torch(lambda x: x.movedim(axis, -1)[..., start:end:step].movedim(-1, axis), value)
    outside = abs(start) > size or abs(end or 0) > size
    empty = 0 in expected
    given = inferred(call("slice", start=start, end=end, axis=axis, step=step), value)
    assert given == (None if outside or empty else [expected])


@PROPERTY
@given(samples(high=12), st.data())
def test_split_into_sizes_is_torchs_refusals_too(value: TensorType, data: st.DataObject) -> None:
    axis = data.draw(st.integers(1, len(value.shape)))
    parts = data.draw(st.lists(st.integers(1, 6), min_size=1, max_size=4))
    if data.draw(st.booleans()):
        parts = [1] * (value.shape[axis - 1] - 1) + [1]
    expected = in_torch(lambda x: x.split(parts, axis), value)
    assert inferred(call("split", parts=tuple(parts), axis=axis), value) == expected


@PROPERTY
@given(samples(high=12), st.data())
def test_split_into_equal_parts_is_torchs_chunk_where_it_goes_up(value: TensorType, data: st.DataObject) -> None:
    """Stricter: torch makes the last chunk smaller, or leaves chunks out."""
    axis, parts = data.draw(st.integers(1, len(value.shape))), data.draw(st.integers(1, 6))
    expected = None if value.shape[axis - 1] % parts else in_torch(lambda x: x.chunk(parts, axis), value)
    op = call("split", parts=parts, axis=axis)
    assert inferred(op, value) == expected
    if expected is not None:
        assert op.results((value,)) == tuple(str(index) for index in range(parts))


@PROPERTY
@given(images(high=6), st.data(), st.sampled_from(["nearest", "bilinear"]), st.booleans())
def test_upsample_agrees_with_torch_on_shapes_and_refusals(
    value: TensorType, data: st.DataObject, mode: str, align_corners: bool
) -> None:
    scale = data.draw(sizes(len(value.spatial), 1, 4))
    module = nn.Upsample(scale_factor=scale, mode=mode, align_corners=align_corners or None)
    op = call("upsample", scale=scale, mode=mode, align_corners=align_corners)
    assert inferred(op, value) == in_torch(module, value)


@PROPERTY
@given(samples(), st.sampled_from([-0.1, 0, 0.4, 1, 1.01]))
def test_dropout_agrees_with_torch_refusals_too(value: TensorType, rate: float) -> None:
    assert inferred(call("dropout", rate=rate), value) == in_torch(lambda x: nn.Dropout(rate)(x), value)


@pytest.mark.parametrize(
    ("op", "operations"),
    [
        (call("dropout"), 0),
        (call("flatten"), 0),
        (call("reshape", shape=(-1,)), 0),
        (call("transpose", order=(3, 1, 2)), 0),
        (call("pad", amount=1), 0),
        (call("slice", end=1), 0),
        (call("split", parts=2), 0),
        (call("upsample", scale=3), 0),
        (call("upsample", scale=(3, 1), mode="bilinear"), 7 * 2 * 9 * 4),
        (call("scale"), 0),
        (call("scale", factor=0.17), 24),
        (call("scale", offset=-1), 24),
        (call("scale", factor=-1, offset=1), 48),
    ],
)
def test_operations(op: Op, operations: int) -> None:
    assert counts(op, typed(2, 3, 4)) == (0, operations)


def test_what_is_only_another_view_of_the_memory() -> None:
    names = ("dropout", "flatten", "reshape", "transpose", "pad", "slice", "split", "upsample", "scale")
    arguments = {"reshape": {"shape": (1,)}, "transpose": {"order": (1,)}, "pad": {"amount": 1}, "split": {"parts": 1},
                 "upsample": {"scale": 2}}  # fmt: skip
    views = [name for name in names if call(name, **arguments.get(name, {})).view]
    assert views == ["dropout", "flatten", "reshape"]


@pytest.mark.parametrize(
    ("op", "value", "texts"),
    [
        (call("pad", amount=(1, 0, 2, 0)), typed(3, 8, 9), ("8 + 1 + 2 = 11", "9 + 0 + 0 = 9")),
        (call("slice", start=2, end=-1, axis=2), typed(3, 8, 9), ("7 - 2 = 5", "9")),
        (call("slice", axis=-1, step=2), typed(3, 8, 9), ("8", "ceil((9 - 0) / 2) = 5")),
        (call("slice", end=2), typed(3, 8, 9), ()),
        (call("split", parts=(3, 5), axis=2), typed(3, 8, 9), ("8 = 3 + 5", "9")),
        (call("split", parts=3), typed(3, 8, 9), ()),
        (call("upsample", scale=(2, 3)), typed(3, 8, 9), ("8 * 2 = 16", "9 * 3 = 27")),
        (call("reshape", shape=(9, 24)), typed(3, 8, 9), ()),
    ],
)
def test_arithmetic(op: Op, value: TensorType, texts: tuple[str, ...]) -> None:
    assert op.arithmetic((value,)) == texts


def test_windows_of_what_moves_positions() -> None:
    value = (typed(3, 8, 9),)
    assert call("pad", amount=(1, 0, 2, 0)).window(value) == Window((1, 1), (1, 1), (1, 1), ((1, 2), (0, 0)))
    assert call("slice", start=2, end=7, axis=2, step=2).window(value) == Window(
        (1, 1), (2, 1), (1, 1), ((-2, -1), (0, 0))
    )
    assert call("upsample", scale=(2, 1), mode="bilinear").window(value) == Window(
        (2, 1), (Fraction(1, 2), 1), (1, 1), ((0, 0), (0, 0))
    )


@pytest.mark.parametrize(
    ("op", "value", "mixes"),
    [
        (call("flatten"), typed(8), False),
        (call("flatten"), typed(8, 2, 2), True),
        (call("reshape", shape=(2, 4, 6, 6)), typed(8, 6, 6), False),  # channel shuffle and back
        (call("transpose", order=(2, 1, 3, 4)), typed(2, 4, 6, 6), False),
        (call("reshape", shape=(8, 6, 6)), typed(2, 4, 6, 6), False),
        (call("reshape", shape=(8, 36)), typed(8, 6, 6), True),
        (call("reshape", shape=(48, 6)), typed(8, 6, 6), True),
        (call("reshape", shape=(1, 8, 6)), typed(8, 6), True),  # channels become a height, and back
        (call("reshape", shape=(8, 6)), typed(1, 8, 6), True),
        (call("transpose", order=(1, 3, 2)), typed(8, 6, 6), True),
    ],
)
def test_windows_of_what_keeps_elements(op: Op, value: TensorType, mixes: bool) -> None:
    assert op.window((value,)) is (GLOBAL if mixes else None)


def test_reshape_to_another_number_of_elements() -> None:
    error = refusal(call("reshape", shape=(100, 250)), typed(512, 7, 7))
    assert (error.code, error.argument) == ("reshape-size", "shape")
    assert error.message == "`[N, 512, 7, 7]` has 25088 elements, `[100, 250]` needs 25000"
    assert error.notes == ("512*7*7 = 25088", "100*250 = 25000")


def test_reshape_to_a_size_that_does_not_divide() -> None:
    error = refusal(call("reshape", shape=(-1, 100)), typed(512, 7, 7))
    assert error.message == "`[N, 512, 7, 7]` has 25088 elements, `[-1, 100]` needs a multiple of 100"


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((-1, 2, -1), "[-1, 2, -1] leaves 2 sizes open; one -1 can be filled in"),
        ((2, 0), "a size is a positive number, or -1 for what is left, not 0"),
        ((), "`shape` is empty"),
    ],
)
def test_shapes_that_mean_nothing(shape: tuple[int, ...], message: str) -> None:
    error = refusal(call("reshape", shape=shape), typed(4, 4))
    assert (error.code, error.argument, error.message) == ("argument-value", "shape", message)


@pytest.mark.parametrize(
    ("order", "repair"), [((0, 2, 3, 1), ("[2, 3, 1]",)), ((1, 2, 0), ("[2, 3, 1]",)), ((1, 2, 2), ()), ((2, 1), ())]
)
def test_an_order_that_is_none(order: tuple[int, ...], repair: tuple[str, ...]) -> None:
    """Torch's habit of naming the batch, or counting without it, is recognized."""
    error = refusal(call("transpose", order=order), typed(8, 6, 5))
    assert (error.code, error.argument, error.replacements) == ("permutation", "order", repair)
    assert error.message == f"{list(order)} is not an order of the axes 1 to 3 of [N, 8, 6, 5]"
    assert error.notes == ("1 is channels, 2 is height, 3 is width",)


def test_a_reflection_longer_than_its_image() -> None:
    error = refusal(call("pad", amount=(0, 4), mode="reflect"), typed(3, 9, 4))
    assert (error.code, error.argument, error.label) == ("pad-too-large", "amount", "4 >= 4")
    assert error.message == "a reflection of 4 needs a width above 4, but [N, 3, 9, 4] has 4"


@pytest.mark.parametrize(
    ("arguments", "argument", "message"),
    [
        ({"amount": "same"}, "amount", "`same` depends on a kernel, which `pad` does not have"),
        ({"amount": (1, 2, 3)}, "amount", "`amount` has 3 numbers for 2 spatial axes"),
        (
            {"amount": 1, "mode": "reflect", "value": 1.0},
            "value",
            "`value` means nothing where the border is `reflect`",
        ),
    ],
)
def test_borders_that_mean_nothing(arguments: dict[str, object], argument: str, message: str) -> None:
    error = refusal(call("pad", **arguments), typed(3, 8, 8))
    assert (error.argument, error.message) == (argument, message)


def test_a_slice_outside() -> None:
    error = refusal(call("slice", start=0, end=300), typed(256, 7, 7))
    assert (error.code, error.argument, error.replacements) == ("slice-range", "end", ("256",))
    assert error.message == "`end` = 300 lies outside the 256 channels of [N, 256, 7, 7]"


def test_an_empty_slice() -> None:
    error = refusal(call("slice", start=-4, end=2, axis=2), typed(3, 6, 6))
    assert (error.code, error.argument) == ("slice-range", "start")
    assert error.message == "nothing is left of the height of [N, 3, 6, 6] from -4 to 2"
    assert error.notes == ("of 6, -4 to 2 is 2 to 2",)


def test_parts_that_do_not_go_up() -> None:
    error = refusal(call("split", parts=3), typed(64, 7, 7))
    assert (error.code, error.argument) == ("split-size", "parts")
    assert error.message == "64 channels cannot be split into 3 equal parts"
    assert error.notes == ("of [N, 64, 7, 7], 64 = 21 * 3 + 1",)
    error = refusal(call("split", parts=(32, 30)), typed(64, 7, 7))
    assert error.message == "parts of [32, 30] do not add up to the 64 channels of [N, 64, 7, 7]"
    assert error.notes == ("32 + 30 = 62",)


@pytest.mark.parametrize("name", ["slice", "split"])
def test_the_batch_is_not_cut(name: str) -> None:
    error = refusal(call(name, axis=0, **({"parts": 2} if name == "split" else {})), typed(4, 4))
    assert (error.code, error.argument) == ("axis-range", "axis")


def test_upsampling_that_means_nothing() -> None:
    error = refusal(call("upsample", scale=2, align_corners=True), typed(3, 4, 4))
    assert error.message == "`align_corners` means nothing where the mode is `nearest`"
    error = refusal(call("upsample", scale=2, mode="bilinear"), typed(3, 4))
    assert error.message == "`bilinear` needs height and width, but the input is [N, 3, 4]"
    error = refusal(call("upsample", scale=(2, 2, 2)), typed(3, 4, 4))
    assert (error.code, error.argument) == ("argument-length", "scale")


def test_a_share_above_one_is_not_dropped() -> None:
    error = refusal(call("dropout", rate=50), typed(4))
    assert error.message == "`rate` is the share of elements that are dropped, between 0 and 1, not 50"


def test_reshape_as_needs_as_many_elements() -> None:
    value = TensorType((24,))
    assert inferred(call("reshape_as"), value, TensorType((2, 3, 4))) == [(2, 3, 4)]
    assert inferred(call("reshape_as"), value, TensorType((2, 3, 5))) is None
