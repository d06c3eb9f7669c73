"""Merges of several tensors into one: concatenation, and element by element."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import combinations
from typing import ClassVar, TypeVar

from archdsl.ops.axes import position
from archdsl.ops.base import Op, ShapeError, TensorType, axis_names, op, param
from archdsl.ops.dims import Dim, apart, sizes_text

Item = TypeVar("Item")


class _Merge(Op):
    """Element by element over inputs of equal rank; an axis of size 1 is repeated to match the others."""

    combinator: ClassVar[bool] = True

    def infer(self, inputs: tuple[TensorType, ...]) -> tuple[TensorType, ...]:
        _check(self, inputs)
        shape = tuple(max(sizes) for sizes in zip(*(value.shape for value in inputs), strict=True))
        return (TensorType(shape, inputs[0].dtype),)

    def elementwise_ops(self, inputs: tuple[TensorType, ...], outputs: tuple[TensorType, ...]) -> int:
        return (len(inputs) - 1) * outputs[0].elements


@op("concat")
class Concat(Op):
    """Inputs one after the other along an axis; all other sizes agree."""

    axis: int = param("axis", 1, doc="axis that grows; 1 is the channels")

    combinator: ClassVar[bool] = True
    any_dtype: ClassVar[bool] = True

    def infer(self, inputs: tuple[TensorType, ...]) -> tuple[TensorType, ...]:
        axis = position(inputs[0], self.axis)
        _check(self, inputs)
        total = sum(value.shape[axis] for value in inputs)
        shape = inputs[0].shape
        return (TensorType((*shape[:axis], total, *shape[axis + 1 :]), inputs[0].dtype),)


@op("add")
class Add(_Merge):
    """Sum of the inputs, element by element."""


@op("mul")
class Mul(_Merge):
    """Product of the inputs, element by element."""


@op("max")
class Max(_Merge):
    """Largest of the inputs, element by element (maxout)."""


def disagreement(op: Op, inputs: tuple[TensorType, ...]) -> tuple[int, ...]:
    """Indices of the inputs that differ from the majority; empty if all fit together.

    The first of several equally common shapes counts as the majority. Where ranks differ, only the
    rank is compared; element types are compared last.
    """
    ranks = [len(value.shape) for value in inputs]
    if len(set(ranks)) > 1:
        return _odd(ranks, _majority(ranks))
    found: set[int] = set()
    for axis in _compared(op, inputs):
        sizes = [value.shape[axis] for value in inputs]
        found.update(_odd(sizes, *_accepted(op, sizes)))
    types = [value.dtype for value in inputs]
    return tuple(sorted(found)) or _odd(types, _majority(types))


def axes(op: Op, inputs: tuple[TensorType, ...]) -> tuple[str, ...]:
    """Names of the axes whose sizes disagree; empty if all fit, or if the ranks differ."""
    ranks = {len(value.shape) for value in inputs}
    if len(ranks) > 1:
        return ()
    names = axis_names(ranks.pop())
    sizes = {axis: [value.shape[axis] for value in inputs] for axis in _compared(op, inputs)}
    return tuple(names[axis] for axis, found in sizes.items() if _odd(found, *_accepted(op, found)))


def _compared(op: Op, inputs: tuple[TensorType, ...]) -> list[int]:
    """Indices of the axes that have to agree."""
    free = position(inputs[0], op.axis) if isinstance(op, Concat) else None
    return [axis for axis in range(len(inputs[0].shape)) if axis != free]


def _accepted(op: Op, sizes: list[int]) -> tuple[int, ...]:
    """The sizes that fit on one axis: the most common one, and 1 where it is repeated."""
    if isinstance(op, Concat):
        return (_majority(sizes),)
    larger = [size for size in sizes if size != 1]
    return (_majority(larger), 1) if larger else (1,)


def _majority(items: Sequence[Item]) -> Item:
    """The most common item, the first of equals."""
    return Counter(items).most_common(1)[0][0]


def _odd(items: Sequence[object], *accepted: object) -> tuple[int, ...]:
    return tuple(index for index, item in enumerate(items) if item not in accepted)


def _check(op: Op, inputs: tuple[TensorType, ...]) -> None:
    """Raises `ShapeError` with every input's shape where the inputs do not fit together."""
    odd = disagreement(op, inputs)
    if not odd:
        return
    raise ShapeError(
        _code(op, inputs),
        f"`{op.name}` inputs disagree on {_subject(op, inputs)}",
        notes=("shapes: " + "  ".join(map(str, inputs)), *_apart(inputs), *_rule(op)),
    )


def _apart(inputs: tuple[TensorType, ...]) -> tuple[str, ...]:
    """Where open sizes agree at their nominal values only: the first sizes at which they do not."""
    for left, right in combinations(inputs, 2):
        for one, other in zip(left.shape, right.shape, strict=False):
            if not (isinstance(one, Dim) and isinstance(other, Dim)) or int(one) != int(other) or one == other:
                continue
            found = apart(one, other) or {}
            symbols = {symbol.name: symbol.nominal for size in (one, other) for symbol in size.symbols}
            here, there = sizes_text(symbols), sizes_text(symbols | found)
            values = f"{one} = {one.at(symbols | found)} and {other} = {other.at(symbols | found)}"
            return (f"equal at {here}, but not at {there}: {values}",)
    return ()


def _code(op: Op, inputs: tuple[TensorType, ...]) -> str:
    ranks_agree = len({len(value.shape) for value in inputs}) == 1
    if ranks_agree and not axes(op, inputs):
        return "dtype-mismatch"
    return "concat-shape" if isinstance(op, Concat) else "merge-shape"


def _subject(op: Op, inputs: tuple[TensorType, ...]) -> str:
    if len({len(value.shape) for value in inputs}) > 1:
        return "their number of axes"
    names = axes(op, inputs)
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1]))) if names else "their element type"


def _rule(op: Op) -> tuple[str, ...]:
    if isinstance(op, Concat):
        return (f"axis {op.axis} is the one that `concat` joins; all others must agree",)
    return (f"`{op.name}` repeats an axis of size 1; all others must agree",)
