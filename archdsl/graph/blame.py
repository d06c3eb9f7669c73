"""Where a mismatch between branches began: the layer that made the odd size, and edits that may mend it."""

from __future__ import annotations

from archdsl.graph.graph import Input, Layer, TensorRef
from archdsl.graph.state import Here, Value
from archdsl.graph.values import Tensor
from archdsl.language import syntax as s
from archdsl.language.diagnostics import Fix, Label
from archdsl.language.source import Span
from archdsl.ops.base import Op
from archdsl.ops.dims import factor
from archdsl.ops.geometry import Geometry
from archdsl.ops.merge import disagreement


def blame(
    op: Op, tensors: tuple[Tensor, ...], here: Here, source: Value | None, branches: tuple[Span, ...]
) -> tuple[str, tuple[Label, ...], tuple[Fix, ...]]:
    """Words beside the carets, the places where the odd sizes arose, and candidate edits, best first."""
    odd = _odd(op, tensors, source)
    names = [_branch_name(span, index) for index, span in enumerate(branches)]
    rest = [index for index in range(len(tensors)) if index not in odd]
    label = "; ".join(f"{names[i]} is {tensors[i].type}" for i in odd)
    if rest:
        others = ", ".join(names[i] for i in rest)
        shown = _size(tensors[rest[0]]) if _only_sizes_differ(tensors) else str(tensors[rest[0]].type)
        label += f"; {others} {'is' if len(rest) == 1 else 'are'} {shown}"
    origins = [(index, _origin(tensors[index], here, source)) for index in odd]
    labels = tuple(Label(_call_span(layer, here), _became(layer)) for _, layer in origins if layer)
    if len(odd) != 1 or not rest or origins[0][1] is None:
        return label, labels, ()
    return label, labels, _edits(origins[0][1], tensors[rest[0]].type.spatial, here)


def _odd(op: Op, tensors: tuple[Tensor, ...], source: Value | None) -> tuple[int, ...]:
    """Which branches are at fault: of two, the one that does not have the size of what they forked from."""
    odd = disagreement(op, tuple(tensor.type for tensor in tensors))
    if len(tensors) != 2 or not isinstance(source, Tensor) or not _only_sizes_differ(tensors):
        return odd
    changed = tuple(i for i, tensor in enumerate(tensors) if tensor.type.spatial != source.type.spatial)
    return changed if len(changed) == 1 else odd


def _only_sizes_differ(tensors: tuple[Tensor, ...]) -> bool:
    """Whether height and width (or their like) are what differs, rather than rank or channels alone."""
    ranks = {len(tensor.type.shape) for tensor in tensors}
    return len(ranks) == 1 and len({tensor.type.spatial for tensor in tensors}) > 1


def _branch_name(span: Span, index: int) -> str:
    name, colon, _ = span.text.partition(":")
    if colon and name.isidentifier():
        return f"`{name}`"
    short = len(span.text) <= 24 and span.text.isprintable()
    return f"`{span.text}`" if short else f"branch {index + 1}"


def _size(tensor: Tensor) -> str:
    return "x".join(map(factor, tensor.type.spatial)) if len(tensor.type.shape) > 1 else str(tensor.type)


def _origin(tensor: Tensor, here: Here, source: Value | None) -> Layer | None:
    """The last layer on the branch, walking back from its end, that changed the size of the picture."""
    stop = source.ref if isinstance(source, Tensor) else None
    ref: TensorRef = tensor.ref
    while ref != stop:
        node = here.e.nodes[ref.path]
        if isinstance(node, Input) or not node.inputs or node.path not in here.e.calls:  # e.g. a step of a `recur`
            return None
        if node.input_types[0].spatial != node.output_types[0].spatial:
            return node
        ref = node.inputs[0]
    return None


def _became(layer: Layer) -> str:
    before, after = (
        "x".join(map(factor, types[0].shape[1:] or types[0].shape)) for types in (layer.input_types, layer.output_types)
    )
    arithmetic = layer.op.arithmetic(layer.input_types)
    odd = next(
        (i for i, _ in enumerate(arithmetic) if layer.input_types[0].spatial[i] != layer.output_types[0].spatial[i]), 0
    )
    return f"{before} becomes {after} here" + (f": {arithmetic[odd]}" if arithmetic else "")


def _call_span(layer: Layer, here: Here) -> Span:
    return here.e.calls[layer.path][0].span


def _edits(layer: Layer, wanted: tuple[int, ...], here: Here) -> tuple[Fix, ...]:
    """Edits of the call's own stride and padding that could give the wanted size; whoever offers one tries it first."""
    call, bound = here.e.calls[layer.path]
    if not hasattr(layer.op, "geometry") or not isinstance(call, s.Call) or call.arguments is None:
        return ()
    geometry: Geometry = layer.op.geometry(layer.input_types)
    keeps = f"gives {'x'.join(map(factor, wanted))}"
    close = Span(call.span.source, call.span.end - 1, call.span.end - 1)
    edits = []
    if wanted == geometry.input and max(geometry.stride) > 1:
        edits += _set("stride", "1", bound.spans, close, keeps)
    for pad in range(max(geometry.kernel) // 2 * max(geometry.dilation) + 1):
        edits += _set("pad", str(pad), bound.spans, close, keeps)
    return tuple(edits)


def _set(argument: str, text: str, spans: dict[str, Span], close: Span, keeps: str) -> list[Fix]:
    span = spans.get(argument)
    if span is None:
        return [Fix(f"`{argument} = {text}` {keeps}", close, f", {argument} = {text}")]
    if not span.text.replace("_", "").isdigit() or span.text == text:
        return []
    return [Fix(f"`{argument} = {text}` {keeps}", span, text)]
