"""ONNX rules of reductions."""

from __future__ import annotations

from archdsl.emit.onnx.rules import Site, rule
from archdsl.ops.axes import position
from archdsl.ops.base import Op, TensorType
from archdsl.ops.reduction import ArgMax, L2Normalize, ReduceMax, ReduceMean, ReduceMin, ReduceSum, Reduction, TopK

OPERATORS: dict[type[Op], str] = {
    ReduceMean: "ReduceMean", ReduceSum: "ReduceSum", ReduceMax: "ReduceMax", ReduceMin: "ReduceMin",
}  # fmt: skip


@rule(*OPERATORS)
def reduce(site: Site, op: Reduction) -> None:
    """The axes are an input of ReduceSum from opset 13 on, of the others from 18 on."""
    operator = OPERATORS[type(op)]
    axes = tuple(index + 1 for index in op.reduced(site.layer.input_types))
    if site.opset >= 18 or operator == "ReduceSum":
        return site.final(operator, [site.input, site.constant("axes", axes)], keepdims=int(op.keep))
    return site.final(operator, site.inputs, axes=axes, keepdims=int(op.keep))


@rule(ArgMax)
def argmax(site: Site, op: ArgMax) -> None:
    site.final("ArgMax", site.inputs, axis=position(site.type, op.axis) + 1, keepdims=int(op.keep))


@rule(TopK)
def topk(site: Site, op: TopK) -> None:
    site.final("TopK", [site.input, site.constant("k", (op.k,))], axis=position(site.type, op.axis) + 1)


@rule(L2Normalize)
def l2_normalize(site: Site, op: L2Normalize) -> None:
    """Not LpNormalization, which divides vectors of zeros by 0."""
    index = position(site.type, op.axis)
    shape = tuple(1 if i == index else size for i, size in enumerate(site.type.shape))
    length = TensorType(shape, site.type.dtype)
    if site.opset >= 18:
        inputs, attributes = [site.input, site.constant("axes", (index + 1,))], {}
    else:
        inputs, attributes = [site.input], {"axes": (index + 1,)}
    norm = site.node("ReduceL2", inputs, "length", length, keepdims=1, **attributes)
    divisor = site.node("Max", [norm, site.constant("eps", float(op.eps))], "divisor", length)
    site.final("Div", [site.input, divisor])
