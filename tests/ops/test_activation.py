"""Activations against torch's modules: types, arguments and their defaults, the weight of PReLU."""

from __future__ import annotations

import inspect

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ops_authority import PROPERTY, call, counts, in_torch, inferred, refusal, samples, state_of, typed, weights_of
from torch import nn

from archdsl.ops import OPS
from archdsl.ops.base import TensorType, parameters

#: Each op with torch's class and torch's names of its arguments, in order.
TORCH = {
    "relu": (nn.ReLU, ()),
    "relu6": (nn.ReLU6, ()),
    "leaky_relu": (nn.LeakyReLU, ("negative_slope",)),
    "elu": (nn.ELU, ("alpha",)),
    "selu": (nn.SELU, ()),
    "gelu": (nn.GELU, ("approximate",)),
    "silu": (nn.SiLU, ()),
    "mish": (nn.Mish, ()),
    "sigmoid": (nn.Sigmoid, ()),
    "tanh": (nn.Tanh, ()),
    "softplus": (nn.Softplus, ("beta",)),
    "hardsigmoid": (nn.Hardsigmoid, ()),
    "hardswish": (nn.Hardswish, ()),
    "hardtanh": (nn.Hardtanh, ("min_val", "max_val")),
}


@pytest.mark.parametrize("name", list(TORCH))
def test_arguments_and_defaults_are_torchs(name: str) -> None:
    module, names = TORCH[name]
    torchs = inspect.signature(module.__init__).parameters
    assert [field.default for field in parameters(OPS[name])] == [torchs[each].default for each in names]


@pytest.mark.parametrize("name", [*TORCH, "prelu"])
def test_an_activation_keeps_the_type_and_counts_each_element_once(name: str) -> None:
    op, value = call(name), TensorType((3, 4, 5), "float16")
    assert op.infer((value,)) == (value,)
    assert counts(op, value) == (0, 60)
    assert op.window((value,)) is None


@PROPERTY
@given(samples(), st.booleans())
def test_prelu_is_torchs(value: TensorType, per_channel: bool) -> None:
    op = call("prelu", per_channel=per_channel)
    module = nn.PReLU(value.shape[0] if per_channel else 1, device="meta")
    assert inferred(op, value) == in_torch(module, value)
    assert weights_of(op, value) == state_of(module)


def test_prelu_starts_where_torchs_does() -> None:
    (weight,) = call("prelu").weights((typed(3),))
    assert weight.init.scheme == "constant"
    assert dict(weight.init.arguments) == {"value": nn.PReLU().weight.item()}
    (weight,) = call("prelu", start=0.1).weights((typed(3),))
    assert dict(weight.init.arguments) == {"value": 0.1}


@PROPERTY
@given(samples(), st.integers(-6, 6), st.sampled_from([("softmax", nn.Softmax), ("log_softmax", nn.LogSoftmax)]))
def test_softmax_is_torchs_except_over_the_batch(
    value: TensorType, axis: int, kind: tuple[str, type[nn.Module]]
) -> None:
    """Stricter: torch normalizes over the batch where axis 0 says so. (On meta tensors it accepts any axis.)"""
    name, module = kind
    batch = axis in (0, -len(value.shape) - 1)
    assert inferred(call(name, axis=axis), value) == (None if batch else in_torch(module(axis), value, device="cpu"))


@PROPERTY
@given(st.integers(-3, 3), st.integers(-3, 3))
def test_hardtanh_refuses_what_torch_refuses(low: int, high: int) -> None:
    value = typed(4)
    expected = in_torch(lambda x: nn.Hardtanh(float(low), float(high))(x), value)
    assert inferred(call("hardtanh", min=float(low), max=float(high)), value) == expected


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_softmax_counts_five_for_each_element(name: str) -> None:
    assert counts(call(name), typed(10, 4)) == (0, 200)


@pytest.mark.parametrize("axis", [0, -4])
def test_the_batch_is_named(axis: int) -> None:
    error = refusal(call("softmax", axis=axis), typed(21, 32, 32))
    assert (error.code, error.argument, error.message) == ("axis-range", "axis", f"axis {axis} is the batch")
    assert error.notes == ("of [N, 21, 32, 32], 1 is channels, 2 is height, 3 is width",)
    assert error.replacements == ("1",)


def test_an_axis_that_is_not_there() -> None:
    error = refusal(call("softmax", axis=4), typed(21, 32, 32))
    assert (error.code, error.argument) == ("axis-range", "axis")
    assert error.message == "axis 4 does not exist: [N, 21, 32, 32] has axes 1 to 3, or -3 to -1 from the end"


def test_bounds_in_the_wrong_order() -> None:
    error = refusal(call("hardtanh", min=1.0, max=-1.0), typed(3))
    assert (error.code, error.argument) == ("argument-value", "min")
    assert error.message == "`min` must be below `max`, but 1.0 >= -1.0"


def test_softplus_divides_by_beta() -> None:
    """Stricter than torch, which gives infinities."""
    assert refusal(call("softplus", beta=0), typed(3)).message == "`beta` must be above 0, not 0"
