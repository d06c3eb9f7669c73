"""Pooling over one, two or three spatial axes: sliding windows, global, and adaptive."""

from __future__ import annotations

import math
from fractions import Fraction

from archdsl.ops.base import GLOBAL, Global, Op, ShapeError, TensorType, Window, only, op, param, per_axis
from archdsl.ops.convolution import need_image
from archdsl.ops.geometry import Geometry, Padding, Sizes, resolve

#: The kernel that covers every spatial axis whole.
WHOLE = "global"
Kernel = Sizes | str


@op("maxpool")
class MaxPool(Op):
    """Largest element of each window, `[C, ...] -> [C, ...]`, as `torch.nn.MaxPool1d`, `2d` and `3d`.

    Padding never wins. `maxpool(global)` takes the maximum of all of a channel, `[C, H, W] -> [C, 1, 1]`.
    With `indices`, a second result `indices` says where in its channel's plane each maximum lies, the last axis
    fastest, as `return_indices` of PyTorch; the first of equals counts. `unpool` reads it.
    """

    kernel: Kernel = param("window", doc="window size, or `global` for all of it")
    stride: Sizes | None = param("sizes", None, doc="step of the window; the kernel size if not given")
    pad: Padding = param("padding", 0, doc="padding around the input, at most half the kernel")
    dilation: Sizes = param("sizes", 1, doc="distance between the elements of a window")
    ceil: bool = param("flag", False, doc="keep a last window that runs past the end")
    indices: bool = param("flag", False, doc="a second result says where each maximum was found")

    def geometry(self, inputs: tuple[TensorType, ...]) -> Geometry | None:
        """The window resolved against the input; None where it is global."""
        return _geometry(self.name, only(inputs), self.kernel, self.stride, self.pad, self.dilation, self.ceil)

    def infer(self, inputs: tuple[TensorType, ...]) -> tuple[TensorType, ...]:
        geometry = self.geometry(inputs)
        values = _pooled(only(inputs), geometry)
        if not self.indices:
            return (values,)
        _check_indices(geometry)
        return values, TensorType(values.shape, "int64")

    def results(self, inputs: tuple[TensorType, ...]) -> tuple[str, ...]:
        return ("values", "indices") if self.indices else ()

    def elementwise_ops(self, inputs: tuple[TensorType, ...], outputs: tuple[TensorType, ...]) -> int:
        return _operations(only(inputs), self.geometry(inputs), outputs[0])

    def window(self, inputs: tuple[TensorType, ...]) -> Window | Global:
        return _window(self.geometry(inputs))

    def arithmetic(self, inputs: tuple[TensorType, ...]) -> tuple[str, ...]:
        return _arithmetic(only(inputs), self.geometry(inputs))


@op("avgpool")
class AvgPool(Op):
    """Mean of each window, `[C, ...] -> [C, ...]`, as `torch.nn.AvgPool1d`, `2d` and `3d`.

    With `count_include_pad` the zeros of `pad` count in the mean; what `ceil` adds at the end never does.
    `avgpool(global)` is the mean of all of a channel, `[C, H, W] -> [C, 1, 1]`.
    """

    kernel: Kernel = param("window", doc="window size, or `global` for all of it")
    stride: Sizes | None = param("sizes", None, doc="step of the window; the kernel size if not given")
    pad: Padding = param("padding", 0, doc="zeros around the input, at most half the kernel")
    ceil: bool = param("flag", False, doc="keep a last window that runs past the end")
    count_include_pad: bool = param("flag", True, doc="the zeros of `pad` count in the mean")

    def geometry(self, inputs: tuple[TensorType, ...]) -> Geometry | None:
        """The window resolved against the input; None where it is global."""
        return _mean_geometry(self.name, only(inputs), self.kernel, self.stride, self.pad, self.ceil)

    def infer(self, inputs: tuple[TensorType, ...]) -> tuple[TensorType, ...]:
        return (_pooled(only(inputs), self.geometry(inputs)),)

    def elementwise_ops(self, inputs: tuple[TensorType, ...], outputs: tuple[TensorType, ...]) -> int:
        return _operations(only(inputs), self.geometry(inputs), outputs[0])

    def window(self, inputs: tuple[TensorType, ...]) -> Window | Global:
        return _window(self.geometry(inputs))

    def arithmetic(self, inputs: tuple[TensorType, ...]) -> tuple[str, ...]:
        return _arithmetic(only(inputs), self.geometry(inputs))


