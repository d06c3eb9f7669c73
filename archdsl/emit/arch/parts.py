"""A graph's paths as a tree, and what stands in it between loops, modules and layers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from archdsl.graph.graph import Graph, Input, Layer, TensorRef


@dataclass
class Part:
    """A component of paths: the input or layer that has this path, if one has, and what lies below it, in order."""

    path: str
    node: Input | Layer | None = None
    parts: dict[str, Part] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.path.rpartition(".")[2]

    def layers(self) -> Iterator[Layer]:
        """All layers here and below, in order."""
        if isinstance(self.node, Layer):
            yield self.node
        for part in self.parts.values():
            yield from part.layers()


def tree(graph: Graph) -> Part:
    """The root, below which every node has its place."""
    root = Part("")
    for path, node in graph.nodes.items():
        part = root
        for name in path.split("."):
            inner = f"{part.path}.{name}" if part.path else name
            part = part.parts.setdefault(name, Part(inner))
        part.node = node
    return root


def find(root: Part, path: str) -> Part:
    """The part at a path; KeyError if there is none."""
    part = root
    for name in path.split("."):
        part = part.parts[name]
    return part


def outside(part: Part) -> list[TensorRef]:
    """What the layers of a part read that it does not make itself, in order, each as often as it is read."""
    layers = list(part.layers())
    own = {layer.path for layer in layers}
    return [ref for layer in layers for ref in layer.inputs if ref.path not in own]


def entry(graph: Graph, root: Part, use: Part) -> TensorRef | None:
    """What flows into a use of a module: the tensor that is another one in each use, else the first that is read."""
    others = [outside(other) for other in uses(graph, root, graph.uses[use.path])]
    read = outside(use)
    for number, ref in enumerate(read):
        if any(len(other) > number and other[number] != ref for other in others):
            return ref
    return read[0] if read else None


def uses(graph: Graph, root: Part, owner: str) -> list[Part]:
    """All uses of the module whose weights lie at a path."""
    return [find(root, path) for path, owned in graph.uses.items() if owned == owner]


def plainest(graph: Graph, root: Part, owner: str) -> Part:
    """The use that reads what flows into it least often: where it has another name too, that stands out in no other."""
    return min(uses(graph, root, owner), key=lambda use: outside(use).count(entry(graph, root, use) or TensorRef("")))
