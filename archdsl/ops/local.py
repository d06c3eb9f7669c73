"""Convolution without shared weights."""

from __future__ import annotations

import math
from typing import ClassVar

from archdsl.ops.base import DEFAULT, Init, Op, TensorType, Weight, Window, only, op, param, per_axis
from archdsl.ops.convolution import need_image
from archdsl.ops.geometry import Geometry, Padding, Sizes, resolve


@op("local_conv")
class LocalConv(Op):
    """Cross-correlation `[C, ...] -> [out, ...]` whose weights differ from place to place: a locally connected layer.

    Every output position has a kernel and a bias of its own (Taigman et al., 2014), or shares them with the positions
    of its region, `share` long on each axis from the first position on (DeepID's locally shared weights: 2).
    """

    out: int = param("count", doc="output channels")
    kernel: Sizes = param("sizes", doc="kernel size")
    stride: Sizes = param("sizes", 1, doc="step of the window")
    pad: Padding = param("padding", 0, doc="zeros around the input")
    share: Sizes = param("sizes", 1, doc="output positions along each axis that share their weights")
    bias: bool = param("flag", True, doc="add a learned number to each channel of each region")
    init: Init = param("init", DEFAULT, doc="initialization of the weight")
    bias_init: Init = param("init", DEFAULT, doc="initialization of the bias")

    weighted: ClassVar[bool] = True
    counts_depth: ClassVar[bool] = True

    def geometry(self, inputs: tuple[TensorType, ...]) -> Geometry:
        """The window resolved against the input."""
        value = only(inputs)
        need_image(self.name, value)
        return resolve(value, self.kernel, self.stride, self.pad)

    def regions(self, inputs: tuple[TensorType, ...]) -> tuple[int, ...]:
        """Number of regions along each spatial axis; a last one may be smaller."""
        output = self.geometry(inputs).output
        return tuple(-(-size // share) for size, share in zip(output, self.shares(inputs), strict=True))

    def shares(self, inputs: tuple[TensorType, ...]) -> tuple[int, ...]:
        """Output positions along each spatial axis that make a region."""
        return per_axis(self.share, len(only(inputs).spatial), "share")

    def infer(self, inputs: tuple[TensorType, ...]) -> tuple[TensorType, ...]:
        geometry = self.geometry(inputs)
        self.shares(inputs)
        return (TensorType((self.out, *geometry.output), only(inputs).dtype),)

    def weights(self, inputs: tuple[TensorType, ...]) -> tuple[Weight, ...]:
        """`[*regions, out, C, *kernel]` and `[*regions, out]`; fans are those of one region's kernel."""
        kernel, channels, regions = self.geometry(inputs).kernel, only(inputs).shape[0], self.regions(inputs)
        fan_in, fan_out = channels * math.prod(kernel), self.out * math.prod(kernel)
        shape = (*regions, self.out, channels, *kernel)
        weight = Weight("weight", shape, self.init, fan_in=fan_in, fan_out=fan_out)
        bias = Weight("bias", (*regions, self.out), self.bias_init, fan_in=fan_in, fan_out=fan_out)
        return (weight, bias) if self.bias else (weight,)

    def macs(self, inputs: tuple[TensorType, ...], outputs: tuple[TensorType, ...]) -> int:
        return only(inputs).shape[0] * math.prod(self.geometry(inputs).kernel) * outputs[0].elements

    def elementwise_ops(self, inputs: tuple[TensorType, ...], outputs: tuple[TensorType, ...]) -> int:
        return outputs[0].elements if self.bias else 0

    def window(self, inputs: tuple[TensorType, ...]) -> Window:
        return self.geometry(inputs).window()

    def arithmetic(self, inputs: tuple[TensorType, ...]) -> tuple[str, ...]:
        return self.geometry(inputs).arithmetic()
