"""Convolutions against `torch.nn.Conv1d`, `2d`, `3d`, torch's flop counter, and loops that count."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from ops_authority import (
    PROPERTY,
    call,
    counts,
    images,
    in_torch,
    inferred,
    layer,
    padded,
    paddings,
    pairs_of,
    refusal,
    sizes,
    state_of,
    typed,
    weights_of,
)
from torch.utils.flop_counter import FlopCounterMode

from archdsl.ops.base import Op, TensorType


@st.composite
def convolutions(draw: st.DrawFn) -> tuple[TensorType, dict[str, object]]:
    value = draw(images())
    rank = len(value.spatial)
    return value, {
        "out": draw(st.integers(1, 8)),
        "kernel": draw(sizes(rank, 1, 5)),
        "stride": draw(sizes(rank, 1, 4)),
        "pad": draw(paddings(rank, 3)),
        "dilation": draw(sizes(rank, 1, 3)),
        "groups": draw(st.integers(1, 4)),
        "bias": draw(st.booleans()),
    }


def torch_conv(value: TensorType, given: dict[str, object]) -> torch.nn.Module:
    keywords = {name: given[name] for name in ("stride", "dilation", "groups", "bias")}
    return layer("Conv", value, value.shape[0], given["out"], given["kernel"], **keywords)


@PROPERTY
@given(convolutions())
def test_conv_agrees_with_torch_on_shapes_and_refusals(case: tuple[TensorType, dict[str, object]]) -> None:
    value, given = case
    pairs = pairs_of(given["pad"], len(value.spatial))
    expected = in_torch(lambda x: torch_conv(value, given)(padded(pairs)(x)), value)
    assert inferred(call("conv", **given), value) == expected


@PROPERTY
@given(convolutions())
def test_conv_weights_are_those_of_torch(case: tuple[TensorType, dict[str, object]]) -> None:
    value, given = case
    op = call("conv", **given)
    if inferred(op, value) is not None:
        assert weights_of(op, value) == state_of(torch_conv(value, given))


@PROPERTY
@given(convolutions(), st.integers(1, 3))
def test_depthwise_is_torch_with_as_many_groups_as_channels(
    case: tuple[TensorType, dict[str, object]], multiplier: int
) -> None:
    value, given = case
    given |= {"out": value.shape[0] * multiplier, "groups": value.shape[0]}
    pairs = pairs_of(given["pad"], len(value.spatial))
    op = call("depthwise", multiplier=multiplier, **{k: v for k, v in given.items() if k not in ("out", "groups")})
    assert inferred(op, value) == in_torch(lambda x: torch_conv(value, given)(padded(pairs)(x)), value)
    if inferred(op, value) is not None:
        assert weights_of(op, value) == state_of(torch_conv(value, given))


@PROPERTY
@given(images(), st.integers(1, 7), st.integers(1, 4))
def test_same_at_stride_1_is_torchs_own_same(value: TensorType, kernel: int, dilation: int) -> None:
    module = layer("Conv", value, value.shape[0], 4, kernel, dilation=dilation, padding="same")
    assert inferred(call("conv", out=4, kernel=kernel, dilation=dilation, pad="same"), value) == in_torch(module, value)


@PROPERTY
@given(images(), st.data())
def test_same_tf_gives_the_input_over_the_stride_rounded_up(value: TensorType, data: st.DataObject) -> None:
    """TensorFlow's documented rule for `SAME`: ceil(input / stride), whatever kernel and dilation."""
    rank = len(value.spatial)
    kernel, stride, dilation = (data.draw(sizes(rank, 1, 5)) for _ in range(3))
    steps = (stride,) * rank if isinstance(stride, int) else stride
    expected = (3, *(math.ceil(size / step) for size, step in zip(value.spatial, steps, strict=True)))
    op = call("conv", out=3, kernel=kernel, stride=stride, dilation=dilation, pad="same_tf")
    assert inferred(op, value) == [expected]


def test_same_tf_puts_the_odd_pixel_at_the_end() -> None:
    """TensorFlow pads 224 by (2, 3) for a kernel of 7 with stride 2."""
    window = call("conv", out=64, kernel=7, stride=2, pad="same_tf").window((typed(3, 224, 224),))
    assert window.padding == ((2, 3), (2, 3))


@PROPERTY
@given(convolutions())
def test_macs_are_half_of_what_torch_counts(case: tuple[TensorType, dict[str, object]]) -> None:
    value, given = case
    op = call("conv", **given)
    if inferred(op, value) is None:
        return
    x = padded(pairs_of(given["pad"], len(value.spatial)))(torch.empty(1, *value.shape, device="meta"))
    with FlopCounterMode(display=False) as counter:
        torch_conv(value, given)(x)
    assert counts(op, value)[0] * 2 == counter.get_total_flops()


