"""What an ONNX model makes of its weights alone, made ahead: weights that are stored as their readers take them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, numpy_helper

#: ops that arrange numbers, so that nothing is rounded
ARRANGING = ("Transpose", "Slice")


def ahead(model: ModelProto) -> None:
    """Replace nodes of these ops that read stored tensors alone by what they give, under its name; in place.

    A linear layer over a sequence multiplies by the transposed weight, and an attention by a third of one: a quantizer
    only knows a weight that is stored, and takes anything else for an activation.
    """
    graph = model.graph
    stored = {tensor.name: tensor for tensor in graph.initializer}
    outputs = {output.name for output in graph.output}
    left: list[NodeProto] = []
    for node in graph.node:
        found = node.op_type in ARRANGING and all(name in stored for name in node.input)
        if found and node.output[0] not in outputs:
            name = node.output[0]
            stored[name] = numpy_helper.from_array(_arranged(node, stored), name)
        else:
            left.append(NodeProto.FromString(node.SerializeToString()))
    if len(left) == len(graph.node):
        return
    del graph.node[:]
    graph.node.extend(left)
    _keep(graph, {name: stored[name] for name in stored if name in set(_read(graph)) | outputs})


def _keep(graph: GraphProto, stored: dict[str, TensorProto]) -> None:
    """Store these tensors; what is known of their types stands with them."""
    types = [value for value in graph.value_info if value.name not in stored]
    kept = list(stored.values())
    del graph.value_info[:], graph.initializer[:]
    graph.value_info.extend(types)
    graph.initializer.extend(kept)


def _arranged(node: NodeProto, stored: dict[str, TensorProto]) -> np.ndarray:
    value, *rest = (numpy_helper.to_array(stored[name]) for name in node.input)
    if node.op_type == "Transpose":
        order = next((list(item.ints) for item in node.attribute if item.name == "perm"), None)
        return np.ascontiguousarray(value.transpose(order))
    starts, ends = rest[:2]
    axes = rest[2] if len(rest) > 2 else range(len(starts))
    steps = rest[3] if len(rest) > 3 else [1] * len(starts)
    cut = [slice(None)] * value.ndim
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        cut[axis] = slice(int(start), int(end), int(step))
    return np.ascontiguousarray(value[tuple(cut)])


def _read(graph: GraphProto) -> Iterator[str]:
    """Names that nodes read, those of bodies included."""
    for node in graph.node:
        yield from node.input
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from _read(attribute.g)
