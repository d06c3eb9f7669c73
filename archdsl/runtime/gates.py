"""The weights of a recurrent layer, out of the tensors of an ONNX node that does what the layer's own node does.

The operators read one tensor of all directions, the gates in ONNX's order; our nodes make theirs of the layer's weights
(`archdsl.emit.onnx.recurrent`), and this goes the other way.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from onnx import NodeProto

from archdsl.emit.onnx.recurrent import KINDS

#: for each operator, where in the network's order of gates each of ONNX's stands
ORDERS = dict(KINDS.values())
WEIGHTS = (1, 2, 3)  # the places of W, R and B; B may be left out, for zeros


@dataclass(frozen=True, slots=True)
class Part:
    """A weight as one of `count` equal parts of the other node's tensor; no name of a tensor stands for zeros."""

    weight: str
    constant: str
    place: int
    count: int
    order: tuple[int, ...]

    def of(self, array: np.ndarray | None, shape: tuple[int, ...]) -> np.ndarray | None:
        """The weight; None where the tensor is not known, or of another size."""
        if not self.constant:
            return np.zeros(shape, np.float32)
        if array is None or array.size != self.count * math.prod(shape) or array.shape[2:] != shape[1:]:
            return None
        by_gate: np.ndarray = array.reshape(self.count, len(self.order), -1)[self.place]
        return by_gate[np.argsort(self.order)].reshape(shape)


def parts(mine: NodeProto, theirs: NodeProto, makers: Mapping[str, NodeProto]) -> list[Part]:
    """What our node's weights are of the other's tensors; `makers` are the nodes of ours that make each tensor."""
    if mine.op_type not in ORDERS or mine.op_type != theirs.op_type:
        return []
    found = []
    for number in WEIGHTS:
        sources = _sources(_input(mine, number), makers)
        order, constant = ORDERS[mine.op_type], _input(theirs, number)
        found += [Part(name, constant, place, len(sources), order) for place, name in enumerate(sources)]
    return found


def _input(node: NodeProto, number: int) -> str:
    return node.input[number] if number < len(node.input) else ""


def _sources(tensor: str, makers: Mapping[str, NodeProto]) -> list[str]:
    """The weights that a tensor is made of, in their order."""
    node = makers.get(tensor)
    if node is None:
        return [tensor] if tensor else []
    data = node.input if node.op_type == "Concat" else node.input[:1]
    return [name for source in data for name in _sources(source, makers)]
