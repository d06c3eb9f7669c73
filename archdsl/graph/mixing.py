"""Receptive fields through ops that mix the positions of sequences, and through those that take axes away.

Importing this file enters its rules into the table of `archdsl.graph.receptive`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from archdsl.graph.graph import Layer
from archdsl.graph.receptive import RULES, Axis, Field, collapsed, mixed, union
from archdsl.ops.attention import Attention, MatMul, MultiheadAttention
from archdsl.ops.axes import position
from archdsl.ops.embedding import Parameter
from archdsl.ops.recurrent import GRU, LSTM, RNN, Recurrent
from archdsl.ops.reduction import ArgMax, L2Normalize, ReduceMax, ReduceMean, ReduceMin, ReduceSum, Reduction, TopK

TIME, FEATURES = 0, 1


def _parameter(layer: Layer, fields: Sequence[Field]) -> tuple[Field, ...]:
    """A learned tensor sees nothing."""
    return ((),)


def _matmul(layer: Layer, fields: Sequence[Field]) -> tuple[Field, ...]:
    """An element sees a row of the first matrix and a column of the second."""
    rank = len(layer.output_types[0].shape)
    return (union([collapsed(fields[0], (rank - 1,)), collapsed(fields[1], (rank - 2,))]),)


def _attention(layer: Layer, fields: Sequence[Field]) -> tuple[Field, ...]:
    """A position sees its query, and all keys and values; the mask runs along queries and keys."""
    mask = [collapsed(field, (FEATURES,)) for field in fields[3:]]
    rest = [collapsed(field, (TIME, FEATURES)) for field in fields[:3]]
    return (union([collapsed(fields[0], (FEATURES,)), *rest, *mask]),)


def _recurrent(layer: Layer, fields: Sequence[Field]) -> tuple[Field, ...]:
    """A step sees all steps before it, the last of them nearly all; a state at the end sees everything."""
    assert isinstance(layer.op, Recurrent)
    states = [collapsed(field, (TIME, FEATURES)) for field in fields[1:]]
    steps = mixed(collapsed(fields[0], (FEATURES,)), (TIME,))
    end = union([collapsed(fields[0], (TIME, FEATURES)), *states])
    return (union([steps, *states]), *[end] * len(layer.op.states))


def _reduction(layer: Layer, fields: Sequence[Field]) -> tuple[Field, ...]:
    assert isinstance(layer.op, Reduction)
    return (_taken_away(fields[0], layer.op.reduced(layer.input_types), layer.op.keep),)


def _argmax(layer: Layer, fields: Sequence[Field]) -> tuple[Field, ...]:
    assert isinstance(layer.op, ArgMax)
    return (_taken_away(fields[0], (position(layer.input_types[0], layer.op.axis),), layer.op.keep),)


def _topk(layer: Layer, fields: Sequence[Field]) -> tuple[Field, ...]:
    assert isinstance(layer.op, TopK)
    return (collapsed(fields[0], (position(layer.input_types[0], layer.op.axis),)),) * 2


def _normalize(layer: Layer, fields: Sequence[Field]) -> tuple[Field, ...]:
    assert isinstance(layer.op, L2Normalize)
    return (mixed(fields[0], (position(layer.input_types[0], layer.op.axis),)),)


def _taken_away(field: Field, axes: tuple[int, ...], keep: bool) -> Field:
    """Each element sees all of these axes of the tensor; those after them move up where they are gone."""
    seen = collapsed(field, axes)
    return seen if keep else tuple(_moved(axis, axes) for axis in seen)


def _moved(axis: Axis, axes: tuple[int, ...]) -> Axis:
    """What ran along an axis that is gone is now one position, wherever it is looked for: on the first axis."""
    holders = {0 if h in axes else h - sum(gone < h for gone in axes) for h in axis.holders}
    return replace(axis, holders=tuple(sorted(holders)))


RULES.update(
    {
        Parameter: _parameter,
        MatMul: _matmul,
        Attention: _attention,
        MultiheadAttention: _attention,
        RNN: _recurrent,
        LSTM: _recurrent,
        GRU: _recurrent,
        ReduceMean: _reduction,
        ReduceSum: _reduction,
        ReduceMax: _reduction,
        ReduceMin: _reduction,
        ArgMax: _argmax,
        TopK: _topk,
        L2Normalize: _normalize,
    }
)
