"""The same layers on inputs of other sizes: every type inferred again from the ops."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from archdsl.graph.dimensions import Asked, opened
from archdsl.graph.graph import CheckedGraph, Graph, Input, Layer, TensorRef
from archdsl.graph.sizes import Sizes, at, nominal
from archdsl.graph.symbolic import HELP, points
from archdsl.graph.values import show
from archdsl.language.diagnostics import ArchError, error
from archdsl.ops.base import Op, ShapeError, TensorType, Weight
from archdsl.ops.dims import Symbol, sizes_text
from archdsl.ops.linear import Linear
from archdsl.ops.recurrence import Steps

Known = dict[tuple[Op, tuple[TensorType, ...]], tuple[tuple[TensorType, ...], tuple[Weight, ...]]]
Shapes = Mapping[str, tuple[int, ...]]


def retype(graph: CheckedGraph, inputs: Mapping[str, Asked] | None = None) -> CheckedGraph:
    """The graph with the given `inputs` at these shapes (without the batch), all its types and none of its claims.

    The layers stay as they were laid out, which elaborating the spec at another size need not do: a `linear` keeps
    its weights. A text such as `H` or `H:224..512by32` leaves a size open, as in `archdsl.load`. Raises `ArchError`:
    `unknown-parameter`, `bad-input-shape` and `symbolic-range` for the request, `size-fixed` where a layer's weights
    or the steps of a `recur` would have to be others, an op's own code where it refuses its input, and `symbolic-size`
    where one of these holds at some of the open sizes.
    """
    if not inputs:
        return _typed(graph, {})
    _check_request(graph, inputs)
    graph = at(graph, nominal(graph))
    symbols: dict[str, Symbol] = {}
    own = {node.path: node for node in graph.inputs}
    shapes = {path: opened(asked, own[path].type.shape, own[path].span, symbols) for path, asked in inputs.items()}
    found = replace(_typed(graph, shapes), symbols=tuple(symbols.values()))
    for sizes in points(found.symbols):
        _check_at(graph, found, sizes)
    return found


def type_of(nodes: Mapping[str, Input | Layer], ref: TensorRef) -> TensorType:
    """Type of a tensor of these nodes."""
    node = nodes[ref.path]
    return node.type if isinstance(node, Input) else node.output_types[ref.index]


def _typed(graph: CheckedGraph, shapes: Shapes) -> CheckedGraph:
    nodes: dict[str, Input | Layer] = {}
    known: Known = {}
    for path, node in graph.nodes.items():
        if isinstance(node, Input):
            nodes[path] = replace(node, type=TensorType(shapes.get(path, node.type.shape), node.type.dtype))
        else:
            nodes[path] = _retyped(graph, node, tuple(type_of(nodes, ref) for ref in node.inputs), known)
    asked = [nodes[path] for path in shapes]
    changed = [node for node in asked if _sizes(node) != _sizes(graph.nodes[node.path])]
    return replace(
        graph,
        nodes=nodes,
        outputs=tuple(replace(output, type=type_of(nodes, output.tensor)) for output in graph.outputs),
        stages={path: replace(stage, type=type_of(nodes, stage.result)) for path, stage in graph.stages.items()},
        claims=(),
        verdicts=(),
        overridden=(*graph.overridden, *(f"`{node.path}: {show(shapes[node.path])}`" for node in changed)),
    )


def _sizes(node: Input | Layer) -> tuple[int, ...]:
    """Nominal sizes of an input."""
    return tuple(map(int, type_of({node.path: node}, TensorRef(node.path)).shape))


def _check_request(graph: Graph, asked: Mapping[str, Asked]) -> None:
    declared = {input.path: input for input in graph.inputs}
    for name, shape in asked.items():
        if name not in declared:
            notes = (f"it has {', '.join(declared)}",)
            raise error("unknown-parameter", f"`{graph.name}` has no input `{name}`", notes=notes)
        node = declared[name]
        if len(shape) != len(node.type.shape) or any(isinstance(size, int) and size < 1 for size in shape):
            message = f"`{name}` is {node.type}; it cannot become [{', '.join(map(str, ('N', *shape)))}]"
            raise error("bad-input-shape", message, node.span, help="give a size of at least 1 for each axis")


def _check_at(graph: CheckedGraph, found: CheckedGraph, sizes: Sizes) -> None:
    """Rules that choose have chosen at the nominal sizes; at these ones the network has to be the same."""
    expected = at(found, sizes)
    try:
        there = _typed(graph, {node.path: node.type.shape for node in expected.inputs})
    except ArchError as refusal:
        (first,) = refusal.diagnostics
        message = f"at {sizes_text(sizes)}: {first.message}"
        raise ArchError([replace(first, code="symbolic-size", message=message, help=HELP)]) from None
    for path, node in there.nodes.items():
        if node != expected.nodes[path]:
            message = f"at {sizes_text(sizes)} `{path}` is not what it is at {sizes_text(nominal(found))}"
            raise error("symbolic-size", message, node.span, help=HELP)


def _retyped(graph: CheckedGraph, layer: Layer, types: tuple[TensorType, ...], known: Known) -> Layer:
    key = layer.op, types
    try:
        if key not in known:
            known[key] = layer.op.infer(types), layer.op.weights(types)
    except ShapeError as refusal:
        raise error(
            refusal.code, f"`{layer.path}`: {refusal.message}", layer.span, label=refusal.label,
            notes=(*refusal.notes, _laid_out(layer)), help=refusal.help, stack=layer.stack,
        ) from None  # fmt: skip
    results, weights = known[key]
    _check_weights(graph, layer, weights)
    _check_steps(layer, types)
    return replace(layer, input_types=types, output_types=results)


def _check_weights(graph: CheckedGraph, layer: Layer, weights: tuple[Weight, ...]) -> None:
    for old, new in zip(layer.weights, weights, strict=True):
        if old.shape == new.shape:
            continue
        message = f"`{layer.key(old)}` is {list(old.shape)}; an input of this size needs {list(new.shape)}"
        prevented, help = _advice(graph, layer) if isinstance(layer.op, Linear) else ((), None)
        notes = (_laid_out(layer), *prevented)
        raise error("size-fixed", message, layer.span, notes=notes, help=help, stack=layer.stack)


def _advice(graph: CheckedGraph, layer: Layer) -> tuple[tuple[str, ...], str | None]:
    """A note about what keeps `fc_to_conv` from converting the layer, or the advice to run it."""
    from archdsl.passes.fc_to_conv import obstacle  # which types its result with this file

    found = obstacle(graph, layer.path)
    if found is None:
        return (), "the pass `fc_to_conv` turns fully connected layers into convolutions, which take any larger image"
    which = "it" if found.path == layer.path else f"`{found.path}` (`{found.op.name}`)"
    return (f"`fc_to_conv` cannot convert it: {which} needs a vector, or shares its weights",), None


def _check_steps(layer: Layer, types: tuple[TensorType, ...]) -> None:
    if not isinstance(layer.op, Steps) or types[0].shape[0] == layer.input_types[0].shape[0]:
        return
    message = f"`recur` runs {layer.input_types[0].shape[0]} steps; at this size there would be {types[0].shape[0]}"
    raise error("size-fixed", message, layer.span, notes=(_laid_out(layer),), stack=layer.stack)


def _laid_out(layer: Layer) -> str:
    return f"`{layer.path}` was laid out for an input of {', '.join(map(str, layer.input_types))}"
