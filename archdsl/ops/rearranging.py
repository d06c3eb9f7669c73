"""Ops that exchange channels for space: blocks of neighbouring elements become channels, and back."""

from __future__ import annotations

from fractions import Fraction
from typing import ClassVar

from archdsl.ops.base import Op, ShapeError, TensorType, Window, only, op, param


class _ToSpace(Op):
    """`[C*b*b, H, W] -> [C, H*b, W*b]`."""

    __slots__ = ()

    block: int
    any_dtype: ClassVar[bool] = True

    def infer(self, inputs: tuple[TensorType, ...]) -> tuple[TensorType, ...]:
        value, block = only(inputs), self.block
        _need_plane(self.name, value)
        channels, height, width = value.shape
        if channels % block**2:
            rest = f"{channels} = {channels // block**2} * {block**2} + {channels % block**2}"
            message = f"{channels} channels are no whole number of blocks of {block} x {block}"
            raise ShapeError("groups-divide", message, argument="block", notes=(rest,))
        return (TensorType((channels // block**2, height * block, width * block), value.dtype),)

    def window(self, inputs: tuple[TensorType, ...]) -> Window:
        return Window((1, 1), (Fraction(1, self.block),) * 2, (1, 1), ((0, 0), (0, 0)))

    def arithmetic(self, inputs: tuple[TensorType, ...]) -> tuple[str, ...]:
        return tuple(f"{size} * {self.block} = {size * self.block}" for size in only(inputs).spatial)


class _ToChannels(Op):
    """`[C, H*b, W*b] -> [C*b*b, H, W]`."""

    __slots__ = ()

    block: int
    any_dtype: ClassVar[bool] = True

    def infer(self, inputs: tuple[TensorType, ...]) -> tuple[TensorType, ...]:
        value, block = only(inputs), self.block
        _need_plane(self.name, value)
        channels, height, width = value.shape
        for name, size in (("height", height), ("width", width)):
            if size % block:
                message = f"a {name} of {size} is no whole number of blocks of {block}"
                raise ShapeError("groups-divide", message, argument="block", help="`pad(...)` before it fills it up")
        return (TensorType((channels * block**2, height // block, width // block), value.dtype),)

    def window(self, inputs: tuple[TensorType, ...]) -> Window:
        sizes = (self.block, self.block)
        return Window(sizes, sizes, (1, 1), ((0, 0), (0, 0)))

    def arithmetic(self, inputs: tuple[TensorType, ...]) -> tuple[str, ...]:
        return tuple(f"{size} / {self.block} = {size // self.block}" for size in only(inputs).spatial)


@op("pixel_shuffle")
class PixelShuffle(_ToSpace):
    """`[C*b*b, H, W] -> [C, H*b, W*b]` as `torch.nn.PixelShuffle` (Shi et al., 2016).

    Channel `c*b*b + i*b + j` holds row `i` and column `j` of channel `c`'s blocks (ONNX's `DepthToSpace`, mode `CRD`).
    """

    block: int = param("count", doc="height and width of the blocks")


@op("pixel_unshuffle")
class PixelUnshuffle(_ToChannels):
    """`[C, H*b, W*b] -> [C*b*b, H, W]`, the inverse of `pixel_shuffle`, as `torch.nn.PixelUnshuffle`."""

    block: int = param("count", doc="height and width of the blocks")


@op("depth_to_space")
class DepthToSpace(_ToSpace):
    """`[b*b*C, H, W] -> [C, H*b, W*b]`: channel `(i*b + j)*C + c` holds row `i` and column `j` of channel `c`'s blocks.

    TensorFlow's order, and ONNX's `DepthToSpace` in mode `DCR`; `pixel_shuffle` is PyTorch's.
    """

    block: int = param("count", doc="height and width of the blocks")


@op("space_to_depth")
class SpaceToDepth(_ToChannels):
    """`[C, H*b, W*b] -> [b*b*C, H, W]`, the inverse of `depth_to_space`: TensorFlow's order, ONNX's `SpaceToDepth`.

    YOLOv2's passthrough layer, which its authors' own code orders in yet another way.
    """

    block: int = param("count", doc="height and width of the blocks")


def _need_plane(name: str, value: TensorType) -> None:
    if len(value.shape) != 3:
        message = f"`{name}` needs channels, height and width, but its input is {value}"
        raise ShapeError("rank-mismatch", message)
