"""Transposed convolution and unpooling against `torch.nn.ConvTranspose1d`, `2d`, `3d` and `torch.nn.MaxUnpool2d`."""

from __future__ import annotations

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
    paddings,
    pairs_of,
    refusal,
    sizes,
    state_of,
    typed,
    weights_of,
)
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from archdsl.ops.base import TensorType

Given = dict[str, object]


@st.composite
def deconvolutions(draw: st.DrawFn) -> tuple[TensorType, Given]:
    value = draw(images(high=6))
    rank = len(value.spatial)
    return value, {
        "out": draw(st.integers(1, 8)),
        "kernel": draw(sizes(rank, 1, 4)),
        "stride": draw(sizes(rank, 1, 3)),
        "pad": draw(paddings(rank, 2)),
        "output_pad": draw(sizes(rank, 0, 2)),
        "dilation": draw(sizes(rank, 1, 2)),
        "groups": draw(st.integers(1, 3)),
        "bias": draw(st.booleans()),
    }


def torch_deconv(value: TensorType, given: Given) -> torch.nn.Module:
    """On the CPU: on meta tensors torch does not look at the output padding."""
    keywords = {name: given[name] for name in ("stride", "groups", "bias", "dilation")}
    kind = getattr(torch.nn, f"ConvTranspose{len(value.spatial)}d")
    return kind(value.shape[0], given["out"], given["kernel"], output_padding=given["output_pad"], **keywords)


@PROPERTY
@given(deconvolutions())
def test_deconv_agrees_with_torch_on_shapes_and_refusals(case: tuple[TensorType, Given]) -> None:
    value, given = case
    pairs = pairs_of(given["pad"], len(value.spatial))
    cut = [-number for pair in reversed(pairs) for number in pair]
    expected = in_torch(lambda x: functional.pad(torch_deconv(value, given)(x), cut), value, device="cpu")
    empty = expected is not None and 0 in expected[0]  # torch has results without elements
    assert inferred(call("deconv", **given), value) == (None if empty else expected)


@PROPERTY
@given(deconvolutions())
def test_deconv_weights_are_those_of_torch(case: tuple[TensorType, Given]) -> None:
    value, given = case
    op = call("deconv", **given)
    if inferred(op, value) is not None:
        assert weights_of(op, value) == state_of(torch_deconv(value, given))


def test_multiplications_are_those_of_torchs_counter() -> None:
    value, op = typed(6, 5, 7), call("deconv", out=4, kernel=(3, 2), stride=2, pad=1, groups=2)
    module = torch.nn.ConvTranspose2d(6, 4, (3, 2), 2, 1, groups=2)
    with FlopCounterMode(display=False) as counter:
        output = module(torch.zeros(1, 6, 5, 7))
    assert counts(op, value) == (counter.get_total_flops() // 2, output.numel())


@pytest.mark.parametrize(("kernel", "stride", "extra"), [(4, 2, 0), (3, 3, 0), (5, 1, 0), (3, 2, 1), (2, 2, 0)])
@pytest.mark.parametrize("word", ["same", "same_tf"])
def test_same_is_as_many_times_as_long_as_the_stride_says(kernel: int, stride: int, extra: int, word: str) -> None:
    op = call("deconv", out=2, kernel=kernel, stride=stride, pad=word, output_pad=extra)
    assert inferred(op, typed(3, 5, 8)) == [(2, 5 * stride, 8 * stride)]


def test_an_odd_rest_is_ambiguous() -> None:
    """PyTorch's padding 1 and output padding 1 is the first repair, TensorFlow's gradient of `same` the second."""
    failure = refusal(call("deconv", out=2, kernel=3, stride=2, pad="same"), typed(3, 5, 5))
    assert failure.code == "ambiguous-same"
    assert failure.replacements == ("[1, 1, 0, 0]", "same_tf")
    torchs = torch.nn.ConvTranspose2d(3, 2, 3, 2, 1, 1)
    ours = torch.nn.ConvTranspose2d(3, 2, 3, 2)
    ours.load_state_dict(torchs.state_dict())
    x = torch.rand(1, 3, 5, 5)
    torch.testing.assert_close(ours(x)[:, :, 1:, 1:], torchs(x))


def test_a_frozen_kernel_is_no_parameter() -> None:
    (weight,) = call("deconv", out=3, kernel=4, bias=False, trainable=False).weights((typed(3, 5, 5),))
    assert not weight.trainable


@pytest.mark.parametrize(
    ("arguments", "code", "argument"),
    [
        ({"kernel": 2, "stride": 3, "pad": "same_tf"}, "argument-value", "pad"),
        ({"kernel": 3, "stride": 2, "output_pad": 2}, "argument-value", "output_pad"),
        ({"kernel": 3, "pad": 9}, "argument-value", "pad"),
        ({"kernel": 3, "groups": 2}, "groups-divide", "groups"),
        ({"kernel": (3, 3, 3)}, "argument-length", "kernel"),
    ],
)
def test_deconv_refuses(arguments: Given, code: str, argument: str) -> None:
    failure = refusal(call("deconv", out=4, **arguments), typed(3, 5, 5))
    assert (failure.code, failure.argument) == (code, argument)


@st.composite
def unpoolings(draw: st.DrawFn) -> tuple[TensorType, Given, TensorType | None]:
    value = draw(images(high=5))
    rank = len(value.spatial)
    kernel, stride = draw(st.integers(1, 4)), draw(st.none() | st.integers(1, 4))
    given = {"kernel": kernel, "stride": stride, "pad": draw(st.integers(0, kernel // 2))}
    other = st.tuples(st.just(2), *[st.integers(1, 16)] * rank).map(lambda shape: typed(*shape))
    return value, given, draw(st.none() | other)


@PROPERTY
@given(unpoolings())
def test_unpool_agrees_with_torch_on_shapes(case: tuple[TensorType, Given, TensorType | None]) -> None:
    """And on the sizes that `like` may have: less than a stride more or less."""
    value, given, like = case
    indices = TensorType(value.shape, "int64")
    op = call("unpool", **given)
    found = inferred(op, value, indices, *([like] if like else []))
    module = getattr(torch.nn, f"MaxUnpool{len(value.spatial)}d")(given["kernel"], given["stride"], given["pad"])
    size = None if like is None else torch.Size(like.spatial)
    zeros = torch.zeros(1, *value.shape, dtype=torch.int64)
    expected = in_torch(lambda x: module(x, zeros, output_size=size), value, device="cpu")
    assert found == (None if expected is not None and 0 in expected[0] else expected)


@pytest.mark.parametrize(
    ("inputs", "code"),
    [
        ((typed(2, 3, 3), typed(2, 3, 3)), "dtype-mismatch"),
        ((typed(2, 3, 3), TensorType((2, 3, 4), "int64")), "operand-shape"),
        ((typed(2, 3, 3), TensorType((2, 3, 3), "int64"), typed(2, 9, 6)), "operand-shape"),
        ((typed(2, 3, 3), TensorType((2, 3, 3), "int64"), typed(2, 6)), "operand-shape"),
        ((typed(4), TensorType((4,), "int64")), "rank-mismatch"),
    ],
)
def test_unpool_refuses(inputs: tuple[TensorType, ...], code: str) -> None:
    assert refusal(call("unpool", kernel=2), *inputs).code == code
