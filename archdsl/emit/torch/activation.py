"""PyTorch rules of activations: each is a function of `F` or `torch`, and a module."""

from __future__ import annotations

from typing import Any

from archdsl.emit.torch.expression import Literal, call
from archdsl.emit.torch.rules import RULES, Form, Rule, Types, X, rule, weighted
from archdsl.ops import activation as ops
from archdsl.ops.base import Op

#: Op class -> module, function, and PyTorch's keyword and default for each of the op's fields.
SAME: dict[type[Op], tuple[str, str, dict[str, tuple[str, object]]]] = {
    ops.ReLU: ("nn.ReLU", "F.relu", {}),
    ops.ReLU6: ("nn.ReLU6", "F.relu6", {}),
    ops.LeakyReLU: ("nn.LeakyReLU", "F.leaky_relu", {"slope": ("negative_slope", 0.01)}),
    ops.ELU: ("nn.ELU", "F.elu", {"alpha": ("alpha", 1.0)}),
    ops.SELU: ("nn.SELU", "F.selu", {}),
    ops.GELU: ("nn.GELU", "F.gelu", {"approximate": ("approximate", "none")}),
    ops.SiLU: ("nn.SiLU", "F.silu", {}),
    ops.Mish: ("nn.Mish", "F.mish", {}),
    ops.Sigmoid: ("nn.Sigmoid", "torch.sigmoid", {}),
    ops.Tanh: ("nn.Tanh", "torch.tanh", {}),
    ops.Softplus: ("nn.Softplus", "F.softplus", {"beta": ("beta", 1.0)}),
    ops.HardSigmoid: ("nn.Hardsigmoid", "F.hardsigmoid", {}),
    ops.HardSwish: ("nn.Hardswish", "F.hardswish", {}),
    ops.HardTanh: ("nn.Hardtanh", "F.hardtanh", {"min": ("min_val", -1.0), "max": ("max_val", 1.0)}),
}


def _same(module: str, function: str, fields: dict[str, tuple[str, object]]) -> Rule:
    """A rule for an op whose fields are PyTorch's arguments under other names."""

    def written(op: Any, types: Types) -> Form:
        keywords = {keyword: (getattr(op, field), default) for field, (keyword, default) in fields.items()}
        return Form(call(function, X, **keywords), call(module, **keywords), "activation")

    return written


for _cls, _names in SAME.items():
    assert _cls not in RULES, _cls.name
    RULES[_cls] = _same(*_names)


@rule(ops.Softmax)
def softmax(op: ops.Softmax, types: Types) -> Form:
    return _along("softmax", "nn.Softmax", op.axis)


@rule(ops.LogSoftmax)
def log_softmax(op: ops.LogSoftmax, types: Types) -> Form:
    return _along("log_softmax", "nn.LogSoftmax", op.axis)


def _along(function: str, module: str, axis: int) -> Form:
    dim = {"dim": (axis, None)}  # PyTorch's default guesses, and warns
    return Form(call(f"F.{function}", X, **dim), call(module, **dim), "activation")


@rule(ops.PReLU)
def prelu(op: ops.PReLU, types: Types) -> Form:
    """Its start value is an argument of PyTorch's module, so it is written even though weights are loaded later."""
    arguments = [Literal(types[0].shape[0], "channels")] if op.per_channel else []
    return weighted(call("nn.PReLU", *arguments, init=(op.start, 0.25)), "activation")
