"""PyTorch rules of convolutions and the fully connected layer."""

from __future__ import annotations

from archdsl.emit.torch.expression import Expr, Literal, call
from archdsl.emit.torch.rules import Form, Types, X, by_rank, rule, simplest, weighted
from archdsl.emit.torch.stored import normalized, table_conv
from archdsl.ops.convolution import Conv, Depthwise
from archdsl.ops.geometry import Pair
from archdsl.ops.linear import Linear


def borders(padding: tuple[Pair, ...]) -> tuple[int, ...]:
    """Padding in the order of `F.pad`: begin and end of the last axis first."""
    return tuple(amount for pair in reversed(padding) for amount in pair)


def padded(operand: Expr, padding: tuple[Pair, ...], value: float = 0.0) -> Expr:
    """A border of a constant; the operand itself where there is none."""
    if not any(map(any, padding)):
        return operand
    return call("F.pad", operand, Literal(borders(padding), "pad"), value=(value, 0.0))


@rule(Conv)
def conv(op: Conv, types: Types) -> Form:
    """Padding that differs between the sides, which the module cannot say, comes before it."""
    geometry = op.geometry(types)
    inside = simplest(tuple(begin for begin, _ in geometry.padding)) if geometry.symmetric else 0
    operand = X if geometry.symmetric else padded(X, geometry.padding)
    if op.table:
        return table_conv(op, types, operand, inside)
    module = call(
        by_rank("nn.Conv", types),
        Literal(types[0].shape[0], "in_channels"),
        Literal(op.out, "out"),
        Literal(simplest(geometry.kernel), "kernel"),
        stride=(simplest(geometry.stride), 1),
        padding=(inside, 0),
        dilation=(simplest(geometry.dilation), 1),
        groups=(op.groups, 1),
        bias=(op.bias, True),
    )
    return weighted(normalized(module, op.norm), "core", operand)


@rule(Depthwise)
def depthwise(op: Depthwise, types: Types) -> Form:
    return conv(op.conv(types), types)


@rule(Linear)
def linear(op: Linear, types: Types) -> Form:
    features = Literal(types[0].shape[-1], "in_features")
    module = call("nn.Linear", features, Literal(op.out, "out"), bias=(op.bias, True))
    return weighted(normalized(module, op.norm), "core")