@pytest.mark.parametrize(
    ("op", "value"),
    [
        (call("conv", out=4, kernel=3, groups=2), typed(6, 5)),
        (call("conv", out=6, kernel=(3, 2), stride=2, groups=3), typed(3, 6, 5)),
        (call("conv", out=4, kernel=2, dilation=2, groups=4, bias=False), typed(4, 3, 4, 5)),
        (call("depthwise", kernel=3, multiplier=2), typed(3, 5, 6)),
    ],
)
def test_grouped_macs_are_those_of_the_loops(op: Op, value: TensorType) -> None:
    """One for every output element, kernel element and input channel of the same group."""
    (output,) = op.infer((value,))
    kernel = op.window((value,)).kernel
    groups = value.shape[0] if op.name == "depthwise" else op.groups
    macs = 0
    for out_channel in range(output.shape[0]):
        for _ in itertools.product(*map(range, output.spatial), *map(range, kernel)):
            group = out_channel // (output.shape[0] // groups)
            macs += sum(channel // (value.shape[0] // groups) == group for channel in range(value.shape[0]))
    assert op.macs((value,), (output,)) == macs


def test_the_bias_counts_once_for_each_output_element() -> None:
    assert counts(call("conv", out=64, kernel=7, stride=2, pad=3), typed(3, 224, 224)) == (
        64 * 112 * 112 * 3 * 49,
        64 * 112 * 112,
    )
    assert counts(call("depthwise", kernel=3, bias=False), typed(8, 5, 5)) == (8 * 9 * 9, 0)


@pytest.mark.parametrize(
    ("arguments", "texts"),
    [
        ({"pad": 3, "stride": 2}, ("floor((224 + 2*3 - 7) / 2) + 1 = 112", "floor((224 + 2*3 - 7) / 2) + 1 = 112")),
        ({"pad": "same_tf", "stride": 2}, ("floor((224 + 2 + 3 - 7) / 2) + 1 = 112",) * 2),
        ({}, ("224 - 7 + 1 = 218",) * 2),
        ({"dilation": 2}, ("224 - 2*(7 - 1) - 1 + 1 = 212",) * 2),
    ],
)
def test_arithmetic_spells_the_sum(arguments: dict[str, object], texts: tuple[str, ...]) -> None:
    assert call("conv", out=1, kernel=7, **arguments).arithmetic((typed(3, 224, 224),)) == texts


def test_bare_same_with_a_stride_shows_both_readings() -> None:
    error = refusal(call("conv", out=64, kernel=7, stride=2, pad="same"), typed(3, 224, 224))
    assert (error.code, error.argument) == ("ambiguous-same", "pad")
    assert error.notes == (
        "PyTorch networks mean pad = 3: the same number on both sides",
        "TensorFlow networks mean pad = [2, 2, 3, 3] at this input: the odd pixel goes to the end",
    )
    assert error.replacements == ("3", "same_tf")


def test_a_kernel_that_does_not_fit() -> None:
    error = refusal(call("conv", out=8, kernel=5, pad=1), typed(3, 2, 9))
    assert (error.code, error.argument, error.label) == ("kernel-too-large", "kernel", "5 > 4")
    assert error.message == "a kernel of 5 does not fit into 4 (2 and padding 1 + 1)"


def test_groups_that_do_not_divide() -> None:
    error = refusal(call("conv", out=8, kernel=1, groups=4), typed(6, 2, 2))
    assert (error.code, error.argument) == ("groups-divide", "groups")
    assert error.message == "6 input channels cannot be split into 4 equal groups"
    assert error.notes == ("6 = 1 * 4 + 2",)


@pytest.mark.parametrize("name", ["conv", "depthwise"])
@pytest.mark.parametrize("value", [typed(5), typed(2, 3, 4, 5, 6)])
def test_only_images_are_convolved(name: str, value: TensorType) -> None:
    arguments = {"out": 2} if name == "conv" else {}
    error = refusal(call(name, kernel=1, **arguments), value)
    assert error.code == "rank-mismatch"
    assert error.message.startswith(f"`{name}` needs channels and one to three spatial axes")


@pytest.mark.parametrize(
    ("argument", "numbers", "message"),
    [
        ("kernel", (3, 3, 3), "`kernel` has 3 numbers for 2 spatial axes"),
        ("stride", (1,), "`stride` has 1 number for 2 spatial axes"),
        ("pad", (1, 2, 3), "`pad` has 3 numbers for 2 spatial axes"),
    ],
)
def test_lists_have_a_number_for_each_axis(argument: str, numbers: tuple[int, ...], message: str) -> None:
    error = refusal(call("conv", **{"out": 1, "kernel": 3, argument: numbers}), typed(3, 8, 8))
    assert (error.code, error.argument, error.message) == ("argument-length", argument, message)
