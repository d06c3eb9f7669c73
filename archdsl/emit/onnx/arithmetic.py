"""ONNX rules of elementwise arithmetic."""

from __future__ import annotations

from archdsl.emit.onnx.rules import Site, rule
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
    broadcast,
)
from archdsl.ops.base import Op, TensorType

PLAIN: dict[type[Op], str] = {
    Abs: "Abs", Neg: "Neg", Exp: "Exp", Log: "Log", Sqrt: "Sqrt", Sub: "Sub", Div: "Div", Minimum: "Min",
    Sin: "Sin", Cos: "Cos", Greater: "Greater", Less: "Less", Equal: "Equal",
}  # fmt: skip


@rule(*PLAIN)
def plain(site: Site, op: Op) -> None:
    """Operators that ONNX has under another name."""
    site.final(PLAIN[type(op)], site.inputs)


@rule(Pow)
def power(site: Site, op: Pow) -> None:
    site.final("Pow", [site.input, site.constant("exponent", float(op.exponent))])


@rule(Clamp)
def clamp(site: Site, op: Clamp) -> None:
    """A bound that is not given is an empty input."""
    bounds = [
        "" if value is None else site.constant(name, float(value)) for name, value in (("min", op.min), ("max", op.max))
    ]
    site.final("Clip", [site.input, *(bounds if bounds[1] else bounds[:1])])


@rule(Where)
def where(site: Site, op: Where) -> None:
    """Of bools, for which onnxruntime has no Where, as their logic."""
    condition, left, right = site.layer.input_types
    if left.dtype != "bool":
        return site.final("Where", site.inputs)
    chosen = TensorType(broadcast(op.name, (condition, left)), "bool")
    rest = TensorType(broadcast(op.name, (condition, right)), "bool")
    first = site.node("And", site.inputs[:2], "first", chosen)
    other = site.node("Not", site.inputs[:1], "not")
    second = site.node("And", [other, site.inputs[2]], "second", rest)
    return site.final("Or", [first, second])
