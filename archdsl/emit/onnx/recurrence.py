"""ONNX rules of recurrence from equations: a Scan whose body is the layers between `Steps` and `Recur`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from onnx import AttributeProto, NodeProto

from archdsl.emit.onnx.rules import ELEMENT_TYPES, Site, rule
from archdsl.ops.base import TensorType
from archdsl.ops.recurrence import SUFFIX, Recur, Steps, Zeros


@rule(Steps)
def steps(site: Site, _: Steps) -> None:
    """The Scan, still without results; its body takes the states first, then the step. Time is the axis after N."""
    loop = site.layer.path.removesuffix(SUFFIX)
    node = site.emitter.graph.node.add(op_type="Scan", name=loop)
    node.input.extend((*site.inputs[1:], site.inputs[0]))
    body = node.attribute.add(name="body", type=AttributeProto.GRAPH)
    body.g.name = f"{loop}/body"
    inner = replace(site.emitter, graph=body.g)
    site.emitter.bodies[loop] = inner
    types = site.layer.output_types
    for index in (*range(1, len(types)), 0):
        inner.describe(body.g.input.add(), site.outputs[index], types[index])
    node.attribute.add(name="num_scan_inputs", type=AttributeProto.INT, i=1)
    for name in ("scan_input_axes", "scan_output_axes"):
        node.attribute.add(name=name, type=AttributeProto.INTS).ints.append(1)


@rule(Recur)
def recur(site: Site, op: Recur) -> None:
    """The results of the body: every one a tensor of its own, so that one may be two of them, or none of the body's."""
    inner = site.emitter.bodies[site.layer.path]
    ends = [*(f"{site.layer.path}/next_{name}" for name in op.states), f"{site.layer.path}/output"]
    sources = [*site.inputs[1:], site.inputs[0]]
    types = [*site.layer.input_types[1:], site.layer.input_types[0]]
    for end, source, value in zip(ends, sources, types, strict=True):
        inner.graph.node.add(op_type="Identity", name=end, input=[source], output=[end])
        inner.describe(inner.graph.output.add(), end, value)
    _scan(site).output.extend((*site.outputs[1:], site.outputs[0]))


def _scan(site: Site) -> NodeProto:
    nodes: Iterable[NodeProto] = reversed(site.emitter.graph.node)
    return next(node for node in nodes if node.name == site.layer.path)


@rule(Zeros)
def zeros(site: Site, _: Zeros) -> None:
    """As many as the batch that flows in."""
    rank = len(site.type.shape) + 1
    shape = site.weight_node("Shape", [site.input], "shape", TensorType((rank,), "int64"))
    batch = site.weight_node("Slice", [shape, site.constant("first", (0,)), site.constant("last", (1,))], "batch",
                             TensorType((1,), "int64"))  # fmt: skip
    sizes = site.result.shape
    target = site.weight_node("Concat", [batch, site.constant("sizes", tuple(sizes))], "target",
                              TensorType((len(sizes) + 1,), "int64"), axis=0)  # fmt: skip
    zero = site.constant("zero", 0.0)
    source = zero if site.result.dtype == "float32" else _cast(site, zero)
    site.final("Expand", [source, target])


def _cast(site: Site, zero: str) -> str:
    value = TensorType((), site.result.dtype)
    return site.weight_node("Cast", [zero], "typed_zero", value, to=ELEMENT_TYPES[site.result.dtype])
