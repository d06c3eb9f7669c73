"""An ONNX model of 32-bit floats -> the same model computing in 16-bit floats."""

from __future__ import annotations

from graphlib import TopologicalSorter

import numpy as np
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper
from onnxruntime.transformers.float16 import convert_float_to_float16

LARGEST = np.finfo(np.float16).max


def half_precision(model: ModelProto) -> ModelProto:
    """Weights and arithmetic in float16; inputs and outputs stay float32, with a `Cast` next to each.

    Weights beyond float16's range become its largest number, 65504, or its least, 5.96e-8. What onnxruntime lacks in
    float16 on the device at hand it does in float32. Every tensor has to have a declared type, as ours have.
    """
    copy = ModelProto()
    copy.CopyFrom(model)  # the converter changes what it is given
    half: ModelProto = convert_float_to_float16(copy, keep_io_types=True, disable_shape_infer=True)
    _sort(half.graph)
    return half


def _sort(graph: GraphProto) -> None:
    """Each node after those whose results it reads, as ONNX demands: the converter adds its casts at the end."""
    nodes = list(graph.node)
    producer = {name: place for place, node in enumerate(nodes) for name in node.output if name}
    needs = {place: [producer[name] for name in _read(node) if name in producer] for place, node in enumerate(nodes)}
    order = list(TopologicalSorter(needs).static_order())
    del graph.node[:]
    graph.node.extend(nodes[place] for place in order)


def _read(node: NodeProto) -> list[str]:
    """Names that the node reads, those in the graphs inside it included."""
    inner = [inside for attribute in node.attribute for inside in attribute.g.node]
    return [*node.input, *(name for inside in inner for name in _read(inside))]


def rounding(model: ModelProto) -> ModelProto:
    """The model in float32, with its weights and the result of every node rounded to float16.

    This is what a device with float16 arithmetic computes. onnxruntime on a CPU runs a float16 model in float32 and
    leaves out the rounding between nodes, so it would show neither lost digits nor overflow.
    """
    trial = ModelProto()
    trial.CopyFrom(model)
    graph = trial.graph
    floats = {item.name for item in (*graph.value_info, *graph.output) if _is_float(item.type.tensor_type.elem_type)}
    for tensor in filter(lambda tensor: _is_float(tensor.data_type), graph.initializer):
        rounded = numpy_helper.to_array(tensor).clip(-LARGEST, LARGEST).astype(np.float16).astype(np.float32)
        tensor.CopyFrom(numpy_helper.from_array(rounded, tensor.name))
    taken = _names(graph)
    nodes = [item for node in graph.node for item in _rounded(node, floats, taken)]
    del graph.node[:]
    graph.node.extend(nodes)
    return trial


def _is_float(kind: int) -> bool:
    return kind == TensorProto.FLOAT


def _names(graph: GraphProto) -> set[str]:
    """The names of all tensors, those in the graphs inside included."""
    found = {item.name for item in (*graph.input, *graph.initializer)}
    for node in graph.node:
        found.update(node.output)
        for attribute in node.attribute:
            found |= _names(attribute.g)
    return found


def _new(name: str, taken: set[str]) -> str:
    """The name, longer where it is taken, as an op's own constant may have it; it is taken then."""
    while name in taken:
        name += "_"
    taken.add(name)
    return name


def _rounded(node: NodeProto, floats: set[str], taken: set[str]) -> list[NodeProto]:
    """The node, and two casts after each of its float results, which keeps its name."""
    added = []
    for place, name in enumerate(node.output):
        if name not in floats:
            continue
        exact, half = _new(f"{name}/exact", taken), _new(f"{name}/half", taken)
        added.append(helper.make_node("Cast", [exact], [half], to=TensorProto.FLOAT16))
        added.append(helper.make_node("Cast", [half], [name], to=TensorProto.FLOAT))
        node.output[place] = exact
    return [node, *added]
