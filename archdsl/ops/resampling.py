"""Ops that change how finely space is sampled."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import ClassVar

from archdsl.ops.base import Op, ShapeError, TensorType, Window, only, op, param, per_axis
from archdsl.ops.convolution import need_image
from archdsl.ops.dims import symbolic
from archdsl.ops.geometry import Sizes

Scales = float | tuple[float, ...]
#: Operations for each output element: 4 neighbours make 4 products and 3 sums, 16 make 16 and 15.
OPERATIONS = {"nearest": 0, "bilinear": 7, "bicubic": 31}
#: Input elements that one output element looks at along an axis.
REACH = {"nearest": 1, "bilinear": 2, "bicubic": 4}

#: Products of sizes with ratios of at most this denominator are exact in double precision.
EXACT = 2**20


@op("upsample")
class Upsample(Op):
    """Each spatial axis of `[C, ...]` longer by a whole factor, as `torch.nn.Upsample`."""

    scale: Sizes = param("sizes", doc="factor of each spatial axis")
    mode: str = param("choice", "nearest", choices=("nearest", "bilinear"), doc="how elements in between are found")
    align_corners: bool = param("flag", False, doc="bilinear: corners of input and output coincide")

    def scales(self, inputs: tuple[TensorType, ...]) -> tuple[int, ...]:
        """Factor of each spatial axis."""
        return per_axis(self.scale, len(only(inputs).spatial), "scale")

    def infer(self, inputs: tuple[TensorType, ...]) -> tuple[TensorType, ...]:
        value = only(inputs)
        need_image(self.name, value)
        _check_mode(self.mode, self.align_corners, value)
        spatial = (size * scale for size, scale in zip(value.spatial, self.scales(inputs), strict=True))
        return (TensorType((value.shape[0], *spatial), value.dtype),)

    def elementwise_ops(self, inputs: tuple[TensorType, ...], outputs: tuple[TensorType, ...]) -> int:
        return OPERATIONS[self.mode] * outputs[0].elements

    def window(self, inputs: tuple[TensorType, ...]) -> Window:
        """One input element (nearest), or two neighbours of each axis that grows (bilinear)."""
        scales = self.scales(inputs)
        ones = (1,) * len(scales)
        kernel = tuple(2 if self.mode == "bilinear" and scale > 1 else 1 for scale in scales)
        return Window(kernel, tuple(Fraction(1, scale) for scale in scales), ones, ((0, 0),) * len(scales))

    def arithmetic(self, inputs: tuple[TensorType, ...]) -> tuple[str, ...]:
        sizes = zip(only(inputs).spatial, self.scales(inputs), strict=True)
        return tuple(f"{size} * {scale} = {size * scale}" for size, scale in sizes)


@op("resize")
class Resize(Op):
    """The spatial axes of `[C, ...]` resampled to other sizes, as `torch.nn.functional.interpolate`.

    To `size`, by the factors `scale` (rounded down to whole sizes), or to the size of the tensor `like`, whose values
    do not matter: exactly one of the three is given. Cubic interpolation is Keys' with a = -0.75.
    """

    size: Sizes | None = param("sizes", None, doc="new size of each spatial axis")
    scale: Scales | None = param("scales", None, doc="factor of each spatial axis")
    mode: str = param(
        "choice", "nearest", choices=("nearest", "bilinear", "bicubic"), doc="how elements in between are found"
    )
    align_corners: bool = param("flag", False, doc="bilinear, bicubic: corners of input and output coincide")

    operands: ClassVar[tuple[str, ...]] = ("input", "like")
    optional_operands: ClassVar[int] = 1

    def factors(self, inputs: tuple[TensorType, ...]) -> tuple[float, ...] | None:
        """The factor of each spatial axis where factors are given."""
        rank = len(inputs[0].spatial)
        if self.scale is None:
            return None
        return per_axis(self.scale, rank, "scale") if isinstance(self.scale, tuple) else (self.scale,) * rank  # type: ignore[arg-type]

    def infer(self, inputs: tuple[TensorType, ...]) -> tuple[TensorType, ...]:
        value = inputs[0]
        need_image(self.name, value)
        _check_mode(self.mode, self.align_corners, value)
        self._check_given(inputs)
        spatial = self._sizes(inputs)
        if min(spatial) < 1:
            message = f"a factor of {self.scale} leaves nothing of {value}"
            raise ShapeError("argument-value", message, argument="scale")
        return (TensorType((value.shape[0], *spatial), value.dtype),)

    def elementwise_ops(self, inputs: tuple[TensorType, ...], outputs: tuple[TensorType, ...]) -> int:
        return OPERATIONS[self.mode] * outputs[0].elements

    def window(self, inputs: tuple[TensorType, ...]) -> Window:
        """One, two or four neighbours on an axis whose size changes."""
        sizes = list(zip(inputs[0].spatial, self._sizes(inputs), strict=True))
        kernel = tuple(1 if old == new else REACH[self.mode] for old, new in sizes)
        none = ((0, 0),) * len(sizes)
        return Window(kernel, tuple(Fraction(old, new) for old, new in sizes), (1,) * len(sizes), none)

    def arithmetic(self, inputs: tuple[TensorType, ...]) -> tuple[str, ...]:
        factors, sizes = self.factors(inputs), self._sizes(inputs)
        if factors is None:
            return tuple(f"{old} to {new}" for old, new in zip(inputs[0].spatial, sizes, strict=True))
        axes = zip(inputs[0].spatial, factors, sizes, strict=True)
        return tuple(f"floor({old} * {factor}) = {new}" for old, factor, new in axes)

    def _sizes(self, inputs: tuple[TensorType, ...]) -> tuple[int, ...]:
        value, factors = inputs[0], self.factors(inputs)
        if len(inputs) > 1:
            return inputs[1].spatial
        if factors is None:
            assert self.size is not None
            return per_axis(self.size, len(value.spatial), "size")
        return tuple(_scaled(size, factor) for size, factor in zip(value.spatial, factors, strict=True))

    def _check_given(self, inputs: tuple[TensorType, ...]) -> None:
        given = (self.size is not None) + (self.scale is not None) + (len(inputs) > 1)
        if given != 1:
            message = f"`resize` takes one of `size`, `scale` and `like`, but {given or 'none'} of them is given"
            raise ShapeError("argument-value", message, argument="scale" if self.scale is not None else "size")
        if len(inputs) > 1 and len(inputs[1].shape) != len(inputs[0].shape):
            message = f"`resize` needs a tensor like {inputs[0]}, with as many axes, not {inputs[1]}"
            raise ShapeError("operand-shape", message, argument="like")


def _scaled(size: int, factor: float) -> int:
    """Rounded down; an open size keeps its expression where the factor is a ratio that floats hold exactly."""
    above, below = factor.as_integer_ratio()
    return size * above // below if symbolic(size) and below <= EXACT else math.floor(size * factor)


@op("crop")
class Crop(Op):
    """A part of the spatial axes of `[C, ...]`: of `size`, or of the size of the tensor `like`.

    It begins at `offset`; without one it is the middle, an odd rest going to the end, as U-Net crops what it copies.
    """

    size: Sizes | None = param("sizes", None, doc="size of each spatial axis that is kept")
    offset: Sizes | None = param("naturals", None, doc="first element kept of each axis; the middle if not given")

    operands: ClassVar[tuple[str, ...]] = ("input", "like")
    optional_operands: ClassVar[int] = 1
    any_dtype: ClassVar[bool] = True

    def bounds(self, inputs: tuple[TensorType, ...]) -> tuple[tuple[int, int], ...]:
        """First element of each spatial axis, and the one after the last; raises `ShapeError`."""
        value = inputs[0]
        sizes = self._sizes(inputs)
        offsets = (
            tuple((old - new) // 2 for old, new in zip(value.spatial, sizes, strict=True))
            if self.offset is None
            else per_axis(self.offset, len(sizes), "offset")
        )
        bounds = tuple((start, start + size) for start, size in zip(offsets, sizes, strict=True))
        for (start, end), size in zip(bounds, value.spatial, strict=True):
            if start < 0 or end > size:
                raise _outside(value, start, end, size, self.offset is not None)
        return bounds

    def infer(self, inputs: tuple[TensorType, ...]) -> tuple[TensorType, ...]:
        value = inputs[0]
        need_image(self.name, value)
        return (TensorType((value.shape[0], *(end - start for start, end in self.bounds(inputs))), value.dtype),)

    def window(self, inputs: tuple[TensorType, ...]) -> Window:
        """A kernel of 1; what is cut off in front is negative padding."""
        bounds = self.bounds(inputs)
        ones = (1,) * len(bounds)
        ends = zip(bounds, inputs[0].spatial, strict=True)
        return Window(ones, ones, ones, tuple((-start, end - size) for (start, end), size in ends))

    def arithmetic(self, inputs: tuple[TensorType, ...]) -> tuple[str, ...]:
        return tuple(f"{end} - {start} = {end - start}" for start, end in self.bounds(inputs))

    def _sizes(self, inputs: tuple[TensorType, ...]) -> tuple[int, ...]:
        value = inputs[0]
        if (self.size is None) == (len(inputs) == 1):
            message = "`crop` takes either a `size` or a tensor `like`"
            raise ShapeError("argument-value", message, argument="size")
        if self.size is not None:
            return per_axis(self.size, len(value.spatial), "size")
        if len(inputs[1].shape) != len(value.shape):
            message = f"`crop` needs a tensor like {value}, with as many axes, not {inputs[1]}"
            raise ShapeError("operand-shape", message, argument="like")
        return inputs[1].spatial


def _check_mode(mode: str, align_corners: bool, value: TensorType) -> None:
    if mode == "nearest" and align_corners:
        message = "`align_corners` means nothing where the mode is `nearest`"
        raise ShapeError("argument-value", message, argument="align_corners", replacements=("false",))
    if mode != "nearest" and len(value.spatial) != 2:
        message = f"`{mode}` needs height and width, but the input is {value}"
        raise ShapeError("rank-mismatch", message, argument="mode", replacements=("nearest",))


def _outside(value: TensorType, start: int, end: int, size: int, shifted: bool) -> ShapeError:
    message = f"`crop` would keep elements {start} to {end} of the {size} of an axis of {value}"
    if start >= 0 or shifted:
        return ShapeError("slice-range", message, argument="offset" if shifted else "size")
    message = f"`crop` cannot make {end - start} elements of the {size} of an axis of {value}"
    return ShapeError("slice-range", message, argument="size", help="`pad(...)` makes an axis longer")
