"""Arithmetic of single elements: functions of one tensor, and of two (`add`, `mul` and `max` are merges)."""

from __future__ import annotations

from typing import ClassVar

from archdsl.ops.base import Op, ShapeError, TensorType, only, op, param


class _Unary(Op):
    """The type stays, and each element counts as one operation."""

    def infer(self, inputs: tuple[TensorType, ...]) -> tuple[TensorType, ...]:
        return (only(inputs),)

    def elementwise_ops(self, inputs: tuple[TensorType, ...], outputs: tuple[TensorType, ...]) -> int:
        return outputs[0].elements


@op("abs")
class Abs(_Unary):
    """The absolute value."""


@op("neg")
class Neg(_Unary):
    """`-x`."""


@op("exp")
class Exp(_Unary):
    """`e^x`."""


@op("log")
class Log(_Unary):
    """The natural logarithm; NaN below 0."""


@op("sqrt")
class Sqrt(_Unary):
    """The square root; NaN below 0."""


@op("sin")
class Sin(_Unary):
    """The sine, of radians."""


@op("cos")
class Cos(_Unary):
    """The cosine, of radians."""


@op("pow")
class Pow(_Unary):
    """`x^exponent`."""

    exponent: float = param("number", doc="the power")


@op("clamp")
class Clamp(_Unary):
    """`x` cut off at `min` and `max`, of which one may be left out, as `torch.clamp`."""

    min: float | None = param("number", None, doc="smallest result; none if not given")
    max: float | None = param("number", None, doc="largest result; none if not given")

    def infer(self, inputs: tuple[TensorType, ...]) -> tuple[TensorType, ...]:
        if self.min is None and self.max is None:
            raise ShapeError("argument-value", "`clamp` needs `min`, `max` or both")
        if self.min is not None and self.max is not None and self.min > self.max:
            message = f"`min` must not be above `max`, but {self.min} > {self.max}"
            raise ShapeError("argument-value", message, argument="min")
        return (only(inputs),)


class _Binary(Op):
    """Of two tensors of equal rank; an axis of size 1 is repeated to match the other's."""

    operands: ClassVar[tuple[str, ...]] = ("input", "other")

    def infer(self, inputs: tuple[TensorType, ...]) -> tuple[TensorType, ...]:
        left, right = inputs
        if left.dtype != right.dtype:
            message = f"`{self.name}` gets {left.dtype} and {right.dtype}"
            raise ShapeError("dtype-mismatch", message)
        return (TensorType(broadcast(self.name, inputs), self.result_dtype(left.dtype)),)

    def result_dtype(self, dtype: str) -> str:
        """Element type of the result."""
        return dtype

    def elementwise_ops(self, inputs: tuple[TensorType, ...], outputs: tuple[TensorType, ...]) -> int:
        return outputs[0].elements


@op("sub")
class Sub(_Binary):
    """`input - other`."""


@op("div")
class Div(_Binary):
    """`input / other`."""


@op("minimum")
class Minimum(_Binary):
    """The smaller of the two; the larger is the merge `max`."""


class _Comparison(_Binary):
    """Gives bool, of elements of any type."""

    any_dtype: ClassVar[bool] = True

    def result_dtype(self, dtype: str) -> str:
        return "bool"


class _Order(_Comparison):
    """Of numbers: neither of two bools is the larger."""

    def infer(self, inputs: tuple[TensorType, ...]) -> tuple[TensorType, ...]:
        if any(value.dtype == "bool" for value in inputs):
            message = f"`{self.name}` compares numbers, but gets {inputs[0].dtype} and {inputs[1].dtype}"
            raise ShapeError("dtype-mismatch", message, help="`equal` compares bools")
        return super().infer(inputs)


@op("greater")
class Greater(_Order):
    """Whether `input > other`, as bool."""


@op("less")
class Less(_Order):
    """Whether `input < other`, as bool."""


@op("equal")
class Equal(_Comparison):
    """Whether `input == other`, as bool."""


@op("where")
class Where(Op):
    """`input` where `condition` is true, else `other`; the condition is of bool, as comparisons give it."""

    operands: ClassVar[tuple[str, ...]] = ("condition", "input", "other")
    any_dtype: ClassVar[bool] = True

    def infer(self, inputs: tuple[TensorType, ...]) -> tuple[TensorType, ...]:
        condition, left, right = inputs
        if condition.dtype != "bool":
            message = f"the condition of `where` is of bool, not {condition.dtype}"
            raise ShapeError("dtype-mismatch", message, help="compare first: `greater(@a, @b)`")
        if left.dtype != right.dtype:
            raise ShapeError("dtype-mismatch", f"`where` chooses between {left.dtype} and {right.dtype}")
        return (TensorType(broadcast(self.name, inputs), left.dtype),)

    def elementwise_ops(self, inputs: tuple[TensorType, ...], outputs: tuple[TensorType, ...]) -> int:
        return outputs[0].elements


def broadcast(name: str, inputs: tuple[TensorType, ...]) -> tuple[int, ...]:
    """The common shape of inputs of equal rank, axes of size 1 repeated; raises `ShapeError` (`merge-shape`)."""
    shapes = "shapes: " + "  ".join(map(str, inputs))
    if len({len(value.shape) for value in inputs}) > 1:
        raise ShapeError("merge-shape", f"`{name}` inputs disagree on their number of axes", notes=(shapes,))
    return tuple(_common(name, sizes, shapes) for sizes in zip(*(value.shape for value in inputs), strict=True))


def _common(name: str, sizes: tuple[int, ...], shapes: str) -> int:
    larger = [size for size in sizes if size != 1]
    if any(size != larger[0] for size in larger):
        notes = (shapes, f"`{name}` repeats an axis of size 1; all others must agree")
        raise ShapeError("merge-shape", f"`{name}` inputs disagree on their sizes", notes=notes)
    return larger[0] if larger else 1