@op("lppool")
class LPPool(Op):
    """`(sum of x^p)^(1/p)` of each window, `[C, ...] -> [C, ...]`, as `torch.nn.LPPool1d`, `2d` and `3d`."""

    kernel: Kernel = param("window", doc="window size, or `global` for all of it")
    stride: Sizes | None = param("sizes", None, doc="step of the window; the kernel size if not given")
    p: float = param("number", 2, doc="exponent: 1 sums, large ones approach the maximum")
    ceil: bool = param("flag", False, doc="keep a last window that runs past the end")

    def geometry(self, inputs: tuple[TensorType, ...]) -> Geometry | None:
        """The window resolved against the input; None where it is global."""
        return _mean_geometry(self.name, only(inputs), self.kernel, self.stride, 0, self.ceil)

    def infer(self, inputs: tuple[TensorType, ...]) -> tuple[TensorType, ...]:
        if self.p <= 0:
            raise ShapeError("argument-value", f"the exponent `p` must be above 0, not {self.p}", argument="p")
        return (_pooled(only(inputs), self.geometry(inputs)),)

    def elementwise_ops(self, inputs: tuple[TensorType, ...], outputs: tuple[TensorType, ...]) -> int:
        return _operations(only(inputs), self.geometry(inputs), outputs[0])

    def window(self, inputs: tuple[TensorType, ...]) -> Window | Global:
        return _window(self.geometry(inputs))

    def arithmetic(self, inputs: tuple[TensorType, ...]) -> tuple[str, ...]:
        return _arithmetic(only(inputs), self.geometry(inputs))


@op("adaptive_avgpool")
class AdaptiveAvgPool(Op):
    """Means over `out` even shares of each axis, `[C, ...] -> [C, *out]`, as `torch.nn.AdaptiveAvgPool1d`, `2d`, `3d`.

    Share `i` of `o` on an axis of `n` runs from `floor(i n / o)` to `ceil((i + 1) n / o)`; shares may overlap.
    """

    out: Sizes = param("sizes", doc="output size of each spatial axis")

    def infer(self, inputs: tuple[TensorType, ...]) -> tuple[TensorType, ...]:
        return (_adapted(self.name, only(inputs), self.out),)

    def elementwise_ops(self, inputs: tuple[TensorType, ...], outputs: tuple[TensorType, ...]) -> int:
        return only(inputs).elements

    def window(self, inputs: tuple[TensorType, ...]) -> Window | Global:
        return _adaptive_window(only(inputs), self.out)

    def arithmetic(self, inputs: tuple[TensorType, ...]) -> tuple[str, ...]:
        return _adaptive_arithmetic(only(inputs), self.out)


@op("adaptive_maxpool")
class AdaptiveMaxPool(Op):
    """Maxima over `out` even shares of each axis, `[C, ...] -> [C, *out]`, as `torch.nn.AdaptiveMaxPool1d`, `2d`, `3d`.

    The shares are those of `adaptive_avgpool`.
    """

    out: Sizes = param("sizes", doc="output size of each spatial axis")

    def infer(self, inputs: tuple[TensorType, ...]) -> tuple[TensorType, ...]:
        return (_adapted(self.name, only(inputs), self.out),)

    def elementwise_ops(self, inputs: tuple[TensorType, ...], outputs: tuple[TensorType, ...]) -> int:
        return only(inputs).elements

    def window(self, inputs: tuple[TensorType, ...]) -> Window | Global:
        return _adaptive_window(only(inputs), self.out)

    def arithmetic(self, inputs: tuple[TensorType, ...]) -> tuple[str, ...]:
        return _adaptive_arithmetic(only(inputs), self.out)


def _geometry(
    name: str, value: TensorType, kernel: Kernel, stride: Sizes | None, pad: Padding, dilation: Sizes, ceil: bool
) -> Geometry | None:
    need_image(name, value)
    if isinstance(kernel, str):
        _check_whole(name, {"stride": stride is None, "pad": pad == 0, "dilation": dilation == 1, "ceil": not ceil})
        return None
    geometry = resolve(value, kernel, kernel if stride is None else stride, pad, dilation, ceil)
    _check_padding(geometry, pad)
    return geometry


def _mean_geometry(
    name: str, value: TensorType, kernel: Kernel, stride: Sizes | None, pad: Padding, ceil: bool
) -> Geometry | None:
    """As `_geometry`, with a limit of PyTorch's `avg_pool3d`: over volumes, the kernel must fit without padding."""
    geometry = _geometry(name, value, kernel, stride, pad, 1, ceil)
    if geometry is None or len(value.spatial) < 3:
        return geometry
    for size, reach in zip(geometry.input, geometry.kernel, strict=True):
        if reach <= size:
            continue
        raise ShapeError(
            "kernel-too-large",
            f"`{name}` over volumes needs a kernel that fits without padding, but {reach} is above {size} of {value}",
            argument="kernel",
            label=f"{reach} > {size}",
            help=f"use a kernel of at most {min(value.spatial)}, or put `pad` before it",
            replacements=(str(min(value.spatial)),),
        )
    return geometry


