"""ONNX rules of the combinators."""

from __future__ import annotations

from archdsl.emit.onnx.rules import Site, rule
from archdsl.ops.base import TensorType
from archdsl.ops.merge import Add, Concat, Max, Mul


@rule(Concat)
def concat(site: Site, op: Concat) -> None:
    site.final("Concat", site.inputs, axis=op.axis)


@rule(Add)
def add(site: Site, _: Add) -> None:
    _fold(site, "Add")


@rule(Mul)
def mul(site: Site, _: Mul) -> None:
    _fold(site, "Mul")


@rule(Max)
def maximum(site: Site, _: Max) -> None:
    _fold(site, "Max")


def _fold(site: Site, op_type: str) -> None:
    """From the left, two at a time, as PyTorch's source does: sums round alike."""
    if len(site.inputs) == 1:
        return site.final("Identity", site.inputs)
    total, shape = site.inputs[0], site.type.shape
    for i, name in enumerate(site.inputs[1:-1], start=1):
        shape = tuple(map(max, shape, site.layer.input_types[i].shape))
        partial = TensorType(shape, site.type.dtype)
        total = site.node(op_type, [total, name], f"{op_type.lower()}{i}", partial)
    return site.final(op_type, [total, site.inputs[-1]])
