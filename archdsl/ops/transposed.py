"""Ops that undo a stride: transposed convolution, and unpooling."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar

from archdsl.ops.base import DEFAULT, Init, Op, ShapeError, TensorType, Weight, Window, only, op, param, per_axis
from archdsl.ops.convolution import check_groups, need_image
from archdsl.ops.geometry import Padding, Pair, Sizes, resolve_padding
from archdsl.ops.stored import NORM_DOC, NORMS, weights_of


@dataclass(frozen=True, slots=True)
class Spread:
    """A window by which each input element spreads over the output; every tuple has one entry per spatial axis.

    Input element `i` reaches the outputs `i * stride - begin + dilation * k` for `k` below `kernel`, where `begin` and
    `end` are what `padding` cuts off the result.
    """

    input: tuple[int, ...]
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    padding: tuple[Pair, ...]
    extra: tuple[int, ...]
    output: tuple[int, ...]

    @property
    def symmetric(self) -> bool:
        """As much is cut off at the begin as at the end of every axis."""
        return all(begin == end for begin, end in self.padding)

    def window(self) -> Window:
        """What an output sees, from above: with `k` elements that far apart, at most `ceil(reach / stride)` inputs."""
        reaches = [d * (k - 1) + 1 for d, k in zip(self.dilation, self.kernel, strict=True)]
        kernel = tuple(-(-reach // stride) for reach, stride in zip(reaches, self.stride, strict=True))
        ones = (1,) * len(kernel)
        before = tuple((size - 1, size - 1) for size in kernel)
        return Window(kernel, tuple(Fraction(1, stride) for stride in self.stride), ones, before)

    def edges(self, axis: int) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
        """First and last input that output `o` can see, each as `floor((o * [0] + [1]) / [2])`."""
        begin, stride = self.padding[axis][0], self.stride[axis]
        reach = self.dilation[axis] * (self.kernel[axis] - 1)
        return (1, begin - reach + stride - 1, stride), (1, begin, stride)

    def arithmetic(self) -> tuple[str, ...]:
        """The size formula of each axis with its numbers."""
        return tuple(self._axis_arithmetic(axis) for axis in range(len(self.input)))

    def _axis_arithmetic(self, axis: int) -> str:
        (begin, end), dilation, kernel = self.padding[axis], self.dilation[axis], self.kernel[axis]
        cut = f" - 2*{begin}" if begin == end else f" - {begin} - {end}"
        cut = "" if begin == end == 0 else cut
        reach = f"{dilation}*({kernel} - 1) + 1" if dilation != 1 else f"{kernel}"
        more = self.extra[axis]
        extra = f" - {-more}" if more < 0 else f" + {more}" if more else ""
        return f"({self.input[axis]} - 1)*{self.stride[axis]} + {reach}{cut}{extra} = {self.output[axis]}"


@op("deconv")
class Deconv(Op):
    """Transposed convolution `[C, ...] -> [out, ...]`, as `torch.nn.ConvTranspose1d`, `2d` and `3d`.

    Each input element is spread over a window of the output; overlaps add up. `pad` cuts off the result what a
    convolution's padding would have added, and `output_pad` lengthens its end. With `same` and `same_tf` the output
    is `stride` times as long as the input. `trainable = false` holds the weights as they are loaded or drawn, as the
    fixed bilinear upsampling of Long et al. (2015) does with `init = bilinear, bias = false`. `norm` is that of
    [`conv`](#conv); by `weight`, as PyTorch's default has it, of each input channel.
    """

    out: int = param("count", doc="output channels")
    kernel: Sizes = param("sizes", doc="kernel size")
    stride: Sizes = param("sizes", 1, doc="distance between the windows of neighbouring elements")
    pad: Padding = param("padding", 0, doc="what is cut off the result")
    output_pad: Sizes = param("naturals", 0, doc="elements more at the end, below the stride or the dilation")
    dilation: Sizes = param("sizes", 1, doc="distance between kernel elements")
    groups: int = param("count", 1, doc="channel groups that do not see each other")
    bias: bool = param("flag", True, doc="add a learned number to each output channel")
    init: Init = param("init", DEFAULT, doc="initialization of the weight")
    bias_init: Init = param("init", DEFAULT, doc="initialization of the bias")
    trainable: bool = param("flag", True, doc="training changes the weights")
    norm: str = param("choice", "none", choices=NORMS, doc=NORM_DOC)

    weighted: ClassVar[bool] = True
    counts_depth: ClassVar[bool] = True
    rows: ClassVar[int] = 1

    def spread(self, inputs: tuple[TensorType, ...]) -> Spread:
        """The window resolved against the input; raises `ShapeError`."""
        value = only(inputs)
        need_image(self.name, value)
        rank = len(value.spatial)
        kernel, stride, dilation, extra = (
            per_axis(getattr(self, name), rank, name) for name in ("kernel", "stride", "dilation", "output_pad")
        )
        padding = _padding(self.pad, value.spatial, kernel, stride, dilation, extra)
        _check_extra(extra, stride, dilation)
        axes = zip(value.spatial, kernel, stride, dilation, padding, extra, strict=True)
        output = tuple((i - 1) * s + d * (k - 1) + 1 - sum(p) + e for i, k, s, d, p, e in axes)
        spread = Spread(value.spatial, kernel, stride, dilation, padding, extra, output)
        if min(output) < 1:
            raise _nothing_left(spread)
        return spread

    def infer(self, inputs: tuple[TensorType, ...]) -> tuple[TensorType, ...]:
        value = only(inputs)
        spread = self.spread(inputs)
        check_groups(value.shape[0], self.out, self.groups)
        return (TensorType((self.out, *spread.output), value.dtype),)

    def weights(self, inputs: tuple[TensorType, ...]) -> tuple[Weight, ...]:
        """`[C, out / groups, *kernel]` and `[out]`; fans as `torch.nn.init` counts them: by the second axis in."""
        channels, kernel = only(inputs).shape[0], self.spread(inputs).kernel
        area = math.prod(kernel)
        fans = {"fan_in": self.out // self.groups * area, "fan_out": channels * area, "trainable": self.trainable}
        weight = Weight("weight", (channels, self.out // self.groups, *kernel), self.init, **fans)  # type: ignore[arg-type]
        bias = Weight("bias", (self.out,), self.bias_init, **fans)  # type: ignore[arg-type]
        return weights_of(weight, bias if self.bias else None, self.norm, self.rows)

    def macs(self, inputs: tuple[TensorType, ...], outputs: tuple[TensorType, ...]) -> int:
        """Every input element meets the whole kernel, what `pad` cuts off included."""
        return only(inputs).elements * (self.out // self.groups) * math.prod(self.spread(inputs).kernel)

    def elementwise_ops(self, inputs: tuple[TensorType, ...], outputs: tuple[TensorType, ...]) -> int:
        return outputs[0].elements if self.bias else 0

    def window(self, inputs: tuple[TensorType, ...]) -> Window:
        return self.spread(inputs).window()

    def arithmetic(self, inputs: tuple[TensorType, ...]) -> tuple[str, ...]:
        return self.spread(inputs).arithmetic()


@op("unpool")
class Unpool(Op):
    """Each element of `[C, ...]` put back to where a max pooling found it, zeros elsewhere, as `torch.nn.MaxUnpool2d`.

    `indices` are those of `maxpool(..., indices = true)` with the same arguments. The result is as long as the windows
    reach, or as `like`, whose values do not matter: what was pooled, if windows left an end out or, in ceil mode, ran
    past it. Where windows overlap and two elements belong to one place, one of them is lost.
    """

    kernel: Sizes = param("sizes", doc="window size of the pooling")
    stride: Sizes | None = param("sizes", None, doc="step of its window; the kernel size if not given")
    pad: Sizes = param("naturals", 0, doc="its padding")

    operands: ClassVar[tuple[str, ...]] = ("input", "indices", "like")
    optional_operands: ClassVar[int] = 1
    any_dtype: ClassVar[bool] = True

    def spread(self, inputs: tuple[TensorType, ...]) -> Spread:
        """The window resolved against the input; raises `ShapeError`."""
        value = inputs[0]
        need_image(self.name, value)
        rank = len(value.spatial)
        kernel, pad = per_axis(self.kernel, rank, "kernel"), per_axis(self.pad, rank, "pad")
        stride = kernel if self.stride is None else per_axis(self.stride, rank, "stride")
        axes = zip(value.spatial, kernel, stride, pad, strict=True)
        least = tuple((i - 1) * s + k - 2 * p for i, k, s, p in axes)
        output = _like(inputs[2], least, stride) if len(inputs) > 2 else least
        padding = tuple((p, p) for p in pad)
        extra = tuple(found - size for found, size in zip(output, least, strict=True))
        spread = Spread(value.spatial, kernel, stride, (1,) * rank, padding, extra, output)
        if min(output) < 1:
            raise _nothing_left(spread)
        return spread

    def infer(self, inputs: tuple[TensorType, ...]) -> tuple[TensorType, ...]:
        value, indices = inputs[:2]
        if indices.dtype != "int64" or not value.dtype.startswith("float"):
            message = f"`unpool` puts numbers where int64 indices say, but they are {value.dtype} and {indices.dtype}"
            raise ShapeError("dtype-mismatch", message, help="`maxpool(2, indices = true)` gives `@pool.indices`")
        if indices.shape != value.shape:
            raise ShapeError("operand-shape", f"`unpool` needs an index for each element of {value}, not {indices}")
        return (TensorType((value.shape[0], *self.spread(inputs).output), value.dtype),)

    def window(self, inputs: tuple[TensorType, ...]) -> Window:
        return self.spread(inputs).window()

    def arithmetic(self, inputs: tuple[TensorType, ...]) -> tuple[str, ...]:
        return self.spread(inputs).arithmetic()


def _padding(
    pad: Padding, sizes: tuple[int, ...], kernel: tuple[int, ...], stride: tuple[int, ...], dilation: tuple[int, ...],
    extra: tuple[int, ...],
) -> tuple[Pair, ...]:  # fmt: skip
    """What is cut off each axis; with `same` as much as makes the output `stride` times as long as the input."""
    ones = (1,) * len(sizes)
    if pad not in ("same", "same_tf"):
        return resolve_padding(sizes, ones, ones, ones, pad)
    totals = [d * (k - 1) + 1 + e - s for k, s, d, e in zip(kernel, stride, dilation, extra, strict=True)]
    if min(totals) < 0:
        axis = next(axis for axis, total in enumerate(totals) if total < 0)
        raise ShapeError(
            "argument-value",
            f"`pad = {pad}` needs a kernel at least as long as the stride of {stride[axis]}",
            argument="pad",
            help=f"write `output_pad = {extra[axis] - totals[axis]}` in its place",
        )
    if pad == "same" and any(total % 2 for total in totals):
        raise _ambiguous(totals)
    return tuple((total // 2, total - total // 2) for total in totals)


def _ambiguous(totals: list[int]) -> ShapeError:
    torchs, tensorflows = ([*_halves(totals, up), *_halves(totals, not up)] for up in (True, False))
    return ShapeError(
        "ambiguous-same",
        "`pad = same` is read in two ways where an odd number is cut off",
        argument="pad",
        notes=(
            f"PyTorch networks mean pad = {torchs}: what `output_pad = 1` with the larger number on both sides gives",
            f"TensorFlow networks mean pad = {tensorflows}: the odd one is cut off the end",
        ),
        help=f"write `pad = {torchs}` or `pad = same_tf`",
        replacements=(str(torchs), "same_tf"),
    )


def _halves(totals: list[int], up: bool) -> Iterator[int]:
    return ((total + up) // 2 for total in totals)


def _check_extra(extra: tuple[int, ...], stride: tuple[int, ...], dilation: tuple[int, ...]) -> None:
    """PyTorch's limit: beyond it no kernel element reaches the added end."""
    for more, step, gap in zip(extra, stride, dilation, strict=True):
        if more < max(step, gap):
            continue
        raise ShapeError(
            "argument-value",
            f"`output_pad` = {more} must be below the stride or the dilation, here {max(step, gap)}",
            argument="output_pad",
            replacements=(str(max(step, gap) - 1),),
        )


def _nothing_left(spread: Spread) -> ShapeError:
    axis = next(axis for axis, size in enumerate(spread.output) if size < 1)
    return ShapeError(
        "argument-value",
        f"nothing is left of a spatial axis: {spread.arithmetic()[axis]}",
        argument="pad",
        help="cut off less, or use a larger kernel",
    )


def _like(other: TensorType, least: tuple[int, ...], stride: tuple[int, ...]) -> tuple[int, ...]:
    """The sizes of `like`, which such a pooling brings to the input's: longer ones, and in ceil mode shorter ones."""
    fits = len(other.spatial) == len(least) and all(
        size - step < found < size + step for size, found, step in zip(least, other.spatial, stride, strict=True)
    )
    if fits:
        return other.spatial
    ranges = " by ".join(f"{size - step + 1} to {size + step - 1}" for size, step in zip(least, stride, strict=True))
    raise ShapeError("operand-shape", f"`unpool` to the size of {other}, but such a pooling comes from {ranges}")
