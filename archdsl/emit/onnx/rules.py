"""The table of ONNX rules, keyed by op class, and what a rule writes through."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
from onnx import AttributeProto, GraphProto, NodeProto, TensorProto, ValueInfoProto

from archdsl.graph.graph import Layer, TensorRef
from archdsl.language.diagnostics import error
from archdsl.ops.base import Op, TensorType
from archdsl.ops.dims import Dim, OpenSizeError, names, openness, symbolic

ELEMENT_TYPES = {
    "float32": TensorProto.FLOAT,
    "float16": TensorProto.FLOAT16,
    "float64": TensorProto.DOUBLE,
    "int64": TensorProto.INT64,
    "int32": TensorProto.INT32,
    "uint8": TensorProto.UINT8,
    "bool": TensorProto.BOOL,
}

_DOUBLE, _WHOLE = frozenset(("float64",)), frozenset(("int64", "int32", "bool"))
#: Element types for which onnxruntime (1.32) has no kernel on a CPU, of the operators that the rules write. At single
#: opsets, 18 among them, it runs some of these all the same, as ONNX's own composition; that is not leant on.
LACKING: dict[str, frozenset[str]] = {
    **dict.fromkeys(("AveragePool", "GlobalAveragePool", "GlobalMaxPool", "LRN", "Resize"), _DOUBLE),
    **dict.fromkeys(("Elu", "Erf", "Gelu", "HardSigmoid", "HardSwish", "LeakyRelu", "Mish"), _DOUBLE),
    **dict.fromkeys(("MaxRoiPool", "Selu", "Softplus"), _DOUBLE),
    **dict.fromkeys(("DepthToSpace", "SpaceToDepth"), _WHOLE),
    "NonMaxSuppression": frozenset(("float16", "float64")),
}

AttributeValue = int | float | str | tuple[int, ...] | tuple[str, ...]
#: A type without the batch, and which axis the batch is of the tensor that has it.
Placed = tuple[TensorType, int]


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
    bodies: dict[str, Emitter] = field(default_factory=dict)  # graphs inside this one, by the path of their `recur`

    def inside(self, loop: str) -> Emitter:
        """Where the layers of a loop are written; "" is the model's own graph."""
        return self.bodies[loop] if loop else self

    def describe(
        self, into: ValueInfoProto, name: str, value: TensorType, batched: bool = True, batch_axis: int = 0
    ) -> None:
        """Fill in a tensor's name, element type and shape; the batch is `N` unless it is fixed.

        An open size is named by its expression, so that equal names are equal sizes.
        """
        into.name = name
        tensor = into.type.tensor_type
        tensor.elem_type = ELEMENT_TYPES[value.dtype]
        sizes: list[int | str] = list(value.shape)
        if batched:
            sizes.insert(batch_axis, "N" if self.batch is None else self.batch)
        for size in sizes:
            if isinstance(size, Dim | str):
                tensor.shape.dim.add().dim_param = str(size)
            else:
                tensor.shape.dim.add().dim_value = size


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

    @property
    def floats(self) -> str:
        """Element type of the layer's arithmetic: the first input's, or float32 where that has whole numbers."""
        return self.type.dtype if self.type.dtype.startswith("float") else "float32"

    def lacks(self, op_type: str) -> bool:
        """Whether no kernel takes elements of the first input's type."""
        return self.type.dtype in LACKING.get(op_type, ())

    def weight(self, name: str) -> str:
        """Initializer of one of the layer's weights: its `state_dict` key."""
        weight = next(weight for weight in self.layer.weights if weight.name == name)
        key = self.layer.key(weight)
        if key not in self.emitter.declared:
            self.emitter.declared[key] = TensorType(weight.shape, weight.dtype)
        return key

    def constant(self, suffix: str, values: float | Sequence[float] | np.ndarray, dtype: str | None = None) -> str:
        """Initializer `path/suffix`: of floats as the first input has, which they meet, int64 for integers, or `dtype`.

        A number is a scalar. Raises `Unsupported` where one is an open size, of which only the nominal value could be
        written.
        """
        refuse_open(values)
        array = np.asarray(values)
        dtype = dtype or (self.floats if array.dtype.kind == "f" else "int64")
        with np.errstate(over="ignore"):  # beyond the type it is infinite
            array = array.astype(np.dtype(dtype).newbyteorder("<"))
        name = f"{self.layer.path}/{suffix}"
        tensor = self.emitter.graph.initializer.add(name=name, dims=array.shape, raw_data=array.tobytes())
        tensor.data_type = ELEMENT_TYPES[dtype]
        return name

    def reshape(self, source: str, given: TensorType, wanted: TensorType, suffix: str | None = None) -> str:
        """A Reshape as a helper node, or without `suffix` as the final one; `given` is the type of `source`.

        0 copies the batch and open sizes that stay on their axis, -1 is one that does not.
        """
        before = (*given.shape, *[0] * len(wanted.shape))
        sizes = [
            size if not symbolic(size) else 0 if size == old else -1
            for size, old in zip(wanted.shape, before, strict=False)
        ]
        if sizes.count(-1) > 1:
            reason = f"the shape {wanted} has several sizes that depend on {names(wanted.shape)}"
            raise Unsupported(f"{reason}; `reshape_as` takes them from a tensor that has them")
        inputs = [source, self.constant(f"{suffix}_shape" if suffix else "shape", (0, *sizes))]
        if suffix is not None:
            return self.node("Reshape", inputs, suffix, wanted)
        self.final("Reshape", inputs)
        return self.outputs[0]

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

    def nodes(
        self, op_type: str, inputs: Iterable[str], results: Mapping[str, Placed], **attributes: AttributeValue
    ) -> tuple[str, ...]:
        """As `node`, with several results by suffix, or with the batch on another axis than the first."""
        names = tuple(f"{self.layer.path}/{suffix}" for suffix in results)
        self._add(op_type, names[0], inputs, names, attributes)
        for name, (value, axis) in zip(names, results.values(), strict=True):
            self.emitter.describe(self.emitter.graph.value_info.add(), name, value, batch_axis=axis)
        return names

    def final(self, op_type: str, inputs: Iterable[str], **attributes: AttributeValue) -> None:
        """The node that bears the layer's path and gives its results."""
        self._add(op_type, self.layer.path, inputs, self.outputs, attributes)

    def finish(
        self, index: int, op_type: str, inputs: Iterable[str], besides: Mapping[str, TensorType] | None = None,
        **attributes: AttributeValue,
    ) -> None:  # fmt: skip
        """The node that gives one of several results; that of the first bears the layer's path.

        `besides` are the types of its further tensors, which `node` would name `path/suffix`, by suffix.
        """
        more = {f"{self.layer.path}/{suffix}": value for suffix, value in (besides or {}).items()}
        self._add(op_type, TensorRef(self.layer.path, index).name, inputs, (self.outputs[index], *more), attributes)
        for name, value in more.items():
            self.emitter.describe(self.emitter.graph.value_info.add(), name, value)

    def _add(
        self,
        op_type: str,
        name: str,
        inputs: Iterable[str],
        outputs: Iterable[str],
        attributes: Mapping[str, AttributeValue],
    ) -> None:
        if self.lacks(op_type):
            raise Unsupported(f"onnxruntime has no `{op_type}` for {self.type.dtype}")
        node = self.emitter.graph.node.add(op_type=op_type, name=name)
        node.input.extend(inputs)
        node.output.extend(outputs)
        for key in sorted(attributes):
            _set_attribute(node, key, attributes[key])


def refuse_open(values: object) -> None:
    """Raise `Unsupported` for numbers that depend on an open size: the file would hold their nominal values."""
    found = [size for size in (values if isinstance(values, tuple | list) else (values,)) if symbolic(size)]
    if found:
        raise Unsupported(f"a number in it, {found[0]}, {openness(found[0])}")


def _set_attribute(node: NodeProto, name: str, value: AttributeValue) -> None:
    refuse_open(value)
    attribute = node.attribute.add(name=name)
    if isinstance(value, int):
        attribute.type, attribute.i = AttributeProto.INT, value
    elif isinstance(value, float):
        attribute.type, attribute.f = AttributeProto.FLOAT, value
    elif isinstance(value, str):
        attribute.type, attribute.s = AttributeProto.STRING, value.encode()
    elif value and isinstance(value[0], str):
        attribute.type = AttributeProto.STRINGS
        attribute.strings.extend(str(item).encode() for item in value)
    else:
        attribute.type = AttributeProto.INTS
        attribute.ints.extend(map(int, value))


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
    except (Unsupported, OpenSizeError) as reason:
        message = f"`{layer.path}` cannot be written as ONNX: {reason}"
        raise error("onnx-unsupported", message, layer.span, stack=layer.stack) from reason
