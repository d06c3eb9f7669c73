"""Ops that drop more than single elements while training; at inference they are the identity."""

from __future__ import annotations

from typing import ClassVar

from archdsl.ops.base import Op, ShapeError, TensorType, only, op, param
from archdsl.ops.convolution import need_image


class _Drop(Op):
    __slots__ = ()

    rate: float
    view: ClassVar[bool] = True
    identity: ClassVar[bool] = True

    def infer(self, inputs: tuple[TensorType, ...]) -> tuple[TensorType, ...]:
        if not 0 <= self.rate < 1:
            message = f"`rate` is the share that is dropped, at least 0 and below 1, not {self.rate}"
            raise ShapeError("argument-value", message, argument="rate")
        return (only(inputs),)


@op("dropout2d")
class Dropout2d(_Drop):
    """Zeroes whole channels of `[C, ...]` at random while training (Tompson et al., 2015), as `torch.nn.Dropout2d`.

    On one, two or three spatial axes, as `torch.nn.Dropout1d`, `2d` and `3d`.
    """

    rate: float = param("number", 0.5, doc="share of channels that are zeroed")

    def infer(self, inputs: tuple[TensorType, ...]) -> tuple[TensorType, ...]:
        need_image(self.name, only(inputs))
        return super().infer(inputs)


@op("drop_path")
class DropPath(_Drop):
    """Zeroes all of a sample at random while training, and scales up the others: stochastic depth (Huang et al., 2016).

    As the last op of a residual branch; `torchvision.ops.StochasticDepth` in mode `row`.
    """

    rate: float = param("number", 0.1, doc="share of samples that are zeroed")
