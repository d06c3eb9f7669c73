"""PyTorch rules of merges; one of a single input is that input."""

from __future__ import annotations

from functools import reduce

from archdsl.emit.torch.expression import Display, Expr, Infix, Literal, Operand, call
from archdsl.emit.torch.rules import Form, Types, rule
from archdsl.ops.merge import Add, Concat, Max, Mul


def _operands(types: Types) -> tuple[Expr, ...]:
    return tuple(Operand(index) for index in range(len(types)))


@rule(Concat)
def concat(op: Concat, types: Types) -> Form:
    if len(types) == 1:
        return Form(Operand())
    return Form(call("torch.cat", Display(_operands(types)), Literal(op.axis, "axis")))


@rule(Add)
def add(op: Add, types: Types) -> Form:
    return Form(Infix("+", _operands(types)) if len(types) > 1 else Operand())


@rule(Mul)
def mul(op: Mul, types: Types) -> Form:
    return Form(Infix("*", _operands(types)) if len(types) > 1 else Operand())


@rule(Max)
def maximum(op: Max, types: Types) -> Form:
    return Form(reduce(lambda left, right: call("torch.maximum", left, right), _operands(types)))
