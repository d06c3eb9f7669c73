"""Two ONNX graphs of one network, laid side by side: which node of the one does what a node of the other does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from onnx import ModelProto, NodeProto

Shape = tuple[int, ...]
Key = tuple[str, Shape, Shape]

#: nodes whose result has the numbers of their input, so that it does not matter where a graph has them
VIEWS = {"Identity", "Dropout", "Flatten", "Reshape", "Squeeze", "Unsqueeze", "Cast"}
#: operators that say the same in some cases; those whose shapes agree are taken for it
KINDS = {"MatMul": "Gemm", "Sum": "Add", "ReduceMean": "AveragePool", "GlobalAveragePool": "AveragePool",
         "GlobalMaxPool": "MaxPool", "ReduceMax": "MaxPool"}  # fmt: skip
COMMUTATIVE = {"Add", "Sum", "Mul", "Max"}
WEIGHTED = {"Conv", "ConvTranspose", "Gemm", "MatMul"}


@dataclass(frozen=True, slots=True)
class Side:
    """One of the graphs. `shapes` are those of its tensors, weights included, as far as they are known.

    `constants` are tensors that follow from shapes, though nodes make them of an input: how much to pad, say.
    """

    model: ModelProto
    shapes: Mapping[str, Shape]
    constants: frozenset[str] = frozenset()

    def nodes(self) -> list[NodeProto]:
        """The nodes that compute, in an order that does not depend on how the file lists them.

        Each comes after all that it reads, the branches of a merge one after the other. Those of a sum, whose order
        means nothing, begin with the one of the most layers.
        """
        graph = self.model.graph
        running = self._running()
        makers = {tensor: number for number in running for tensor in graph.node[number].output if tensor}
        depth: dict[int, int] = {}
        for number in running:  # a file lists a node after those that it reads
            before = [depth[makers[tensor]] for tensor in graph.node[number].input if tensor in makers]
            depth[number] = max(before, default=0) + (graph.node[number].op_type in WEIGHTED)
        found: dict[int, None] = {}
        waiting = [(makers[item.name], False) for item in reversed(graph.output) if item.name in makers]
        while waiting:
            number, ready = waiting.pop()
            node = graph.node[number]
            before = [makers[tensor] for tensor in node.input if tensor in makers]
            if node.op_type in COMMUTATIVE:
                before.sort(key=lambda maker: -depth[maker])
            if ready:
                found.setdefault(number)
            elif number not in found:
                waiting += [(number, True), *((maker, False) for maker in reversed(before))]
        return [graph.node[number] for number in found if graph.node[number].op_type not in VIEWS]

    def made_by(self, tensor: str) -> NodeProto | None:
        """The node that computes a tensor's numbers, whatever views stand between; None for inputs."""
        makers = {name: node for node in self.model.graph.node for name in node.output}
        while tensor in makers and makers[tensor].op_type in VIEWS:
            tensor = makers[tensor].input[0]
        return makers.get(tensor)

    def _running(self) -> list[int]:
        """Nodes that depend on the numbers of an input; the others make weights and sizes."""
        alive = self.inputs
        found = []
        for number, node in enumerate(self.model.graph.node):
            if alive.intersection(node.input) and not self.constants.issuperset(filter(None, node.output)):
                alive.update(node.output)
                found.append(number)
        return found

    @property
    def inputs(self) -> set[str]:
        """Names of the inputs that are no weights."""
        return {item.name for item in self.model.graph.input} - {item.name for item in self.model.graph.initializer}

    def key(self, node: NodeProto) -> Key | None:
        """What has to agree: the kind of operation, the result's sizes without the batch and 1, and the weight's.

        None where they are not known.
        """
        shape = self.shapes.get(node.output[0])
        if shape is None:
            return None
        kind, sizes = KINDS.get(node.op_type, node.op_type), tuple(size for size in shape[1:] if size != 1)
        weight = self.shapes.get(node.input[1], ()) if node.op_type in WEIGHTED else ()
        matrix = tuple(sorted(size for size in weight if size != 1))
        if kind == "Conv" and len(sizes) == 1 and len(matrix) == 2:
            kind = "Gemm"  # a linear layer, written as a convolution of one pixel
        return kind, sizes, matrix if kind == "Gemm" else weight  # one side may hold the matrix transposed


Pairs = list[tuple[NodeProto, NodeProto]]


@dataclass(frozen=True)
class Alignment:
    """Nodes in the order of the first side. `nodes` counts the nodes of both that compute."""

    pairs: Pairs
    nodes: tuple[int, int]
    named: int  # pairs whose results have the same name


def align(left: Side, right: Side) -> Alignment:
    """Pair the nodes: first those whose results have equal names, then by structure.

    Structure is the longest common subsequence of both orders, equality being that of `Side.key`.
    """
    ours, theirs = left.nodes(), right.nodes()
    mine, yours = [left.key(node) for node in ours], [right.key(node) for node in theirs]
    places = {node.output[0]: place for place, node in enumerate(theirs)}
    found: dict[int, int] = {}
    for place, node in enumerate(ours):
        there = places.get(node.output[0])
        if there is not None and mine[place] == yours[there]:
            found[place] = there
    named, taken = len(found), set(found.values())
    for place, there in common(mine, yours):
        if place not in found and there not in taken:
            found[place] = there
    return Alignment([(ours[i], theirs[found[i]]) for i in sorted(found)], (len(ours), len(theirs)), named)


def common(left: Sequence[Key | None], right: Sequence[Key | None]) -> list[tuple[int, int]]:
    """Places of a longest common subsequence; None equals nothing (Wagner and Fischer, 1974)."""
    codes: dict[Key, int] = {}
    a = [-1 if key is None else codes.setdefault(key, len(codes)) for key in left]
    b = np.array([-2 if key is None else codes.setdefault(key, len(codes)) for key in right], dtype=np.int64)
    # table[i, j]: length for left[i:] and right[j:]
    table = np.zeros((len(a) + 1, len(b) + 1), dtype=np.int32)
    for i in reversed(range(len(a))):
        best = np.maximum(table[i + 1, :-1], table[i + 1, 1:] + (b == a[i]))
        table[i, :-1] = np.maximum.accumulate(best[::-1])[::-1]
    found, i, j = [], 0, 0
    while i < len(a) and j < len(b):
        if a[i] == b[j] and table[i, j] == table[i + 1, j + 1] + 1:
            found.append((i, j))
            i, j = i + 1, j + 1
        elif table[i, j] == table[i + 1, j]:
            i += 1
        else:
            j += 1
    return found
