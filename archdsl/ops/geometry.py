"""Output sizes of sliding windows, and the padding words `same`, `same_tf` and `valid`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Union

from archdsl.ops.base import ShapeError, TensorType, Window, per_axis
from archdsl.ops.dims import with_value

Sizes = Union[int, tuple[int, ...]]
Padding = Union[int, tuple[int, ...], str]
Pair = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Geometry:
    """A window resolved against one input: every tuple has one entry per spatial axis.

    `padding` is (begin, end) as the user's argument resolves; `ceil_extra` is what ceil mode adds
    at the end on top of it, so that lowering with floor and `padding + ceil_extra` gives `output`.
    """

    input: tuple[int, ...]
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    padding: tuple[Pair, ...]
    ceil_extra: tuple[int, ...]
    output: tuple[int, ...]
    ceil: bool

    @property
    def symmetric(self) -> bool:
        """Begin and end padding agree on every axis."""
        return all(begin == end for begin, end in self.padding)

    def window(self) -> Window:
        return Window(self.kernel, self.stride, self.dilation, self.padding)

    def arithmetic(self) -> tuple[str, ...]:
        """The size formula of each axis with its numbers, as papers and manuals write it."""
        return tuple(self._axis_arithmetic(axis) for axis in range(len(self.input)))

    def _axis_arithmetic(self, axis: int) -> str:
        begin, end = self.padding[axis]
        kernel, dilation, stride = self.kernel[axis], self.dilation[axis], self.stride[axis]
        pad = f" + 2*{begin}" if begin == end else f" + {begin} + {end}"
        pad = "" if begin == end == 0 else pad
        span = f"{dilation}*({kernel} - 1) - 1" if dilation != 1 else f"{kernel}"
        inner = f"{self.input[axis]}{pad} - {span}"
        if stride == 1:
            return f"{inner} + 1 = {self.output[axis]}"
        if not self.ceil:
            return f"floor(({inner}) / {stride}) + 1 = {self.output[axis]}"
        # A last window that would start in the end padding is dropped, and the sum has to say so.
        reach = dilation * (kernel - 1) + 1
        dropped = -(-(self.input[axis] + begin + end - reach) // stride) + 1 - self.output[axis]
        return f"ceil(({inner}) / {stride}) + 1{' - 1' * dropped} = {self.output[axis]}"


def resolve(
    value: TensorType,
    kernel: Sizes,
    stride: Sizes,
    pad: Padding,
    dilation: Sizes = 1,
    ceil: bool = False,
) -> Geometry:
    """The window's geometry on an input `[C, spatial...]`; raises `ShapeError`.

    Size rule (PyTorch's; agrees with Caffe's): o = floor((i + p - d(k-1) - 1 + c) / s) + 1 with
    c = s - 1 in ceil mode, less one where the last window would start past the padded input.
    """
    rank = len(value.spatial)
    kernels = per_axis(kernel, rank, "kernel")
    strides = per_axis(stride, rank, "stride")
    dilations = per_axis(dilation, rank, "dilation")
    padding = resolve_padding(value.spatial, kernels, strides, dilations, pad)
    sizes = [
        _axis(size, k, s, d, p, ceil)
        for size, k, s, d, p in zip(value.spatial, kernels, strides, dilations, padding, strict=True)
    ]
    output = tuple(size for size, _ in sizes)
    geometry = Geometry(value.spatial, kernels, strides, dilations, padding, tuple(e for _, e in sizes), output, ceil)
    if min(output, default=1) < 1:
        raise _too_large(geometry)
    return geometry


def _axis(size: int, kernel: int, stride: int, dilation: int, pad: Pair, ceil: bool) -> tuple[int, int]:
    """Output size and the end padding that ceil mode adds on one axis."""
    begin, end = pad
    reach = dilation * (kernel - 1) + 1
    room = size + begin + end - reach
    if not ceil:
        return room // stride + 1, 0
    output = -(-room // stride) + 1
    if (output - 1) * stride >= size + begin:
        output -= 1
    return output, max(0, (output - 1) * stride + reach - (size + begin + end))


def _too_large(geometry: Geometry) -> ShapeError:
    axis = next(i for i, size in enumerate(geometry.output) if size < 1)
    reach = geometry.dilation[axis] * (geometry.kernel[axis] - 1) + 1
    padded = geometry.input[axis] + sum(geometry.padding[axis])
    needed = -(-(reach - int(geometry.input[axis])) // 2)
    begin, end = geometry.padding[axis]
    padding = f" ({geometry.input[axis]} and padding {begin} + {end})" if begin or end else ""
    dilated = f" (dilated to {reach})" if geometry.dilation[axis] != 1 else ""
    return ShapeError(
        "kernel-too-large",
        f"a kernel of {geometry.kernel[axis]}{dilated} does not fit into {with_value(padded)}{padding}",
        argument="kernel",
        label=f"{reach} > {with_value(padded)}",
        help=f"use a kernel of at most {int(padded)}, or a padding of at least {needed}",
        replacements=(str(int(padded)),) if geometry.dilation[axis] == 1 else (),
    )


def resolve_padding(
    sizes: tuple[int, ...],
    kernel: tuple[int, ...],
    stride: tuple[int, ...],
    dilation: tuple[int, ...],
    pad: Padding,
    argument: str = "pad",
) -> tuple[Pair, ...]:
    """(begin, end) of each axis. `same_tf` is TensorFlow's: output = ceil(input / stride), odd pixel at the end."""
    if pad == "valid":
        return ((0, 0),) * len(sizes)
    if pad == "same":
        return _same(sizes, kernel, stride, dilation)
    if pad == "same_tf":
        return tuple(_same_tf(*axis) for axis in zip(sizes, kernel, stride, dilation, strict=True))
    assert not isinstance(pad, str), pad
    if isinstance(pad, int):
        return ((pad, pad),) * len(sizes)
    if len(pad) == len(sizes):
        return tuple((p, p) for p in pad)
    if len(pad) == 2 * len(sizes):
        return tuple(zip(pad[: len(sizes)], pad[len(sizes) :], strict=True))
    raise ShapeError(
        "argument-length",
        f"`{argument}` has {len(pad)} numbers for {len(sizes)} spatial {'axis' if len(sizes) == 1 else 'axes'}",
        argument=argument,
        help="give one number, one for each axis, or all begins and then all ends ([top, left, bottom, right])",
    )


