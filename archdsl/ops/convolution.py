"""Convolutions over one, two or three spatial axes."""

from __future__ import annotations

import math
from typing import ClassVar

from archdsl.ops.base import DEFAULT, Init, Op, ShapeError, TensorType, Weight, Window, axis_names, only, op, param
from archdsl.ops.geometry import Geometry, Padding, Sizes, resolve
from archdsl.ops.stored import NORM_DOC, NORMS, Table, check_table, connections, weights_of


@op("conv")
class Conv(Op):
    """Cross-correlation `[C, ...] -> [out, ...]`, as `torch.nn.Conv1d`, `Conv2d` and `Conv3d` by the input's rank.

    With `table`, which lists for each output channel the input channels that it sees, there are weights for these
    connections only, `[connections, *kernel]` in the table's order (the maps C3 of LeCun et al., 1998). With `norm`
    the weight is stored as `torch.nn.utils.parametrizations` stores it, and computed anew in each step of training.
    """

    out: int = param("count", doc="output channels")
    kernel: Sizes = param("sizes", doc="kernel size")
    stride: Sizes = param("sizes", 1, doc="step of the window")
    pad: Padding = param("padding", 0, doc="zeros around the input")
    dilation: Sizes = param("sizes", 1, doc="distance between kernel elements")
    groups: int = param("count", 1, doc="channel groups that do not see each other")
    bias: bool = param("flag", True, doc="add a learned number to each output channel")
    init: Init = param("init", DEFAULT, doc="initialization of the weight")
    bias_init: Init = param("init", DEFAULT, doc="initialization of the bias")
    norm: str = param("choice", "none", choices=NORMS, doc=NORM_DOC)
    table: Table = param("table", (), doc="input channels of each output channel; all of them if empty")

    weighted: ClassVar[bool] = True
    counts_depth: ClassVar[bool] = True
    #: axis of the weight that counts the rows of the matrix it is
    rows: ClassVar[int] = 0

    def geometry(self, inputs: tuple[TensorType, ...]) -> Geometry:
        """The window resolved against the input."""
        value = only(inputs)
        need_image(self.name, value)
        return resolve(value, self.kernel, self.stride, self.pad, self.dilation)

    def infer(self, inputs: tuple[TensorType, ...]) -> tuple[TensorType, ...]:
        value = only(inputs)
        geometry = self.geometry(inputs)
        check_groups(value.shape[0], self.out, self.groups)
        if self.table:
            check_table(self.table, value.shape[0], self.out, self.groups, self.norm)
        return (TensorType((self.out, *geometry.output), value.dtype),)

    def weights(self, inputs: tuple[TensorType, ...]) -> tuple[Weight, ...]:
        channels = only(inputs).shape[0] // self.groups
        return kernel_weights(self, channels, self.geometry(inputs).kernel)

    def macs(self, inputs: tuple[TensorType, ...], outputs: tuple[TensorType, ...]) -> int:
        area = math.prod(self.geometry(inputs).kernel)
        if self.table:
            return connections(self.table) * area * math.prod(outputs[0].spatial)
        return only(inputs).shape[0] // self.groups * area * outputs[0].elements

    def elementwise_ops(self, inputs: tuple[TensorType, ...], outputs: tuple[TensorType, ...]) -> int:
        return outputs[0].elements if self.bias else 0

    def window(self, inputs: tuple[TensorType, ...]) -> Window:
        return self.geometry(inputs).window()

    def arithmetic(self, inputs: tuple[TensorType, ...]) -> tuple[str, ...]:
        return self.geometry(inputs).arithmetic()


@op("depthwise")
class Depthwise(Op):
    """Each channel convolved on its own, `[C, ...] -> [C * multiplier, ...]`: a convolution with `groups = C`."""

    kernel: Sizes = param("sizes", doc="kernel size")
    stride: Sizes = param("sizes", 1, doc="step of the window")
    pad: Padding = param("padding", 0, doc="zeros around the input")
    dilation: Sizes = param("sizes", 1, doc="distance between kernel elements")
    multiplier: int = param("count", 1, doc="outputs for each input channel")
    bias: bool = param("flag", True, doc="add a learned number to each output channel")
    init: Init = param("init", DEFAULT, doc="initialization of the weight")
    bias_init: Init = param("init", DEFAULT, doc="initialization of the bias")

    weighted: ClassVar[bool] = True
    counts_depth: ClassVar[bool] = True

    def conv(self, inputs: tuple[TensorType, ...]) -> Conv:
        """The same layer written as a grouped convolution of this input."""
        value = only(inputs)
        need_image(self.name, value)
        channels = value.shape[0]
        return Conv(
            channels * self.multiplier, self.kernel, self.stride, self.pad, self.dilation, channels, self.bias,
            self.init, self.bias_init,
        )  # fmt: skip

    def infer(self, inputs: tuple[TensorType, ...]) -> tuple[TensorType, ...]:
        return self.conv(inputs).infer(inputs)

    def weights(self, inputs: tuple[TensorType, ...]) -> tuple[Weight, ...]:
        return self.conv(inputs).weights(inputs)

    def macs(self, inputs: tuple[TensorType, ...], outputs: tuple[TensorType, ...]) -> int:
        return self.conv(inputs).macs(inputs, outputs)

    def elementwise_ops(self, inputs: tuple[TensorType, ...], outputs: tuple[TensorType, ...]) -> int:
        return outputs[0].elements if self.bias else 0

    def window(self, inputs: tuple[TensorType, ...]) -> Window:
        return self.conv(inputs).window(inputs)

    def arithmetic(self, inputs: tuple[TensorType, ...]) -> tuple[str, ...]:
        return self.conv(inputs).arithmetic(inputs)


def kernel_weights(conv: Conv, channels: int, kernel: tuple[int, ...]) -> tuple[Weight, ...]:
    """Weight `[out, channels, *kernel]` and bias `[out]`; fans as `torch.nn.init` counts them, at most as connected."""
    shape: tuple[int, ...] = (conv.out, channels)
    if conv.table:
        shape, channels = (connections(conv.table),), max(map(len, conv.table))
    fan_in, fan_out = channels * math.prod(kernel), conv.out * math.prod(kernel)
    weight = Weight("weight", (*shape, *kernel), conv.init, fan_in=fan_in, fan_out=fan_out)
    bias = Weight("bias", (conv.out,), conv.bias_init, fan_in=fan_in, fan_out=fan_out)
    return weights_of(weight, bias if conv.bias else None, conv.norm)


def need_image(name: str, value: TensorType) -> None:
    """Refuse an input without spatial axes, or with more than three."""
    if 2 <= len(value.shape) <= 4:
        return
    raise ShapeError(
        "rank-mismatch",
        f"`{name}` needs channels and one to three spatial axes, but its input is {value}",
        help="an image is [channels, height, width]; `reshape([C, H, W])` makes one of a vector",
    )


def check_groups(channels: int, out: int, groups: int) -> None:
    """Refuse groups that do not divide the channels before and after."""
    for what, count in (("input", channels), ("output", out)):
        if count % groups == 0:
            continue
        raise ShapeError(
            "groups-divide",
            f"{count} {what} channels cannot be split into {groups} equal groups",
            argument="groups" if what == "input" else "out",
            notes=(f"{count} = {count // groups} * {groups} + {count % groups}",),
            help=f"`groups` must divide {channels} (input {axis_names(3)[0]}) and {out} (output channels)",
        )
