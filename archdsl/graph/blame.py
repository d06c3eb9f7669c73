"""Where a mismatch between branches began: the layer that made the odd size, and edits that may mend it."""

from __future__ import annotations

from dataclasses import dataclass

from archdsl.graph.graph import Input, Layer, TensorRef
from archdsl.graph.lint import walk
from archdsl.graph.state import Here, Value
from archdsl.graph.values import Tensor, show
from archdsl.language import syntax as s
from archdsl.language.diagnostics import Fix, Label
from archdsl.language.source import Span
from archdsl.ops.base import Op, TensorType, axis_names
from archdsl.ops.dims import factor
from archdsl.ops.embedding import Parameter
from archdsl.ops.geometry import Geometry
from archdsl.ops.merge import axes, disagreement
from archdsl.ops.recurrence import Zeros

CHANNELS = (0,)
#: what flows into these gives them nothing but the batch
SOURCES = (Parameter, Zeros)


@dataclass(frozen=True, slots=True)
class Origin:
    """The layer that made an odd size, with what it read and what it gave the branch."""

    layer: Layer
    before: TensorType
    after: TensorType


def blame(
    op: Op, tensors: tuple[Tensor, ...], here: Here, source: Value | None, branches: tuple[Span, ...]
) -> tuple[str, tuple[Label, ...], tuple[Fix, ...]]:
    """Words beside the carets, the places where the odd sizes arose, and candidate edits, best first."""
    disputed = _disputed(op, tensors)
    odd = _odd(op, tensors, source, disputed)
    rest = [index for index in range(len(tensors)) if index not in odd]
    label = _compared(tensors, [_branch_name(span, index) for index, span in enumerate(branches)], odd, rest, disputed)
    origins = [_origin(tensors[index], here, source, disputed) for index in odd]
    labels = tuple(mark for origin in origins if origin for mark in _marks(origin, here, disputed))
    if len(odd) != 1 or not rest or origins[0] is None or not _about_sizes(disputed):
        return label, labels, ()
    return label, labels, _edits(origins[0].layer, tensors[rest[0]].type.spatial, here)


def _disputed(op: Op, tensors: tuple[Tensor, ...]) -> tuple[int, ...]:
    """Indices of the axes that disagree, height and its like before the channels; none where the ranks differ."""
    names = axes(op, tuple(tensor.type for tensor in tensors))
    known = axis_names(len(tensors[0].type.shape))
    return tuple(known.index(name) for name in names if name != known[0]) or CHANNELS[: len(names)]


def _about_sizes(disputed: tuple[int, ...]) -> bool:
    return disputed not in ((), CHANNELS)


def _on(type: TensorType, disputed: tuple[int, ...]) -> tuple[int, ...]:
    """What two shapes are compared by: their rank, and their sizes on the axes that disagree."""
    return (len(type.shape), *(type.shape[axis] for axis in disputed if axis < len(type.shape)))


def _odd(op: Op, tensors: tuple[Tensor, ...], source: Value | None, disputed: tuple[int, ...]) -> tuple[int, ...]:
    """Which branches are at fault: of two, the one that is unlike what they forked from."""
    odd = disagreement(op, tuple(tensor.type for tensor in tensors))
    if len(tensors) != 2 or not isinstance(source, Tensor):
        return odd
    before = _on(source.type, disputed)
    changed = tuple(i for i, tensor in enumerate(tensors) if _on(tensor.type, disputed) != before)
    return changed if len(changed) == 1 else odd


def _compared(
    tensors: tuple[Tensor, ...], names: list[str], odd: tuple[int, ...], rest: list[int], disputed: tuple[int, ...]
) -> str:
    """`b` is [N, 8, 4, 4]; `a`, `c` are 8x8."""
    label = "; ".join(f"{names[i]} is {tensors[i].type}" for i in odd)
    if not rest:
        return label
    type = tensors[rest[0]].type
    shown = _product(type) if _about_sizes(disputed) else str(type)
    return f"{label}; {', '.join(names[i] for i in rest)} {'is' if len(rest) == 1 else 'are'} {shown}"