def _same_tf(size: int, kernel: int, stride: int, dilation: int) -> Pair:
    reach = dilation * (kernel - 1) + 1
    total = max(0, (-(-size // stride) - 1) * stride + reach - size)
    return total // 2, total - total // 2


def _same(
    sizes: tuple[int, ...], kernel: tuple[int, ...], stride: tuple[int, ...], dilation: tuple[int, ...]
) -> tuple[Pair, ...]:
    totals = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
    symmetric = tuple((total // 2, total - total // 2) for total in totals)
    if max(stride, default=1) == 1:
        return symmetric
    tensorflow = [_same_tf(*axis) for axis in zip(sizes, kernel, stride, dilation, strict=True)]
    begins, ends = [p[0] for p in tensorflow], [p[1] for p in tensorflow]
    halves = [p[0] for p in symmetric]
    raise ShapeError(
        "ambiguous-same",
        "`pad = same` with a stride above 1 is read in two ways",
        argument="pad",
        notes=(
            f"PyTorch networks mean pad = {_text(halves)}: the same number on both sides",
            f"TensorFlow networks mean pad = {begins + ends} at this input: the odd pixel goes to the end",
        ),
        help=f"write `pad = {_text(halves)}` or `pad = same_tf`",
        replacements=(_text(halves), "same_tf"),
    )


def _text(numbers: list[int]) -> str:
    return str(numbers[0]) if len(set(numbers)) == 1 else str(numbers)
