"""PyTorch rules of reductions."""

from __future__ import annotations

from archdsl.emit.torch.expression import Literal, call
from archdsl.emit.torch.rules import Form, Types, X, rule, simplest
from archdsl.ops.axes import position
from archdsl.ops.base import Op
from archdsl.ops.reduction import ArgMax, L2Normalize, ReduceMax, ReduceMean, ReduceMin, ReduceSum, Reduction, TopK

FUNCTIONS: dict[type[Op], str] = {ReduceMean: "mean", ReduceSum: "sum", ReduceMax: "amax", ReduceMin: "amin"}


@rule(*FUNCTIONS)
def reduce(op: Reduction, types: Types) -> Form:
    axes = tuple(index + 1 for index in op.reduced(types))
    dims = Literal(simplest(axes) if len(axes) == 1 else axes, "axes")
    return Form(call(f"torch.{FUNCTIONS[type(op)]}", X, dims, keepdim=(op.keep, False)))


@rule(ArgMax)
def argmax(op: ArgMax, types: Types) -> Form:
    axis = Literal(position(types[0], op.axis) + 1, "axis")
    return Form(call("torch.argmax", X, axis, keepdim=(op.keep, False)))


@rule(TopK)
def topk(op: TopK, types: Types) -> Form:
    return Form(call("torch.topk", X, Literal(op.k, "k"), Literal(op.axis, "axis")))


@rule(L2Normalize)
def l2_normalize(op: L2Normalize, types: Types) -> Form:
    return Form(call("F.normalize", X, dim=(op.axis, 1), eps=(op.eps, 1e-12)), kind="activation")
