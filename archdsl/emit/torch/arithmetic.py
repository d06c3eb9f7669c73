"""PyTorch rules of elementwise arithmetic."""

from __future__ import annotations

from archdsl.emit.torch.expression import Infix, Join, Literal, Operand, Text, call
from archdsl.emit.torch.rules import Form, Types, X, rule
from archdsl.ops.arithmetic import (
    Abs,
    Clamp,
    Cos,
    Div,
    Equal,
    Exp,
    Greater,
    Less,
    Log,
    Minimum,
    Neg,
    Pow,
    Sin,
    Sqrt,
    Sub,
    Where,
)
from archdsl.ops.base import Op

FUNCTIONS: dict[type[Op], str] = {Abs: "abs", Exp: "exp", Log: "log", Sqrt: "sqrt", Sin: "sin", Cos: "cos"}
OPERATORS: dict[type[Op], str] = {Sub: "-", Div: "/", Greater: ">", Less: "<", Equal: "=="}
Y, Z = Operand(1), Operand(2)


@rule(*FUNCTIONS)
def function(op: Op, types: Types) -> Form:
    return Form(call(f"torch.{FUNCTIONS[type(op)]}", X), kind="activation")


@rule(Neg)
def neg(op: Neg, types: Types) -> Form:
    return Form(Join((Text("-"), X)))


@rule(Pow)
def power(op: Pow, types: Types) -> Form:
    return Form(call("torch.pow", X, Literal(op.exponent, "exponent")), kind="activation")


@rule(Clamp)
def clamp(op: Clamp, types: Types) -> Form:
    return Form(call("torch.clamp", X, min=(op.min, None), max=(op.max, None)), kind="activation")


@rule(*OPERATORS)
def operator(op: Op, types: Types) -> Form:
    return Form(Infix(OPERATORS[type(op)], (X, Y)))


@rule(Minimum)
def minimum(op: Minimum, types: Types) -> Form:
    return Form(call("torch.minimum", X, Y))


@rule(Where)
def where(op: Where, types: Types) -> Form:
    return Form(call("torch.where", X, Y, Z))
