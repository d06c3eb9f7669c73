"""Receptive fields and effective strides: which input positions an element of a tensor can depend on.

Along each spatial axis of the network's inputs, the first and the last input position that output
position `o` sees are followed as exact integer functions of `o` (after Araujo, Norris, Sim: "Computing
Receptive Fields of Convolutional Neural Networks", Distill 2019, with floors where upsampling and
adaptive pooling have them). Branches are united. Fields are theoretical: neither padding nor the
input's edge clips them. Several inputs are laid over each other.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise

from archdsl.graph.edge import Edge, compose, highest, lowest, sample_positions
from archdsl.graph.graph import Layer
from archdsl.ops.activation import LogSoftmax, Softmax
from archdsl.ops.axes import position
from archdsl.ops.base import Global, Op, TensorType, Window
from archdsl.ops.channels import PadChannels, Select
from archdsl.ops.linear import RBF, Linear
from archdsl.ops.merge import Concat
from archdsl.ops.normalization import LayerNorm
from archdsl.ops.pooling import AdaptiveAvgPool, AdaptiveMaxPool
from archdsl.ops.recurrence import Recur, Steps, Zeros
from archdsl.ops.reduction import ArgMax, Reduction
from archdsl.ops.resampling import Upsample
from archdsl.ops.shaping import Flatten, Reshape, ReshapeAs, Slice, Split, Transpose

Number = int | Fraction


@dataclass(frozen=True, slots=True)
class Axis:
    """One spatial axis of the network's input as it reaches a tensor.

    Position `o` of `count` sees from the lowest of `lows` to the highest of `highs` at `o`. The positions
    run along one axis of the tensor, `holders[0]` (of a sample, from 0). Once their order is lost they lie
    scattered over all `holders`: then `scattered` input positions are what one element sees, and `lows` and
    `highs` bound what all see. `stride` is the distance between what neighbours see.
    """

    lows: tuple[Edge, ...]
    highs: tuple[Edge, ...]
    count: int
    stride: Number
    holders: tuple[int, ...]
    scattered: int | None = None

    @property
    def size(self) -> int:
        """Input positions that one element can see: the most over all elements."""
        if self.scattered is not None:
            return self.scattered
        low, high = self.lows[0], self.highs[0]
        if len(self.lows) == len(self.highs) == 1 and low[1:] == high[1:]:
            return high.offset - low.offset + 1
        return 1 + max(
            max(high.at(o) for high in self.highs) - min(low.at(o) for low in self.lows)
            for o in sample_positions((*self.lows, *self.highs), self.count)
        )

    @property
    def bounds(self) -> tuple[Edge, Edge]:
        """First and last input position that any element sees."""
        first = min(low.at(0) for low in self.lows)
        return Edge(first), Edge(max(high.at(self.count - 1) for high in self.highs))


#: One entry for each spatial axis of the network's input.
Field = tuple[Axis, ...]


def source(type: TensorType) -> Field:
    """The field of a network input: every position sees itself."""
    edges = (Edge(0, 1),)
    return tuple(Axis(edges, edges, size, 1, (axis,)) for axis, size in enumerate(type.shape) if axis)


def through(layer: Layer, fields: Sequence[Field], window: Window | Global | None) -> tuple[Field, ...]:
    """Fields of a layer's results from those of its inputs; `window` is the op's on these inputs."""
    rule = RULES.get(type(layer.op))
    if rule is not None:
        return rule(layer, fields)
    if isinstance(layer.op, Reduction | ArgMax):
        return (_reduced(layer, fields[0]),)
    return (_by_window(layer, fields, window),) * len(layer.output_types)


def _reduced(layer: Layer, field: Field) -> Field:
    """Reduced axes are seen whole; what ran along one that is gone is at the first of one position."""
    assert isinstance(layer.op, Reduction | ArgMax)
    gone, rank = layer.op.reduced(layer.input_types), len(layer.input_types[0].shape)
    seen = collapsed(field, gone)
    if layer.op.keep:
        return seen
    moved = {old: new for new, old in enumerate(i for i in range(rank) if i not in gone)}
    return tuple(replace(axis, holders=tuple(moved[h] for h in axis.holders if h in moved) or (0,)) for axis in seen)


def _by_window(layer: Layer, fields: Sequence[Field], window: Window | Global | None) -> Field:
    if isinstance(window, Window):
        return _windowed(layer, fields[0], window)
    if window is None:
        return union(fields)
    space = range(1, len(layer.input_types[0].shape))
    same = layer.output_types[0].shape == layer.input_types[0].shape
    return mixed(fields[0], space) if same else collapsed(fields[0], space)


def union(fields: Sequence[Field]) -> Field:
    """What an element sees that is made of one element of each of these; an axis of one position goes with all."""
    if all(field is fields[0] for field in fields):
        return fields[0]
    count = max(len(field) for field in fields)
    return tuple(_union([field[i] for field in fields if i < len(field)]) for i in range(count))


def _union(axes: list[Axis]) -> Axis:
    if any(axis.scattered is not None for axis in axes) or len({axis.holders for axis in axes}) > 1:
        axes = [scatter(axis) for axis in axes]
    sizes = [axis.scattered for axis in axes if axis.scattered is not None]
    count = max(axis.count for axis in axes)  # an axis of one position is repeated and has no stride
    return Axis(
        lowest(edge for axis in axes for edge in axis.lows),
        highest((edge for axis in axes for edge in axis.highs), count),
        count,
        max(axis.stride for axis in axes if axis.count == count),
        tuple(sorted({holder for axis in axes for holder in axis.holders})),
        max(sizes) if sizes else None,
    )


def scatter(axis: Axis, holders: tuple[int, ...] | None = None) -> Axis:
    """The axis with its order lost."""
    low, high = axis.bounds
    return Axis((low,), (high,), axis.count, axis.stride, axis.holders if holders is None else holders, axis.size)


def _collapse(axis: Axis) -> Axis:
    """All positions become one, as under a window of that size."""
    low, high = axis.bounds
    return Axis((low,), (high,), 1, axis.stride * axis.count, axis.holders)


def _mix(axis: Axis) -> Axis:
    """Every position comes to depend on all of them and stays where it is."""
    low, high = axis.bounds
    scattered = None if axis.scattered is None else high.offset - low.offset + 1
    highs = highest((*axis.highs, high), axis.count)
    return replace(axis, lows=lowest((*axis.lows, low)), highs=highs, scattered=scattered)


def collapsed(field: Field, over: Collection[int]) -> Field:
    """Axes that run along any of these axes of the tensor are collapsed."""
    return tuple(_collapse(axis) if any(h in over for h in axis.holders) else axis for axis in field)


def mixed(field: Field, over: Collection[int]) -> Field:
    return tuple(_mix(axis) if any(h in over for h in axis.holders) else axis for axis in field)


def _windowed(layer: Layer, field: Field, window: Window) -> Field:
    """A sliding window over the axes after the first; what mixes channels also mixes what lies scattered in them."""
    return tuple(_slide(layer, axis, window) for axis in field)


def _slide(layer: Layer, axis: Axis, window: Window) -> Axis:
    holder = axis.holders[0] - 1
    if axis.scattered is None and holder >= 0:
        low = -window.padding[holder][0]
        high = low + (window.kernel[holder] - 1) * window.dilation[holder]
        return _stepped(axis, window.stride[holder], (low, high), layer.output_types[0].shape[holder + 1])
    local = [k == s == 1 for k, s in zip(window.kernel, window.stride, strict=True)]
    mixed = (layer.op.weighted if h == 0 else not local[h - 1] for h in axis.holders)
    return _collapse(axis) if any(mixed) else axis


def _stepped(axis: Axis, stride: Number, reach: tuple[int, int], count: int) -> Axis:
    """Position `o` now sees what `floor(o * stride)` saw, from `reach[0]` before or after it to `reach[1]`."""
    up, down = stride.as_integer_ratio()
    lows = lowest(compose(edge, up, reach[0] * down, down) for edge in axis.lows)
    highs = highest((compose(edge, up, reach[1] * down, down) for edge in axis.highs), count)
    return Axis(lows, highs, count, axis.stride * stride, axis.holders)


def _linear(layer: Layer, fields: Sequence[Field]) -> tuple[Field, ...]:
    return (collapsed(fields[0], (len(layer.input_types[0].shape) - 1,)),)


def _layernorm(layer: Layer, fields: Sequence[Field]) -> tuple[Field, ...]:
    assert isinstance(layer.op, LayerNorm)
    rank = len(layer.input_types[0].shape)
    return (mixed(fields[0], range(rank - layer.op.axes, rank)),)


def _softmax(layer: Layer, fields: Sequence[Field]) -> tuple[Field, ...]:
    assert isinstance(layer.op, Softmax | LogSoftmax)
    return (mixed(fields[0], (position(layer.input_types[0], layer.op.axis),)),)


def _transpose(layer: Layer, fields: Sequence[Field]) -> tuple[Field, ...]:
    assert isinstance(layer.op, Transpose)
    moved = {old - 1: new for new, old in enumerate(layer.op.order)}
    return (tuple(replace(axis, holders=tuple(sorted(moved[h] for h in axis.holders))) for axis in fields[0]),)


def _reshape(layer: Layer, fields: Sequence[Field]) -> tuple[Field, ...]:
    # a single number is at the first of one place
    old, new = layer.input_types[0].shape or (1,), layer.output_types[0].shape
    return (tuple(_reshaped(axis, old, new) for axis in fields[0]),)


def _reshaped(axis: Axis, old: tuple[int, ...], new: tuple[int, ...]) -> Axis:
    """An axis of the same size with as many elements after it keeps its order, any other is scattered."""
    holder = axis.holders[0]
    after = math.prod(old[holder + 1 :])
    kept = [i for i, size in enumerate(new) if size == old[holder] and math.prod(new[i + 1 :]) == after]
    if axis.scattered is None and kept:
        return replace(axis, holders=(kept[-1],))
    return scatter(axis, _spread(axis.holders, old, new))


def _spread(holders: tuple[int, ...], old: tuple[int, ...], new: tuple[int, ...]) -> tuple[int, ...]:
    """The new axes over which elements may lie that ran along these old ones.

    Moving along the old axes takes steps of `low` up to `high` elements; so does moving along the new ones.
    """
    low, high = math.prod(old[max(holders) + 1 :]), math.prod(old[min(holders) :])
    steps = [math.prod(new[i + 1 :]) for i in range(len(new))]
    return tuple(i for i, step in enumerate(steps) if step < high and step * new[i] > low) or (len(new) - 1,)


def _slice(layer: Layer, fields: Sequence[Field]) -> tuple[Field, ...]:
    assert isinstance(layer.op, Slice)
    holder = position(layer.input_types[0], layer.op.axis)
    start, _ = layer.op.bounds(layer.input_types)
    return (_cut(fields[0], holder, start, layer.op.step, layer.output_types[0].shape[holder]),)


def _split(layer: Layer, fields: Sequence[Field]) -> tuple[Field, ...]:
    assert isinstance(layer.op, Split)
    holder = position(layer.input_types[0], layer.op.axis)
    sizes = layer.op.sizes(layer.input_types)
    return tuple(_cut(fields[0], holder, sum(sizes[:i]), 1, size) for i, size in enumerate(sizes))


def _steps(layer: Layer, fields: Sequence[Field]) -> tuple[Field, ...]:
    """A step has one axis less; a state has seen all steps before, so everywhere."""
    rank = len(layer.input_types[0].shape)
    step = tuple(_collapse(axis) if 0 in axis.holders else axis for axis in fields[0])
    step = tuple(replace(axis, holders=tuple(max(0, holder - 1) for holder in axis.holders)) for axis in step)
    states = zip(layer.output_types[1:], fields[1:], strict=True)
    return (step, *(mixed(union([_onto(step, layer, state), field]), range(rank)) for state, field in states))


def _onto(step: Field, layer: Layer, state: TensorType) -> Field:
    """What a state takes over of a step: along an axis that both have, position by position, else all as one."""
    shape = layer.output_types[0].shape
    alike = {axis for axis, (a, b) in enumerate(zip(shape, state.shape, strict=False)) if a == b}
    return tuple(axis if alike.issuperset(axis.holders) else replace(_collapse(axis), holders=(0,)) for axis in step)


def _recur(layer: Layer, fields: Sequence[Field]) -> tuple[Field, ...]:
    """Axes of a step come after that of time, which is all that a sequence of single numbers has."""
    by = min(1, len(layer.output_types[0].shape) - 1)
    sequence = tuple(replace(axis, holders=tuple(holder + by for holder in axis.holders)) for axis in fields[0])
    return (sequence, *fields[1:])


def _zeros(layer: Layer, fields: Sequence[Field]) -> tuple[Field, ...]:
    """They depend on nothing but the batch, yet an element has to be somewhere: at the first position."""
    start = (Edge(0),)
    return (tuple(Axis(start, start, 1, axis.stride * axis.count, (0,)) for axis in fields[0]),)


def _select(layer: Layer, fields: Sequence[Field]) -> tuple[Field, ...]:
    """Positions at one distance from each other are a slice; in any other order, the order is lost."""
    assert isinstance(layer.op, Select)
    holder = position(layer.input_types[0], layer.op.axis)
    entries = layer.op.entries(layer.input_types)
    steps = {later - earlier for earlier, later in pairwise(entries)}
    if len(steps) <= 1 and min(steps, default=1) > 0:
        return (_cut(fields[0], holder, entries[0], min(steps, default=1), len(entries)),)
    along = (axis.scattered is None and axis.holders == (holder,) for axis in fields[0])
    return (tuple(_picked(axis, entries) if here else axis for axis, here in zip(fields[0], along, strict=True)),)


def _picked(axis: Axis, entries: Sequence[int]) -> Axis:
    """What any of these positions sees lies between the first and the last of them."""
    first, last = (_stepped(axis, 1, (entry, entry), 1) for entry in (min(entries), max(entries)))
    scattered = scatter(axis)
    return replace(scattered, lows=(first.bounds[0],), highs=(last.bounds[1],), count=len(entries))


def _pad_channels(layer: Layer, fields: Sequence[Field]) -> tuple[Field, ...]:
    """Moves positions only where they run along the channels."""
    assert isinstance(layer.op, PadChannels)
    return (_cut(fields[0], 0, -layer.op.before, 1, layer.output_types[0].shape[0]),)


def _cut(field: Field, holder: int, start: int, step: int, count: int) -> Field:
    """Every `step`-th of the positions along one axis of the tensor, from `start` on."""
    return tuple(
        _stepped(axis, step, (start, start), count) if axis.scattered is None and axis.holders == (holder,) else axis
        for axis in field
    )


def _concat(layer: Layer, fields: Sequence[Field]) -> tuple[Field, ...]:
    """Along a spatial axis the order is lost at the seams: what looks around afterwards may see everything."""
    assert isinstance(layer.op, Concat)
    holder = position(layer.input_types[0], layer.op.axis)
    if len(fields) == 1:
        return (fields[0],)
    return (union([tuple(scatter(a) if holder in a.holders else a for a in field) for field in fields]),)


def _adaptive(layer: Layer, fields: Sequence[Field]) -> tuple[Field, ...]:
    """Share `i` of `o` on an axis of `n` runs from `floor(i n / o)` to `ceil((i + 1) n / o) - 1`."""
    pairs = zip(layer.input_types[0].shape, layer.output_types[0].shape, strict=True)
    edges = [((n, 0, o), (n, n - 1, o)) for n, o in pairs]
    return (tuple(resampled(axis, edges, layer.output_types[0].shape) for axis in fields[0]),)


def _upsample(layer: Layer, fields: Sequence[Field]) -> tuple[Field, ...]:
    """Nearest: output `o` is input `floor(o / s)`. Bilinear: the two inputs around `(o + 1/2) / s - 1/2`.

    With aligned corners around `o (n - 1) / (s n - 1)`; an input that is met exactly is the only one.
    """
    pairs = zip(layer.input_types[0].shape, layer.output_types[0].shape, strict=True)
    edges = [_neighbours(layer.op, n, o) for n, o in pairs]
    return (tuple(resampled(axis, edges, layer.output_types[0].shape) for axis in fields[0]),)


Step = tuple[int, int, int]  # o -> floor((o * [0] + [1]) / [2])


def _neighbours(op: Op, old: int, new: int) -> tuple[Step, Step]:
    assert isinstance(op, Upsample)
    scale = new // old
    if op.mode == "nearest":
        return (1, 0, scale), (1, 0, scale)
    if not op.align_corners:
        return (1, -(scale // 2), scale), (1, scale // 2, scale)
    last = max(new - 1, 1)
    return (old - 1, 0, last), (old - 1, last - 1, last)


def resampled(axis: Axis, edges: list[tuple[Step, Step]], sizes: tuple[int, ...]) -> Axis:
    """The axis where position `o` sees what two steps of `o` say: those of the axis that it runs along."""
    holder = axis.holders[0]
    if axis.scattered is not None:
        return _collapse(axis) if any(h > 0 for h in axis.holders) else axis
    if holder == 0:
        return axis
    (low, high), count = edges[holder], sizes[holder]
    lows = lowest(compose(edge, *low) for edge in axis.lows)
    highs = highest((compose(edge, *high) for edge in axis.highs), count)
    return Axis(lows, highs, count, axis.stride * Fraction(axis.count, count), axis.holders)


RULES: dict[type[Op], Callable[[Layer, Sequence[Field]], tuple[Field, ...]]] = {
    Linear: _linear,
    RBF: _linear,
    LayerNorm: _layernorm,
    Softmax: _softmax,
    LogSoftmax: _softmax,
    Transpose: _transpose,
    Reshape: _reshape,
    ReshapeAs: _reshape,
    Flatten: _reshape,
    Slice: _slice,
    Split: _split,
    Select: _select,
    Steps: _steps,
    Recur: _recur,
    Zeros: _zeros,
    PadChannels: _pad_channels,
    Concat: _concat,
    AdaptiveAvgPool: _adaptive,
    AdaptiveMaxPool: _adaptive,
    Upsample: _upsample,
}
