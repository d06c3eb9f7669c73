"""Recurrence written from its equations: where the steps begin, where they end, and the zeros that states begin with.

`Steps` and `Recur` stand around the layers of a `recur`. What lies between them runs once for each position of the
first axis, on one position of it and on the states that the position before has left.
"""

from __future__ import annotations

from typing import ClassVar

from archdsl.ops.base import Op, TensorType, inner_op, only, op, param
from archdsl.ops.geometry import Sizes

#: What the path of a loop's `Steps` has after that of its `Recur`.
SUFFIX = "_step"


@inner_op("steps")
class Steps(Op):
    """`[T, ...]` and the first states in; one step `[...]` and the states before it out."""

    view: ClassVar[bool] = True
    any_dtype: ClassVar[bool] = True

    states: tuple[str, ...] = param("choice", doc="names of the states")

    def infer(self, inputs: tuple[TensorType, ...]) -> tuple[TensorType, ...]:
        sequence, *states = inputs
        return (TensorType(sequence.shape[1:], sequence.dtype), *states)


@inner_op("recur")
class Recur(Op):
    """A step's result and the states after it in; the results of all steps `[T, ...]` and the last states out."""

    any_dtype: ClassVar[bool] = True

    length: int = param("count", doc="number of steps")
    states: tuple[str, ...] = param("choice", doc="names of the states")

    def infer(self, inputs: tuple[TensorType, ...]) -> tuple[TensorType, ...]:
        result, *states = inputs
        return (TensorType((self.length, *result.shape), result.dtype), *states)

    def results(self, inputs: tuple[TensorType, ...]) -> tuple[str, ...]:
        return ("output", *self.states)


@op("zeros")
class Zeros(Op):
    """Zeros of the given sizes for each sample, whatever flows in: what the states of a `recur` begin with."""

    sizes: Sizes = param("sizes", doc="size of each axis after the batch")

    any_dtype: ClassVar[bool] = True

    def infer(self, inputs: tuple[TensorType, ...]) -> tuple[TensorType, ...]:
        """Numbers of the input's own type, or `float32` where that is no floating-point type."""
        dtype = only(inputs).dtype
        shape = (self.sizes,) if isinstance(self.sizes, int) else self.sizes
        return (TensorType(shape, dtype if dtype.startswith("float") else "float32"),)
