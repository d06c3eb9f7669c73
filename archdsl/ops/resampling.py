"""Ops that change how finely space is sampled."""

from __future__ import annotations

from fractions import Fraction

from archdsl.ops.base import Op, ShapeError, TensorType, Window, only, op, param, per_axis
from archdsl.ops.convolution import need_image
from archdsl.ops.geometry import Sizes


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
        self._check(value)
        spatial = (size * scale for size, scale in zip(value.spatial, self.scales(inputs), strict=True))
        return (TensorType((value.shape[0], *spatial), value.dtype),)

    def elementwise_ops(self, inputs: tuple[TensorType, ...], outputs: tuple[TensorType, ...]) -> int:
        return 7 * outputs[0].elements if self.mode == "bilinear" else 0

    def window(self, inputs: tuple[TensorType, ...]) -> Window:
        """One input element (nearest), or two neighbours of each axis that grows (bilinear)."""
        scales = self.scales(inputs)
        ones = (1,) * len(scales)
        kernel = tuple(2 if self.mode == "bilinear" and scale > 1 else 1 for scale in scales)
        return Window(kernel, tuple(Fraction(1, scale) for scale in scales), ones, ((0, 0),) * len(scales))

    def arithmetic(self, inputs: tuple[TensorType, ...]) -> tuple[str, ...]:
        sizes = zip(only(inputs).spatial, self.scales(inputs), strict=True)
        return tuple(f"{size} * {scale} = {size * scale}" for size, scale in sizes)

    def _check(self, value: TensorType) -> None:
        if self.mode == "nearest" and self.align_corners:
            message = "`align_corners` means nothing where the mode is `nearest`"
            raise ShapeError("argument-value", message, argument="align_corners", replacements=("false",))
        if self.mode == "bilinear" and len(value.spatial) != 2:
            message = f"`bilinear` needs height and width, but the input is {value}"
            raise ShapeError("rank-mismatch", message, argument="mode", replacements=("nearest",))
