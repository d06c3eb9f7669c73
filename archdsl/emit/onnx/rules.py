"""The table of ONNX rules, keyed by op class, and what a rule writes through."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from onnx import AttributeProto, GraphProto, NodeProto, TensorProto, ValueInfoProto

from archdsl.graph.graph import Layer, TensorRef
from archdsl.language.diagnostics import error
from archdsl.ops.base import Op, TensorType

ELEMENT_TYPES = {
    "float32": TensorProto.FLOAT,
    "float16": TensorProto.FLOAT16,
    "float64": TensorProto.DOUBLE,
    "int64": TensorProto.INT64,
    "int32": TensorProto.INT32,
    "uint8": TensorProto.UINT8,
    "bool": TensorProto.BOOL,
}

AttributeValue = int | float | str | tuple[int, ...]


class Unsupported(Exception):
    """ONNX, or onnxruntime, cannot say this; the message is the reason. In the table: for every use of the op."""


@dataclass(frozen=True)
class Emitter:
    """One model being written.

    `names` maps every tensor of the network to its ONNX name. Weights are only declared here, as graph
    inputs: `archdsl.emit.onnx.model` checks the graph without their data and adds it afterwards.
    """

    graph: GraphProto
    opset: int
    batch: int | None
    names: dict[TensorRef, str]
    declared: dict[str, TensorType]  # state_dict key -> type of the weight, in order of first use

    def describe(self, into: ValueInfoProto, name: str, value: TensorType, batched: bool = True) -> None:
        """Fill in a tensor's name, element type and shape; the batch is `N` unless it is fixed."""
        into.name = name
        tensor = into.type.tensor_type
        tensor.elem_type = ELEMENT_TYPES[value.dtype]
        dim = tensor.shape.dim
        if batched and self.batch is None:
            dim.add().dim_param = "N"
        elif batched:
            dim.add().dim_value = self.batch
        for size in value.shape:
            dim.add().dim_value = size


@dataclass(frozen=True)
class Site:
    """One layer being written: the names and types around it, and the four things a rule may add."""

    emitter: Emitter
    layer: Layer
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    @property
    def opset(self) -> int:
        return self.emitter.opset

    @property
    def input(self) -> str:
        """Name of the only input."""
        (name,) = self.inputs
        return name

    @property
    def type(self) -> TensorType:
        """Type of the first input."""
        return self.layer.input_types[0]

    @property
    def result(self) -> TensorType:
        """Type of the first output."""
        return self.layer.output_types[0]

    def weight(self, name: str) -> str:
        """Initializer of one of the layer's weights: its `state_dict` key."""
        key = f"{self.layer.module}.{name}"
        if key not in self.emitter.declared:
            weight = next(weight for weight in self.layer.weights if weight.name == name)
            self.emitter.declared[key] = TensorType(weight.shape, weight.dtype)
        return key

    def constant(self, suffix: str, values: float | Sequence[float] | np.ndarray) -> str:
        """Initializer `path/suffix`: float32 for floats, int64 for integers, a scalar for a number."""
        array = np.asarray(values)
        array = array.astype("<f4" if array.dtype.kind == "f" else "<i8")
        name = f"{self.layer.path}/{suffix}"
        tensor = self.emitter.graph.initializer.add(name=name, dims=array.shape, raw_data=array.tobytes())
        tensor.data_type = TensorProto.FLOAT if array.dtype.kind == "f" else TensorProto.INT64
        return name

    def node(
        self,
        op_type: str,
        inputs: Iterable[str],
        suffix: str,
        value: TensorType | None = None,
        **attributes: AttributeValue,
    ) -> str:
        """A helper node `path/suffix` and its tensor of the same name; its type is the input's unless given."""
        name = f"{self.layer.path}/{suffix}"
        self._add(op_type, name, inputs, (name,), attributes)
        self.emitter.describe(self.emitter.graph.value_info.add(), name, value or self.type)
        return name

    def weight_node(
        self, op_type: str, inputs: Iterable[str], suffix: str, value: TensorType, **attributes: AttributeValue
    ) -> str:
        """As `node`, for a tensor that is made of weights alone and so has no batch."""
        name = f"{self.layer.path}/{suffix}"
        self._add(op_type, name, inputs, (name,), attributes)
        self.emitter.describe(self.emitter.graph.value_info.add(), name, value, batched=False)
        return name

    def final(self, op_type: str, inputs: Iterable[str], **attributes: AttributeValue) -> None:
        """The node that bears the layer's path and gives its results."""
        self._add(op_type, self.layer.path, inputs, self.outputs, attributes)

    def _add(
        self,
        op_type: str,
        name: str,
        inputs: Iterable[str],
        outputs: Iterable[str],
        attributes: Mapping[str, AttributeValue],
    ) -> None:
        node = self.emitter.graph.node.add(op_type=op_type, name=name)
        node.input.extend(inputs)
        node.output.extend(outputs)
        for key in sorted(attributes):
            _set_attribute(node, key, attributes[key])


def _set_attribute(node: NodeProto, name: str, value: AttributeValue) -> None:
    attribute = node.attribute.add(name=name)
    if isinstance(value, int):
        attribute.type, attribute.i = AttributeProto.INT, value
    elif isinstance(value, float):
        attribute.type, attribute.f = AttributeProto.FLOAT, value
    elif isinstance(value, str):
        attribute.type, attribute.s = AttributeProto.STRING, value.encode()
    else:
        attribute.type = AttributeProto.INTS
        attribute.ints.extend(value)


Rule = Callable[[Site, Any], None]
AnyRule = TypeVar("AnyRule", bound=Rule)
RULES: dict[type[Op], Rule | Unsupported] = {}


def rule(*classes: type[Op]) -> Callable[[AnyRule], AnyRule]:
    """Decorator: this function writes these ops; a second rule for one class is our bug."""

    def enter(function: AnyRule) -> AnyRule:
        for cls in classes:
            assert cls not in RULES, cls.name
            RULES[cls] = function
        return function

    return enter


def apply(site: Site) -> None:
    """Write one layer; raises `ArchError` (`onnx-unsupported`, `onnx-no-rule`) at the layer."""
    op, layer = site.layer.op, site.layer
    found = RULES.get(type(op))
    if found is None:
        raise error("onnx-no-rule", f"`{op.name}` has no ONNX form here yet", layer.span, stack=layer.stack)
    try:
        if isinstance(found, Unsupported):
            raise found
        found(site, op)
    except Unsupported as reason:
        message = f"`{layer.path}` cannot be written as ONNX: {reason}"
        raise error("onnx-unsupported", message, layer.span, stack=layer.stack) from reason
