"""Reductions of axes: means, sums, extremes, the largest and where it is, and vectors brought to length 1."""

from __future__ import annotations

from archdsl.ops.axes import across, position
from archdsl.ops.base import Global, Op, ShapeError, TensorType, axis_names, only, op, param


class Reduction(Op):
    """Several axes become one number each; each element that goes in counts as one operation."""

    axes: tuple[int, ...] | int
    keep: bool

    def reduced(self, inputs: tuple[TensorType, ...]) -> tuple[int, ...]:
        """Indices into the shape of the axes that go, in order; raises `ShapeError`."""
        listed = (self.axes,) if isinstance(self.axes, int) else self.axes
        found = sorted(position(only(inputs), axis, "axes") for axis in listed)
        if len(set(found)) < len(found):
            raise ShapeError("axis-range", "`axes` names an axis twice", argument="axes")
        return tuple(found)

    def infer(self, inputs: tuple[TensorType, ...]) -> tuple[TensorType, ...]:
        value = only(inputs)
        return (TensorType(without(value, self.reduced(inputs), self.keep), value.dtype),)

    def elementwise_ops(self, inputs: tuple[TensorType, ...], outputs: tuple[TensorType, ...]) -> int:
        return only(inputs).elements

    def window(self, inputs: tuple[TensorType, ...]) -> Global | None:
        return across(max(self.reduced(inputs)))


@op("reduce_mean")
class ReduceMean(Reduction):
    """The mean over the axes, as `torch.mean`."""

    axes: tuple[int, ...] | int = param("axes", doc="axes that go")
    keep: bool = param("flag", False, doc="keep each as an axis of size 1")


@op("reduce_sum")
class ReduceSum(Reduction):
    """The sum over the axes, as `torch.sum`."""

    axes: tuple[int, ...] | int = param("axes", doc="axes that go")
    keep: bool = param("flag", False, doc="keep each as an axis of size 1")


@op("reduce_max")
class ReduceMax(Reduction):
    """The largest over the axes, as `torch.amax`."""

    axes: tuple[int, ...] | int = param("axes", doc="axes that go")
    keep: bool = param("flag", False, doc="keep each as an axis of size 1")


@op("reduce_min")
class ReduceMin(Reduction):
    """The smallest over the axes, as `torch.amin`."""

    axes: tuple[int, ...] | int = param("axes", doc="axes that go")
    keep: bool = param("flag", False, doc="keep each as an axis of size 1")


@op("argmax")
class ArgMax(Op):
    """Where along an axis the largest element is, the first of equals, as int64."""

    axis: int = param("axis", 1, doc="axis that is searched; 1 is the channels")
    keep: bool = param("flag", False, doc="keep it as an axis of size 1")

    def reduced(self, inputs: tuple[TensorType, ...]) -> tuple[int, ...]:
        """Index into the shape of the axis that is searched; raises `ShapeError`."""
        return (position(only(inputs), self.axis),)

    def infer(self, inputs: tuple[TensorType, ...]) -> tuple[TensorType, ...]:
        return (TensorType(without(only(inputs), self.reduced(inputs), self.keep), "int64"),)

    def elementwise_ops(self, inputs: tuple[TensorType, ...], outputs: tuple[TensorType, ...]) -> int:
        return only(inputs).elements

    def window(self, inputs: tuple[TensorType, ...]) -> Global | None:
        return across(position(only(inputs), self.axis))


@op("topk")
class TopK(Op):
    """The `k` largest elements along an axis, largest first, and as a second result where they are (int64)."""

    k: int = param("count", doc="how many")
    axis: int = param("axis", -1, doc="axis that is searched")

    def infer(self, inputs: tuple[TensorType, ...]) -> tuple[TensorType, ...]:
        value = only(inputs)
        axis = position(value, self.axis)
        size = value.shape[axis]
        if self.k > size:
            message = f"`k` = {self.k}, but {value} has {size} {axis_names(len(value.shape))[axis]}"
            raise ShapeError("argument-value", message, argument="k", replacements=(str(size),))
        shape = (*value.shape[:axis], self.k, *value.shape[axis + 1 :])
        return (TensorType(shape, value.dtype), TensorType(shape, "int64"))

    def results(self, inputs: tuple[TensorType, ...]) -> tuple[str, ...]:
        return ("values", "indices")

    def elementwise_ops(self, inputs: tuple[TensorType, ...], outputs: tuple[TensorType, ...]) -> int:
        return only(inputs).elements

    def window(self, inputs: tuple[TensorType, ...]) -> Global | None:
        return across(position(only(inputs), self.axis))


@op("l2_normalize")
class L2Normalize(Op):
    """`x / max(|x|, eps)` with the Euclidean length along one axis, as `torch.nn.functional.normalize`."""

    axis: int = param("axis", 1, doc="axis along which the results have length 1; 1 is the channels")
    eps: float = param("number", 1e-12, doc="shorter vectors are divided by this")

    def infer(self, inputs: tuple[TensorType, ...]) -> tuple[TensorType, ...]:
        position(only(inputs), self.axis)
        if self.eps <= 0:
            message = f"`eps` is what keeps a vector of zeros from being divided by 0, not {self.eps}"
            raise ShapeError("argument-value", message, argument="eps")
        return (only(inputs),)

    def elementwise_ops(self, inputs: tuple[TensorType, ...], outputs: tuple[TensorType, ...]) -> int:
        """Square, sum and division."""
        return 3 * outputs[0].elements

    def window(self, inputs: tuple[TensorType, ...]) -> Global | None:
        return across(position(only(inputs), self.axis))


def without(value: TensorType, axes: tuple[int, ...], keep: bool) -> tuple[int, ...]:
    """The shape with these axes gone, or of size 1; of a vector that is one number for each sample, `[]`."""
    if keep:
        return tuple(1 if i in axes else size for i, size in enumerate(value.shape))
    return tuple(size for i, size in enumerate(value.shape) if i not in axes)
