"""Which nodes of a model each node of onnxruntime's optimized graph does the work of.

onnxruntime fuses, renames and adds nodes. As 1.31 does it: a node that works on a blocked layout is named after the
tensor that it gives, `_nchwc` behind it, and `_bn` or `_mul` before that where a norm or a product became a
convolution. A Gemm with its activation has `fused ` before its name. Other fused nodes have the name of one of their
nodes, or a new one; the tensor they give keeps its name. `ReorderInput` and `ReorderOutput` change the layout, the
latter under the name of the tensor that it copies. Two nodes that one was taken apart into share its name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from onnx import GraphProto, ModelProto, NodeProto

#: nodes of these kinds that the model does not have only copy: to another layout, device or element type
COPIES = {"ReorderInput", "ReorderOutput", "Transpose", "Reshape", "Cast", "Identity", "MemcpyFromHost", "MemcpyToHost"}
SUFFIXES = (r"_token_\d+$", r"_nchwc$", r"_(bn|mul)$", r"/MatMulAddFusion$")
SPELLINGS = ("Fused", "QLinear", "NhwcFused")


def name_nodes(model: ModelProto) -> None:
    """Give every node a name that no other node of the graph has, where it lacks one."""
    taken: set[str] = set()
    for number, node in enumerate(model.graph.node):
        if not node.name or node.name in taken:
            node.name = f"{node.name or node.op_type}#{number}"
        taken.add(node.name)


def origins(model: ModelProto, optimized: ModelProto) -> dict[str, tuple[int, ...]]:
    """By the name of each optimized node, the numbers of the model's nodes it stands for; none for mere copies.

    Names come first, then the names of results, then what lies between: a node that is nowhere else belongs to the
    fused node behind it that needs it for its kind, else to the one before it. Each of the model's nodes appears once,
    but for those made of constants alone, which are computed before any run.
    """
    found = _Search(model.graph, optimized.graph)
    found.by_name()
    found.by_result()
    found.backward()
    found.forward()
    return found.groups()


class _Search:
    """`owner` gives the optimized node, by number, that a node of the model belongs to."""

    def __init__(self, graph: GraphProto, optimized: GraphProto) -> None:
        self.nodes, self.kernels = list(graph.node), list(optimized.node)
        self.numbers = {node.name: number for number, node in enumerate(self.nodes)}
        self.maker = {tensor: number for number, node in enumerate(self.nodes) for tensor in node.output if tensor}
        self.kinds = {node.op_type for node in self.nodes}
        self.owner: dict[int, int] = {}
        self.named: set[int] = set()
        self.running = self._running(graph)

    def _running(self, graph: GraphProto) -> list[int]:
        """Nodes that depend on an input, so that they are not computed beforehand; the graph is in order."""
        constant = {item.name for item in graph.initializer}
        alive = {item.name for item in graph.input} - constant
        found = []
        for number, node in enumerate(self.nodes):
            if alive.intersection(node.input):
                alive.update(node.output)
                found.append(number)
        return found

    def by_name(self) -> None:
        for number, kernel in enumerate(self.kernels):
            node = self._called(kernel.name)
            if node is not None:
                self.owner.setdefault(node, number)
                self.named.add(number)

    def _called(self, name: str) -> int | None:
        if name in self.numbers:
            return self.numbers[name]
        known = self.maker | self.numbers if name.endswith("_nchwc") else self.numbers | self.maker
        return next((known[spelling] for spelling in spellings(name) if spelling in known), None)

    def by_result(self) -> None:
        for number, kernel in enumerate(self.kernels):
            if number not in self.named and kernel.op_type in COPIES:
                continue
            for tensor in kernel.output:
                if tensor in self.maker:
                    self.owner.setdefault(self.maker[tensor], number)

    def backward(self) -> None:
        own: dict[int, list[int]] = {}
        for node, kernel in self.owner.items():
            own.setdefault(kernel, []).append(node)
        for kernel, nodes in own.items():
            kind = kind_of(self.kernels[kernel].op_type)
            if kind not in (self.nodes[node].op_type for node in nodes):
                for node in self._chain(nodes[0], kind) if kind in self.kinds else list(self._between(nodes)):
                    self.owner[node] = kernel

    def _chain(self, node: int, kind: str) -> list[int]:
        """Unowned nodes before this one, along first inputs, up to one of the kind; none if there is none."""
        found: list[int] = []
        while not found or self.nodes[found[-1]].op_type != kind:
            before = self._unowned(self.nodes[node])[:1]
            if not before:
                return []
            found += before
            node = before[0]
        return found

    def _between(self, nodes: Sequence[int]) -> Iterator[int]:
        """All unowned nodes before these, up to owned ones."""
        waiting, seen = list(nodes), set(nodes)
        while waiting:
            new = [number for number in self._unowned(self.nodes[waiting.pop()]) if number not in seen]
            yield from dict.fromkeys(new)
            seen.update(new)
            waiting += new

    def _unowned(self, node: NodeProto) -> list[int]:
        made = [self.maker[tensor] for tensor in node.input if tensor in self.maker]
        return [number for number in made if number not in self.owner]

    def forward(self) -> None:
        """What is left belongs to the last of those before it, else to one that reads it."""
        left = [number for number in self.running if number not in self.owner]
        for number in left:
            before = [self.maker[tensor] for tensor in self.nodes[number].input if tensor in self.maker]
            kernels = [self.owner[node] for node in before if node in self.owner]
            if kernels:
                self.owner[number] = max(kernels)
        readers = {tensor: number for number in self.running for tensor in self.nodes[number].input}
        for number in reversed([number for number in left if number not in self.owner]):
            after = [readers[tensor] for tensor in self.nodes[number].output if tensor in readers]
            if after and after[0] in self.owner:
                self.owner[number] = self.owner[after[0]]

    def groups(self) -> dict[str, tuple[int, ...]]:
        found: dict[str, list[int]] = {kernel.name: [] for kernel in self.kernels}
        for node in sorted(self.owner):
            found[self.kernels[self.owner[node]].name].append(node)
        return {name: tuple(nodes) for name, nodes in found.items()}


def spellings(name: str) -> Iterator[str]:
    """What a name may have been before onnxruntime added to it."""
    name = name.removeprefix("fused ")
    yield name
    for suffix in SUFFIXES:
        name = re.sub(suffix, "", name)
        yield name


def kind_of(kind: str) -> str:
    """The ONNX operator that an operator of onnxruntime's own extends: `FusedConv` is a `Conv`."""
    for prefix in SPELLINGS:
        kind = kind.removeprefix(prefix)
    return kind
