"""Shapes of an ONNX graph's tensors where its inputs have given sizes, and what is then constant in it.

onnx infers no shape that a computed tensor says, as torch's exporter writes a padding or a chunk. So what follows from
constants and from known sizes is computed, takes its place as a constant, and onnx infers again.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
from onnx import (
    GraphProto,
    ModelProto,
    NodeProto,
    TensorProto,
    TypeProto,
    ValueInfoProto,
    helper,
    numpy_helper,
    shape_inference,
)
from onnx.reference import ReferenceEvaluator

Shape = tuple[int, ...]
Shapes = Mapping[str, Shape]

#: elements of a tensor that may say a shape; whatever is larger holds numbers of the network
SMALL = 1024
#: what exporters compute shapes, paddings and places with; none draws random numbers
FOLDED = {
    "Abs", "Add", "And", "Cast", "Ceil", "Concat", "Constant", "ConstantOfShape", "Div", "Equal", "Expand", "Flatten",
    "Floor", "Gather", "Greater", "GreaterOrEqual", "Identity", "Less", "LessOrEqual", "Max", "Min", "Mod", "Mul",
    "Neg", "Not", "Or", "Range", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceSum", "Reshape", "ScatterND", "Shape",
    "Slice", "Split", "Squeeze", "Sub", "Tile", "Transpose", "Unsqueeze", "Where",
}  # fmt: skip


@dataclass(frozen=True)
class Sized:
    """`shapes` of tensors, as far as they are known; `made` are constants that nodes make, from those shapes too."""

    shapes: dict[str, Shape]
    made: frozenset[str]


def sized(model: ModelProto, inputs: Shapes) -> Sized:
    """The graph with inputs of these shapes; raises onnx's `InferenceError`, or `ValueError`."""
    work = _Folding(_light(model, inputs))
    while work.round():
        pass
    stored = {item.name: tuple(item.dims) for item in model.graph.initializer}
    return Sized(stored | work.shapes, frozenset(work.made))


def _light(model: ModelProto, inputs: Shapes) -> ModelProto:
    """The model with shapes in place of its large weights, which inference does not read, and nothing inferred yet."""
    light = ModelProto(ir_version=max(model.ir_version, 4))  # since then constants need not be inputs
    light.opset_import.extend(model.opset_import)
    light.functions.extend(model.functions)
    light.graph.name = model.graph.name
    light.graph.node.extend(model.graph.node)
    light.graph.sparse_initializer.extend(model.graph.sparse_initializer)
    _add_inputs(light.graph, model.graph, inputs)
    _add_weights(light.graph, model.graph, inputs)
    for item in model.graph.output:  # their shapes are stated for the declared inputs
        light.graph.output.add().CopyFrom(item)
        light.graph.output[-1].type.tensor_type.ClearField("shape")
    return light


def _add_inputs(light: GraphProto, graph: GraphProto, inputs: Shapes) -> None:
    weights = {item.name for item in graph.initializer}
    for item in graph.input:
        if item.name in inputs or item.name not in weights:
            light.input.add().CopyFrom(item)
            _state(light.input[-1].type, inputs.get(item.name))


def _add_weights(light: GraphProto, graph: GraphProto, inputs: Shapes) -> None:
    """Those that may say a shape as they are, of the others only their sizes."""
    for tensor in graph.initializer:
        if tensor.name in inputs:
            continue
        if _small(tensor):
            light.initializer.add().CopyFrom(tensor)
        else:
            light.input.append(helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims))


def _state(type: TypeProto, shape: Shape | None) -> None:
    if shape is not None:
        del type.tensor_type.shape.dim[:]
        for size in shape:
            type.tensor_type.shape.dim.add().dim_value = size


def _small(tensor: TensorProto) -> bool:
    return tensor.data_location != TensorProto.EXTERNAL and math.prod(tensor.dims) <= SMALL


@dataclass
class _Folding:
    """A light model on its way: nodes whose results are known give way to constants."""

    model: ModelProto
    shapes: dict[str, Shape] = field(default_factory=dict)
    made: dict[str, np.ndarray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.values = {item.name: numpy_helper.to_array(item) for item in self.model.graph.initializer}

    def round(self) -> bool:
        """Infer, then compute what follows; whether anything did."""
        inferred = shape_inference.infer_shapes(self.model, data_prop=True).graph
        self.shapes.update(_known((*inferred.input, *inferred.value_info, *inferred.output)))
        left, new = [], {}
        for node in self.model.graph.node:
            found = self._result(node)
            left += [node] if found is None else []
            new.update(found or {})
            self.values.update(found or {})
        self._replace(left, new)
        return bool(new)

    def _replace(self, left: list[NodeProto], new: Mapping[str, np.ndarray]) -> None:
        self.made.update(new)
        self.shapes.update({name: array.shape for name, array in new.items()})
        graph, kept = self.model.graph, ModelProto().graph
        kept.node.extend(left)
        graph.ClearField("node")
        graph.node.extend(kept.node)
        graph.initializer.extend(numpy_helper.from_array(array, name) for name, array in new.items())

    def _result(self, node: NodeProto) -> dict[str, np.ndarray] | None:
        """What the node makes, where that is known and small."""
        if node.domain not in ("", "ai.onnx") or node.op_type not in FOLDED or not self._makes_little(node):
            return None
        if node.op_type == "Shape":
            return self._shape(node)
        if not all(name in self.values for name in node.input if name):
            return None
        return _computed(node, {name: self.values[name] for name in node.input if name}, self._opset)

    def _makes_little(self, node: NodeProto) -> bool:
        """Its results are known to be small; a `Constant` that lies in another file is not."""
        if any(item.HasField("t") and not _small(item.t) for item in node.attribute):
            return False
        return all(name in self.shapes and math.prod(self.shapes[name]) <= SMALL for name in node.output if name)

    def _shape(self, node: NodeProto) -> dict[str, np.ndarray] | None:
        shape = self.shapes.get(node.input[0])
        if shape is None:
            return None
        ends = {item.name: item.i for item in node.attribute}
        return {node.output[0]: np.array(shape[ends.get("start", 0) : ends.get("end")], np.int64)}

    @property
    def _opset(self) -> int:
        return next((item.version for item in self.model.opset_import if item.domain in ("", "ai.onnx")), 1)


def _known(items: Iterable[ValueInfoProto]) -> dict[str, Shape]:
    found = {}
    for item in items:
        dims = item.type.tensor_type.shape.dim
        if item.type.tensor_type.HasField("shape") and all(dim.HasField("dim_value") for dim in dims):
            found[item.name] = tuple(dim.dim_value for dim in dims)
    return found


def _computed(node: NodeProto, given: Mapping[str, np.ndarray], opset: int) -> dict[str, np.ndarray] | None:
    """By onnx's reference implementation; None where that does not do it."""
    graph = helper.make_graph(
        [node],
        "folded",
        [helper.make_value_info(name, TypeProto()) for name in given],
        [helper.make_value_info(name, TypeProto()) for name in node.output if name],
    )
    try:
        with np.errstate(all="ignore"):
            arrays = ReferenceEvaluator(graph, opsets={"": opset}).run(None, dict(given))
    except Exception:  # noqa: BLE001 (it stumbles over nodes that say nothing sound in all ways; they stay unknown)
        return None
    return {name: np.asarray(array) for name, array in zip(filter(None, node.output), arrays, strict=True)}