def _check_whole(name: str, unset: dict[str, bool]) -> None:
    """`global` has no step and no border: an argument that would set one is a mistake, not a no-op."""
    for argument, absent in unset.items():
        if absent:
            continue
        raise ShapeError(
            "argument-value",
            f"`{argument}` means nothing where the kernel is `{WHOLE}`",
            argument=argument,
            help=f"write `{name}({WHOLE})` alone, or give the kernel a size",
        )


def _check_padding(geometry: Geometry, pad: Padding) -> None:
    """PyTorch's limit: half the kernel, dilated or not. Beyond it a window could lie in the padding alone."""
    limits = [size // 2 for size in geometry.kernel]
    for limit, kernel, pair in zip(limits, geometry.kernel, geometry.padding, strict=True):
        if max(pair) <= limit:
            continue
        allowed = str(limits[0]) if len(set(limits)) == 1 else str(limits)
        raise ShapeError(
            "pool-padding",
            f"a padding of {max(pair)} is more than half of the pooling kernel of {kernel}",
            argument="pad",
            label=f"{max(pair)} > {kernel} // 2 = {limit}",
            notes=() if pad == max(pair) else (f"`pad = {_as_written(pad)}` resolves to {list(geometry.padding)}",),
            help=f"pooling allows `pad = {allowed}` at most; `pad(...)` as a layer of its own has no such limit",
            replacements=(allowed,),
        )


def _check_indices(geometry: Geometry | None) -> None:
    """Indices count positions of the input itself, so that nothing may be put around it first."""
    if geometry is None:
        message = f"`indices` means nothing where the kernel is `{WHOLE}`"
        raise ShapeError("argument-value", message, argument="indices", replacements=("false",))
    dilated = max(geometry.dilation) > 1 and any(map(any, geometry.padding))
    if geometry.symmetric and not dilated:
        return
    reason = "both padding and a dilation" if dilated else "padding that differs between the sides"
    message = f"`indices` are not known with {reason}"
    help = "put `pad(...)` before it; the indices then count in the padded input"
    raise ShapeError("argument-value", message, argument="indices", help=help)


def _as_written(pad: Padding) -> str:
    return str(list(pad)) if isinstance(pad, tuple) else str(pad)


def _pooled(value: TensorType, geometry: Geometry | None) -> TensorType:
    spatial = (1,) * len(value.spatial) if geometry is None else geometry.output
    return TensorType((value.shape[0], *spatial), value.dtype)


def _operations(value: TensorType, geometry: Geometry | None, output: TensorType) -> int:
    """One for each element of each window, clipped or not."""
    return value.elements if geometry is None else math.prod(geometry.kernel) * output.elements


def _window(geometry: Geometry | None) -> Window | Global:
    return GLOBAL if geometry is None else geometry.window()


def _arithmetic(value: TensorType, geometry: Geometry | None) -> tuple[str, ...]:
    if geometry is None:
        return tuple(f"all {size} into 1" for size in value.spatial)
    return geometry.arithmetic()


def _adapted(name: str, value: TensorType, out: Sizes) -> TensorType:
    need_image(name, value)
    return TensorType((value.shape[0], *per_axis(out, len(value.spatial), "out")), value.dtype)


def _adaptive_window(value: TensorType, out: Sizes) -> Window | Global:
    """The widest share and the mean step; everything where one share is all there is."""
    shares = per_axis(out, len(value.spatial), "out")
    if set(shares) == {1}:
        return GLOBAL
    axes = list(zip(value.spatial, shares, strict=True))
    # share i begins r = i n % o after a whole element, at most o - gcd(n, o), and is ceil((r + n) / o) long
    kernel = tuple(-(-(n + o - math.gcd(n, o)) // o) for n, o in axes)
    stride = tuple(n // o if n % o == 0 else Fraction(n, o) for n, o in axes)
    return Window(kernel, stride, (1,) * len(axes), ((0, 0),) * len(axes))


def _adaptive_arithmetic(value: TensorType, out: Sizes) -> tuple[str, ...]:
    shares = per_axis(out, len(value.spatial), "out")
    return tuple(f"all {n} into {o}" for n, o in zip(value.spatial, shares, strict=True))
