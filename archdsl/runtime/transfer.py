"""The weights of a network, taken out of an ONNX file of the same network that somebody else wrote."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from onnx import ModelProto, NodeProto, numpy_helper

from archdsl.runtime.align import Pairs
from archdsl.runtime.gates import Part, parts
from archdsl.runtime.session import open_session

Arrays = dict[str, np.ndarray]
BIAS = 2  # the place of the bias of a Conv, ConvTranspose or Gemm


@dataclass(frozen=True)
class Constants:
    """The tensors of a model that depend on no input, by name: initializers, and what nodes make of them alone."""

    model: ModelProto

    def values(self, names: Iterable[str]) -> Arrays:
        """Those of the names that are constant; the made ones are computed by onnxruntime."""
        stored = {tensor.name: tensor for tensor in self.model.graph.initializer}
        wanted = set(names)
        found = {name: numpy_helper.to_array(stored[name]) for name in wanted & set(stored)}
        made = self._made() & wanted
        return found | (self._computed(sorted(made)) if made else {})

    def _made(self) -> set[str]:
        graph = self.model.graph
        alive = {item.name for item in graph.input} - {item.name for item in graph.initializer}
        made: set[str] = set()
        for node in graph.node:
            (alive if alive.intersection(node.input) else made).update(node.output)
        return made

    def _computed(self, names: list[str]) -> Arrays:
        model, made = ModelProto(), self._made()
        model.CopyFrom(self.model)
        kept = [node for node in self.model.graph.node if made.issuperset(node.output)]
        stored = {tensor.name for tensor in model.graph.initializer}
        inputs = [item for item in self.model.graph.input if item.name in stored]  # before IR version 4 all are inputs
        for field in ("node", "input", "output", "value_info"):
            model.graph.ClearField(field)
        model.graph.node.extend(kept)
        model.graph.input.extend(inputs)
        for name in names:
            model.graph.output.add(name=name)
        session = open_session(model.SerializeToString())
        return dict(zip(names, session.run(None, {}), strict=True))


def transferred(ours: ModelProto, wanted: Mapping[str, tuple[int, ...]], pairs: Pairs, other: ModelProto) -> Arrays:
    """Arrays for the `wanted` weights of `ours` (name -> shape), from the constants that paired nodes of `other` read.

    A constant stands for the weight at the same place of its node, transposed where one of the two multiplies by the
    transposed matrix. One of another shape is left out. A bias that the other node does without is 0. The weights of a
    recurrent layer are parts of what its node reads.
    """
    makers = {name: node for node in ours.graph.node for name in node.output}
    places: dict[str, tuple[str, bool]] = {}
    for mine, theirs in pairs:
        for tensor, constant in zip(mine.input, theirs.input, strict=False):
            key, turned = _weight(tensor, makers)
            if key in wanted and key not in places:
                places[key] = constant, turned ^ _turns(mine) ^ _turns(theirs)
    recurrent = [part for pair in pairs for part in parts(*pair, makers)]
    names = {constant for constant, _ in places.values()} | {part.constant for part in recurrent}
    values = Constants(other).values(names - {""})
    found = {
        mine.input[BIAS]: np.zeros(wanted[mine.input[BIAS]], np.float32)
        for mine, theirs in pairs
        if len(theirs.input) == BIAS < len(mine.input) and mine.input[BIAS] in wanted
    }
    for key, (constant, turned) in places.items():
        array = values.get(constant)
        if array is not None and (fitting := _fitted(array, wanted[key], turned)) is not None:
            found[key] = fitting
    return found | _of_recurrent(recurrent, wanted, values)


def _of_recurrent(recurrent: Iterable[Part], wanted: Mapping[str, tuple[int, ...]], values: Arrays) -> Arrays:
    found: Arrays = {}
    for part in recurrent:
        if part.weight in wanted and (array := part.of(values.get(part.constant), wanted[part.weight])) is not None:
            found.setdefault(part.weight, array)
    return found


def _weight(tensor: str, makers: Mapping[str, NodeProto]) -> tuple[str, bool]:
    """The weight that a node reads, maybe through a node that transposes or reshapes it; and whether transposed."""
    node = makers.get(tensor)
    if node is None or node.op_type not in ("Transpose", "Reshape"):
        return tensor, False
    return node.input[0], node.op_type == "Transpose"


def _turns(node: NodeProto) -> bool:
    """The node multiplies by its second input transposed, as a convolution of one pixel does."""
    return node.op_type == "Conv" or any(item.name == "transB" and item.i for item in node.attribute)


def _fitted(array: np.ndarray, shape: tuple[int, ...], turned: bool) -> np.ndarray | None:
    array = array.T if turned else array
    if [size for size in array.shape if size != 1] != [size for size in shape if size != 1]:
        return None
    return array.reshape(shape)
