"""Receptive fields through ops that sample space anew, and through those that pick places of their own.

Importing this file enters its rules into the table of `archdsl.graph.receptive`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

from archdsl.graph.graph import Layer
from archdsl.graph.receptive import RULES, Axis, Field, Step, collapsed, resampled, scatter, union
from archdsl.ops.rearranging import DepthToSpace, PixelShuffle, PixelUnshuffle, SpaceToDepth
from archdsl.ops.regions import NMS, Anchors, RoIAlign, RoIPool, Take
from archdsl.ops.resampling import Crop, Resize
from archdsl.ops.transposed import Deconv, Spread, Unpool

Edges = list[tuple[Step, Step]]
SAME: tuple[Step, Step] = ((1, 0, 1), (1, 0, 1))


def _sampled(layer: Layer, field: Field, edges: Edges) -> Field:
    """`edges` are those of the spatial axes. What runs along the channels stays where it is."""
    return tuple(resampled(axis, [SAME, *edges], layer.output_types[0].shape) for axis in field)


def _deconv(layer: Layer, fields: Sequence[Field]) -> tuple[Field, ...]:
    assert isinstance(layer.op, Deconv)
    return (_undone(layer, collapsed(fields[0], _channels(fields[0])), layer.op.spread(layer.input_types)),)


def _unpool(layer: Layer, fields: Sequence[Field]) -> tuple[Field, ...]:
    """Whether a value comes to lie in a place is up to the indices."""
    assert isinstance(layer.op, Unpool)
    spread = layer.op.spread(layer.input_types)
    return (union([_undone(layer, field, spread) for field in fields[:2]]),)


def _channels(field: Field) -> tuple[int, ...]:
    return (0,) if any(0 in axis.holders for axis in field) else ()


def _undone(layer: Layer, field: Field, spread: Spread) -> Field:
    """A stride becomes a step by its reciprocal, also where the sizes say so only nearly."""
    edges = [spread.edges(axis) for axis in range(len(spread.stride))]
    return tuple(
        replace(new, stride=old.stride * Fraction(1, spread.stride[old.holders[0] - 1])) if _in_space(old) else new
        for old, new in zip(field, _sampled(layer, field, edges), strict=True)
    )


def _in_space(axis: Axis) -> bool:
    return axis.scattered is None and axis.holders[0] > 0


def _resize(layer: Layer, fields: Sequence[Field]) -> tuple[Field, ...]:
    """Nearest: output `o` is input `floor(o n / m)`. Else the inputs around `(o + 1/2) n / m - 1/2`.

    With aligned corners around `o (n - 1) / (m - 1)`. With a factor, that is `m / n`. Cubic interpolation takes one
    neighbour more on both sides, also where an input is met exactly, though it does not count then.
    """
    assert isinstance(layer.op, Resize)
    op, sizes = layer.op, layer.output_types[0].spatial
    factors = op.factors(layer.input_types) or (None,) * len(sizes)
    axes = zip(layer.input_types[0].spatial, sizes, factors, strict=True)
    return (_sampled(layer, fields[0], [_around(op, *axis) for axis in axes]),)


def _around(op: Resize, old: int, new: int, factor: float | None) -> tuple[Step, Step]:
    if op.mode == "nearest" or (old == new and factor in (None, 1)):
        up, down = _ratio(old, new, factor)
        return (up, 0, down), (up, 0, down)
    if op.align_corners:
        up, down, shift = int(old) - 1, max(int(new) - 1, 1), 0
    else:
        up, down = _ratio(old, new, factor)
        up, down, shift = 2 * up, 2 * down, up - down  # (o + 1/2) up / down - 1/2
    beyond = down if op.mode == "bicubic" else 0
    return (up, shift - beyond, down), (up, shift + down - 1 + beyond, down)


def _ratio(old: int, new: int, factor: float | None) -> tuple[int, int]:
    """Input elements for each output element."""
    exact = Fraction(int(old), int(new)) if factor is None else 1 / Fraction(factor).limit_denominator(1000)
    return exact.numerator, exact.denominator


def _crop(layer: Layer, fields: Sequence[Field]) -> tuple[Field, ...]:
    assert isinstance(layer.op, Crop)
    starts = [int(start) for start, _ in layer.op.bounds(layer.input_types)]
    edges: Edges = [((1, start, 1), (1, start, 1)) for start in starts]
    cut = zip(fields[0], _sampled(layer, fields[0], edges), strict=True)
    return (tuple(replace(new, stride=old.stride) for old, new in cut),)


def _to_space(layer: Layer, fields: Sequence[Field]) -> tuple[Field, ...]:
    assert isinstance(layer.op, PixelShuffle | DepthToSpace)
    step = (1, 0, layer.op.block)
    return (_exchanged(layer, fields[0], (step, step)),)


def _to_channels(layer: Layer, fields: Sequence[Field]) -> tuple[Field, ...]:
    """A channel holds one place of each block: which one, differs between the channels."""
    assert isinstance(layer.op, PixelUnshuffle | SpaceToDepth)
    block = layer.op.block
    return (_exchanged(layer, fields[0], ((block, 0, 1), (block, block - 1, 1))),)


def _exchanged(layer: Layer, field: Field, edges: tuple[Step, Step]) -> Field:
    """Where positions run along the channels, their order is lost among all three axes."""
    along = tuple(scatter(axis, (0, 1, 2)) if 0 in axis.holders else axis for axis in field)
    return _sampled(layer, along, [edges, edges])


def _chosen(layer: Layer, fields: Sequence[Field]) -> tuple[Field, ...]:
    """What an element sees is known only when the network runs: it may be anything."""
    pairs = zip(fields, layer.input_types, strict=True)
    everything = [collapsed(field, range(len(value.shape))) for field, value in pairs]
    united = union([tuple(replace(axis, holders=(0,)) for axis in field) for field in everything])
    return (united,) * len(layer.output_types)


RULES.update(
    {
        Deconv: _deconv,
        Unpool: _unpool,
        Resize: _resize,
        Crop: _crop,
        PixelShuffle: _to_space,
        DepthToSpace: _to_space,
        PixelUnshuffle: _to_channels,
        SpaceToDepth: _to_channels,
        RoIAlign: _chosen,
        RoIPool: _chosen,
        NMS: _chosen,
        Take: _chosen,
        Anchors: _chosen,
    }
)
