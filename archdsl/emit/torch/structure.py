"""The tree of modules that the paths of a graph span, and which tensors cross into and out of each part."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from archdsl.emit.torch.rules import Form, form
from archdsl.graph.graph import Graph, Layer, Scope, TensorRef
from archdsl.graph.values import Tensor
from archdsl.language.diagnostics import error

#: As the index of a `TensorRef`: not a tensor, but the module that owns the weights at this path.
MODULE = -1


@dataclass(eq=False, slots=True)
class Node:
    """One beginning of a path: the network (""), a label, a block instance, or a layer.

    `takes` are the tensors from outside that its layers use, in the order of use, then modules of other parts that
    it applies; `gives` its tensors that are used outside, its result first. `module` is the path that owns its
    weights: its own, unless shared; then `first` is the use of the same module that gives its class and constructor,
    itself or another. `shared` are the first uses of the modules inside that do not belong to it, by their paths.
    `loop` is the `recur` in whose body all of it lies.
    """

    path: str
    scope: Scope | None = None
    layer: Layer | None = None
    children: dict[str, Node] = field(default_factory=dict)
    takes: list[TensorRef] = field(default_factory=list)
    gives: list[TensorRef] = field(default_factory=list)
    module: str = ""
    first: Node | None = None
    shared: dict[str, Node] = field(default_factory=dict)
    weighted: bool = False
    is_module: bool = False
    loop: str = ""
    training_only: bool = True
    _form: Form | None = None

    @property
    def name(self) -> str:
        """Last component of the path."""
        return self.path.rpartition(".")[2]

    @property
    def label(self) -> str:
        """The name of its module."""
        return self.module.rpartition(".")[2]

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
    root.takes = [TensorRef(value.path) for value in graph.inputs]
    _own(root, _uses(graph), {})
    _finish(root, graph, takes, gives)
    _reconcile(root)
    root.takes = [TensorRef(value.path) for value in graph.inputs]
    root.gives = [output.tensor for output in graph.outputs]
    return root


def _uses(graph: Graph) -> dict[str, str]:
    """Where modules are applied, and their own paths; a layer with other layers' weights is a use by itself."""
    uses = dict(graph.uses)
    for layer in graph.layers:
        if layer.weights and layer.module != _owner(layer.path, uses):
            uses[layer.path] = layer.module
    return uses


def _owner(path: str, uses: Mapping[str, str]) -> str:
    """The path that owns the weights of what lies at `path`."""
    use = next((start for start in reversed(beginnings(path)) if start in uses), None)
    return path if use is None else uses[use] + path[len(use) :]


def _own(node: Node, uses: Mapping[str, str], firsts: dict[str, Node]) -> None:
    """Fill in whose weights each part has, and the first use of each module."""
    node.module = _owner(node.path, uses)
    if node.path in uses or node.path in uses.values():
        node.first = firsts.setdefault(node.module, node)
    for child in node.children.values():
        _own(child, uses, firsts)


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
    own = (child for child in children if beneath(child.module, node.module))
    holds = any(child.is_module or (child.layer is not None and child.weighted) for child in own)
    used: dict[str, Node] = {}
    for child in children:
        # a block without weights is a part of its own too; a chain of modules from elsewhere is written in place
        called = child.is_module or (child.layer is not None and child.weighted)
        used |= {**child.shared, **({child.module: child.first} if child.first and called else {})}
    node.shared = {path: first for path, first in used.items() if not beneath(path, node.module)}
    # a label around uses of modules that lie elsewhere has nothing to be a module for
    node.is_module = layer is None and (node.block is not None or holds or len(node.shared) < len(used))
    node.loop = _loop(node, graph)
    node.training_only = (layer is None or layer.training_only) and all(child.training_only for child in children)
    node.takes = _parameters_last(node, list(takes.get(node.path, {})))
    node.takes += [TensorRef(path, MODULE) for path in node.shared]
    node.gives = _result_first(node, graph, list(gives.get(node.path, {})))


def _loop(node: Node, graph: Graph) -> str:
    """The innermost loop around all of its layers: one part never lies half in a loop."""
    found = [child.loop for child in node.children.values()] + ([node.layer.loop] if node.layer else [])
    return min(found, key=lambda loop: _depth(loop, graph), default="")


def _depth(loop: str, graph: Graph) -> int:
    return 1 + _depth(graph.layer(loop).loop, graph) if loop else 0


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


def beneath(path: str, owner: str) -> bool:
    """The path lies inside the part at `owner`, "" being the network."""
    return path.startswith(f"{owner}.") or not owner


# Modules that are used more than once ---------------------------------------------------------------------------------


def _reconcile(root: Node) -> None:
    """Uses of a module that do what its first use does are calls of it; others are written in place.

    All calls give the same tensors: those of any use that is needed outside.
    """
    groups: dict[str, list[Node]] = {}
    for node in _all(root):
        if node.first is not None:
            _refuse_other_modules(node, node.first)
        if node.first is not None and node.is_module:
            groups.setdefault(node.module, []).append(node)
    for first, *others in groups.values():
        same = [first, *(node for node in others if not _unlike(node, first))]
        given = dict.fromkeys(ref.path[len(n.path) :] + f":{ref.index}" for n in same for ref in n.gives)
        for node in same:
            node.gives = [_within(node, name) for name in given]


def _all(node: Node) -> Iterator[Node]:
    yield node
    for child in node.children.values():
        yield from _all(child)


def _refuse_other_modules(node: Node, first: Node) -> None:
    """Raises `ArchError` (`torch-unsupported`) where two uses need PyTorch modules made in different ways."""
    made = {child.path[len(first.path) :]: child.form.module for child in _all(first) if child.layer is not None}
    for child in _all(node):
        layer = child.layer
        if layer is None or not layer.weights or child.form.module == made.get(child.path[len(node.path) :]):
            continue
        message = f"`{layer.path}` cannot share the PyTorch module of `{first.path}`: it needs other arguments"
        raise error("torch-unsupported", message, layer.span, stack=layer.stack)


def _within(node: Node, name: str) -> TensorRef:
    path, _, index = name.rpartition(":")
    return TensorRef(node.path + path, int(index))


def _unlike(node: Node, first: Node) -> bool:
    """Whether it does anything else than the first use, e.g. reshapes to another size; then it is no module."""
    if _signature(node) == _signature(first):
        return False
    node.is_module = False
    for name, child in node.children.items():
        if child.is_module and name in first.children:
            _unlike(child, first.children[name])
    return True


def _signature(node: Node) -> object:
    """What the part computes from what it takes, without its own path."""
    places = {ref: f"<{number}>" for number, ref in enumerate(node.takes)}
    layers = [child for child in _all(node) if child.layer is not None]
    return [
        (child.path[len(node.path) :], child.form, [_place(node, ref, places) for ref in _inputs(child)])
        for child in layers
    ]


def _inputs(node: Node) -> tuple[TensorRef, ...]:
    assert node.layer is not None
    return node.layer.inputs


def _place(node: Node, ref: TensorRef, places: Mapping[TensorRef, str]) -> str:
    return places.get(ref) or f"{ref.path[len(node.path) :]}:{ref.index}"
