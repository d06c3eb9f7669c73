"""The tree of modules that the paths of a graph span, and which tensors cross into and out of each part."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from archdsl.emit.torch.rules import Form, form
from archdsl.graph.graph import Graph, Layer, Scope, TensorRef
from archdsl.graph.values import Tensor


@dataclass(eq=False, slots=True)
class Node:
    """One beginning of a path: the network (""), a label, a block instance, or a layer.

    `takes` are the tensors from outside that its layers use, in the order of use; `gives` its tensors that
    are used outside, its result first. `module` is the path that owns its weights: its own, unless shared.
    """

    path: str
    scope: Scope | None = None
    layer: Layer | None = None
    children: dict[str, Node] = field(default_factory=dict)
    takes: list[TensorRef] = field(default_factory=list)
    gives: list[TensorRef] = field(default_factory=list)
    module: str = ""
    weighted: bool = False
    is_module: bool = False
    training_only: bool = True
    _form: Form | None = None

    @property
    def name(self) -> str:
        """Last component of the path."""
        return self.path.rpartition(".")[2]

    @property
    def block(self) -> str | None:
        """Name of the block it is an instance of."""
        return self.scope.block if self.scope else None

    @property
    def form(self) -> Form:
        """How its layer is written; raises `ArchError` for a layer that PyTorch cannot say."""
        assert self.layer is not None
        if self._form is None:
            self._form = form(self.layer)
        return self._form

    def tensor_parameters(self) -> dict[TensorRef, str]:
        """Tensors handed to a block by name."""
        arguments = self.scope.arguments if self.scope else ()
        return {value.ref: name for name, value in reversed(arguments) if isinstance(value, Tensor)}

    def steps(self) -> Iterator[Node]:
        """Layers and parts called as one, in order: children, with the content of what is no module put in place."""
        for child in self.children.values():
            if child.layer is not None or not child.is_module:
                yield from _inline(child)
            else:
                yield child


def _inline(node: Node) -> Iterator[Node]:
    if node.layer is not None:
        yield node
    yield from node.steps()


def tree(graph: Graph) -> Node:
    """The root of the tree of all layers."""
    root = Node("")
    layers = graph.layers
    for layer in layers:
        _enter(root, graph, layer)
    gives: dict[str, dict[TensorRef, None]] = {}
    takes: dict[str, dict[TensorRef, None]] = {}
    for layer in layers:
        for ref in layer.inputs:
            _cross(takes, gives, ref, layer.path)
    for output in graph.outputs:
        _cross(takes, gives, output.tensor, "")
    _finish(root, graph, takes, gives)
    root.takes = [TensorRef(value.path) for value in graph.inputs]
    root.gives = [output.tensor for output in graph.outputs]
    return root


def _enter(root: Node, graph: Graph, layer: Layer) -> None:
    """Add the layer's node and those above it."""
    node = root
    for path in beginnings(layer.path):
        name = path.rpartition(".")[2]
        if name not in node.children:
            node.children[name] = Node(path, graph.scopes.get(path))
        node = node.children[name]
    assert node.layer is None, layer.path
    node.layer = layer


def beginnings(path: str) -> list[str]:
    """`a.b.c` gives `a`, `a.b`, `a.b.c`."""
    return [*(path[:end] for end, char in enumerate(path) if char == "."), path]


def _cross(
    takes: dict[str, dict[TensorRef, None]], gives: dict[str, dict[TensorRef, None]], ref: TensorRef, user: str
) -> None:
    """Note every part that the tensor leaves or enters on its way to its user."""
    start, end = beginnings(ref.path), beginnings(user)
    shared = next((i for i, (a, b) in enumerate(zip(start, end, strict=False)) if a != b), min(len(start), len(end)))
    for path in start[shared:]:
        gives.setdefault(path, {})[ref] = None
    for path in end[shared:]:
        takes.setdefault(path, {})[ref] = None


def _finish(
    node: Node, graph: Graph, takes: dict[str, dict[TensorRef, None]], gives: dict[str, dict[TensorRef, None]]
) -> None:
    """Fill in what depends on the layers below."""
    layer, children = node.layer, list(node.children.values())
    for child in children:
        _finish(child, graph, takes, gives)
    assert layer is None or not any(child.weighted for child in children), f"weights inside the layer `{node.path}`"
    if layer is not None:
        _dissolve(children)
    node.weighted = bool(layer and layer.weights) or any(child.weighted for child in children)
    node.is_module = layer is None and (
        node.weighted or node.block is not None or any(child.is_module for child in children)
    )
    node.module = _owner(node)
    if node.module != node.path and beneath(node.path, node.module):  # a label around another part's module
        node.module, node.is_module = node.path, node.block is not None
    node.training_only = (layer is None or layer.training_only) and all(child.training_only for child in children)
    node.takes = _parameters_last(node, list(takes.get(node.path, {})))
    node.gives = _result_first(node, graph, list(gives.get(node.path, {})))


def _dissolve(nodes: Sequence[Node]) -> None:
    """Blocks after the layer that a label names, which lie under its path, are no modules: that place is taken."""
    for node in nodes:
        node.is_module = False
        _dissolve(list(node.children.values()))


def _parameters_last(node: Node, takes: list[TensorRef]) -> list[TensorRef]:
    """The value that flows in first, then tensor parameters in the block's order."""
    rank = {ref: -number for number, ref in enumerate(node.tensor_parameters())}
    return sorted(takes, key=lambda ref: rank.get(ref, -len(rank)))


def _result_first(node: Node, graph: Graph, gives: list[TensorRef]) -> list[TensorRef]:
    stage = graph.stages.get(node.path)
    if not gives:  # nothing uses it, but a module returns something
        return [TensorRef(_last(node).path)]
    if stage is None or stage.result not in gives:
        return gives
    return [stage.result, *(ref for ref in gives if ref != stage.result)]


def _last(node: Node) -> Layer:
    """The layer that comes last in it."""
    if node.children:
        return _last(list(node.children.values())[-1])
    assert node.layer is not None
    return node.layer


def _owner(node: Node) -> str:
    """The path that owns the weights, read off the layers that have some."""
    if node.layer is not None:
        return node.layer.module if node.layer.weights else node.path
    owners = {child.module.rpartition(".")[0] for child in node.children.values() if child.weighted}
    return owners.pop() if len(owners) == 1 and node.path else node.path


def beneath(path: str, owner: str) -> bool:
    """The path lies inside the part at `owner`, "" being the network."""
    return path.startswith(f"{owner}.") or not owner
