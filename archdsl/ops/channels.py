"""Ops that pick, add or weigh single channels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from archdsl.ops.axes import need_channels, position
from archdsl.ops.base import (
    GLOBAL,
    ONES,
    ZEROS,
    Global,
    Op,
    ShapeError,
    TensorType,
    Weight,
    axis_names,
    only,
    op,
    param,
)


@op("select")
class Select(Op):
    """The entries of one axis that a list names, in its order, as `torch.index_select`.

    Entries are numbered from 0, negative numbers count from the end; one may be named twice.
    """

    indices: tuple[int, ...] = param("integers", doc="numbers of the entries, from 0")
    axis: int = param("axis", 1, doc="axis that is picked from; 1 is the channels")

    any_dtype: ClassVar[bool] = True

    def entries(self, inputs: tuple[TensorType, ...]) -> tuple[int, ...]:
        """The indices counted from the front; raises `ShapeError`."""
        value = only(inputs)
        axis = position(value, self.axis)
        size = value.shape[axis]
        if not self.indices:
            raise ShapeError("argument-value", "`indices` is empty", argument="indices")
        outside = [index for index in self.indices if not -size <= index < size]
        if outside:
            raise _outside(value, axis, outside)
        return tuple(index % size for index in self.indices)

    def infer(self, inputs: tuple[TensorType, ...]) -> tuple[TensorType, ...]:
        value = only(inputs)
        axis = position(value, self.axis)
        count = len(self.entries(inputs))
        return (TensorType((*value.shape[:axis], count, *value.shape[axis + 1 :]), value.dtype),)

    def window(self, inputs: tuple[TensorType, ...]) -> Global | None:
        return None if position(only(inputs), self.axis) == 0 else GLOBAL


@op("pad_channels")
class PadChannels(Op):
    """Channels of zeros before and after those of `[C, ...]` (option A of He et al., 2015: a shortcut that widens)."""

    before: int = param("natural", 0, doc="channels of zeros in front")
    after: int = param("natural", 0, doc="channels of zeros behind")

    def infer(self, inputs: tuple[TensorType, ...]) -> tuple[TensorType, ...]:
        need_channels(self.name, only(inputs))
        channels, *rest = only(inputs).shape
        return (TensorType((self.before + channels + self.after, *rest), only(inputs).dtype),)


@op("affine")
class Affine(Op):
    """`weight * x + bias` with one trained coefficient and bias for each channel of `[C, ...]`.

    After a pooling, the trainable subsampling of LeNet-5 (LeCun et al., 1998). Begins as the identity.
    """

    weighted: ClassVar[bool] = True

    def infer(self, inputs: tuple[TensorType, ...]) -> tuple[TensorType, ...]:
        need_channels(self.name, only(inputs))
        return (only(inputs),)

    def weights(self, inputs: tuple[TensorType, ...]) -> tuple[Weight, ...]:
        channels = only(inputs).shape[:1]
        return (Weight("weight", channels, ONES), Weight("bias", channels, ZEROS))

    def elementwise_ops(self, inputs: tuple[TensorType, ...], outputs: tuple[TensorType, ...]) -> int:
        return 2 * outputs[0].elements


def _outside(value: TensorType, axis: int, indices: Sequence[int]) -> ShapeError:
    size, name = value.shape[axis], axis_names(len(value.shape))[axis]
    listed = ", ".join(map(str, indices))
    return ShapeError(
        "slice-range",
        f"`indices` names {listed}, outside the {size} {name} of {value}",
        argument="indices",
        help=f"entries are numbered 0 to {size - 1}, or {-size} to -1 from the end",
    )