def _branch_name(span: Span, index: int) -> str:
    name, colon, _ = span.text.partition(":")
    if colon and name.isidentifier():
        return f"`{name}`"
    short = len(span.text) <= 24 and span.text.isprintable()
    return f"`{span.text}`" if short else f"branch {index + 1}"


def _product(type: TensorType) -> str:
    return "x".join(map(factor, type.spatial))


def _origin(tensor: Tensor, here: Here, source: Value | None, disputed: tuple[int, ...]) -> Origin | None:
    """The last layer on the branch, walking back from its end, that changed what disagrees, or made it anew."""
    stop = source.ref if isinstance(source, Tensor) else None
    ref: TensorRef = tensor.ref
    while ref != stop:
        node = here.e.nodes[ref.path]
        if isinstance(node, Input) or not node.inputs or node.path not in here.e.calls:  # e.g. a step of a `recur`
            return None
        before, after = node.input_types[0], node.output_types[ref.index]
        if isinstance(node.op, SOURCES) or _on(before, disputed) != _on(after, disputed):
            return Origin(node, before, after)
        ref = node.inputs[0]
    return None


def _marks(origin: Origin, here: Here, disputed: tuple[int, ...]) -> tuple[Label, ...]:
    """The layer itself, and the call of its block where that gave the layer its arguments."""
    call = here.e.calls[origin.layer.path][0]
    return (Label(call.span, _became(origin, disputed)), *_from_call(call, origin.layer, here))


def _from_call(call: s.Call | s.Combinator, layer: Layer, here: Here) -> tuple[Label, ...]:
    scope = here.e.scopes.get(layer.stack[-1].name) if layer.stack else None
    if scope is None or call.arguments is None:
        return ()
    used = {node.name for node in walk(call.arguments) if isinstance(node, s.Name)}
    given = [(name, value) for name, value in scope.arguments if name in used and not isinstance(value, Tensor)]
    shown = ", ".join(f"`{name}` is {show(value)}" for name, value in given)
    return (Label(layer.stack[-1].span, f"{shown} in this call"),) if given else ()


def _became(origin: Origin, disputed: tuple[int, ...]) -> str:
    """Whole shapes where the rank changes or the tensor is made anew, else what of them disagrees."""
    before, after, layer = origin.before, origin.after, origin.layer
    anew, many = isinstance(layer.op, SOURCES), len(layer.inputs) > 1
    if anew or len(before.shape) != len(after.shape):
        return f"makes {after} here" if anew or many else f"{before} becomes {after} here"
    if disputed == CHANNELS:
        kind, count = axis_names(len(after.shape))[0], after.shape[0]
        return f"makes {count} {kind} here" if many else f"{before.shape[0]} {kind} become {count} here"
    made = f"{_product(after)} here{_sum(origin, disputed)}"
    return f"makes {made}" if many else f"{_product(before)} becomes {made}"


def _sum(origin: Origin, disputed: tuple[int, ...]) -> str:
    """The sum behind the first size that changed."""
    sums = origin.layer.op.arithmetic(origin.layer.input_types)
    changed = (axis for axis in disputed if axis and origin.before.shape[axis] != origin.after.shape[axis])
    axis = next(changed, 0)
    return f": {sums[axis - 1]}" if 0 < axis <= len(sums) else ""


def _edits(layer: Layer, wanted: tuple[int, ...], here: Here) -> tuple[Fix, ...]:
    """Edits of the call's own stride and padding that could give the wanted size; whoever offers one tries it first."""
    call, bound = here.e.calls[layer.path]
    if not hasattr(layer.op, "geometry") or not isinstance(call, s.Call) or call.arguments is None:
        return ()
    geometry: Geometry | None = layer.op.geometry(layer.input_types)
    if geometry is None:  # a global pool has no stride and no padding
        return ()
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
