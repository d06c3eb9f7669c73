"""PyTorch rules of resizing, cropping, and of exchanging channels for space."""

from __future__ import annotations

from archdsl.emit.torch.expression import Argument, Call, Expr, Join, Literal, Operand, Text, call
from archdsl.emit.torch.rules import Form, Helper, Types, X, rule, simplest
from archdsl.ops.base import per_axis
from archdsl.ops.rearranging import DepthToSpace, PixelShuffle, PixelUnshuffle, SpaceToDepth
from archdsl.ops.resampling import Crop, Resize

CROPPED = Helper(
    "cropped",
    '''\
def cropped(x: Tensor, size: tuple[int, ...], offset: tuple[int, ...] | None = None) -> Tensor:
    """The part of the spatial axes that begins at `offset`, else the middle."""
    for axis, length in enumerate(size, 2):
        start = (x.shape[axis] - length) // 2 if offset is None else offset[axis - 2]
        x = x.narrow(axis, start, length)
    return x''',
)

DEPTH_TO_SPACE = Helper(
    "depth_to_space",
    '''\
def depth_to_space(x: Tensor, block: int) -> Tensor:
    """Channel (i * block + j) * C + c becomes row i and column j of the blocks of channel c."""
    batch, channels, height, width = x.shape
    x = x.reshape(batch, block, block, channels // block**2, height, width).permute(0, 3, 4, 1, 5, 2)
    return x.reshape(batch, channels // block**2, height * block, width * block)''',
)

SPACE_TO_DEPTH = Helper(
    "space_to_depth",
    '''\
def space_to_depth(x: Tensor, block: int) -> Tensor:
    """Row i and column j of the blocks of channel c become channel (i * block + j) * C + c."""
    batch, channels, height, width = x.shape
    x = x.reshape(batch, channels, height // block, block, width // block, block).permute(0, 3, 5, 1, 2, 4)
    return x.reshape(batch, channels * block**2, height // block, width // block)''',
)

LIKE = Join((Operand(1), Text(".shape[2:]")))


@rule(Resize)
def resize(op: Resize, types: Types) -> Form:
    keywords: dict[str, tuple[object, object]] = {"mode": (op.mode, "nearest")}
    if op.mode != "nearest":
        keywords["align_corners"] = (op.align_corners, False)
    factors = op.factors(types)
    if len(types) > 1:
        return Form(_with(Argument(LIKE, "size"), call("F.interpolate", X, **keywords)))
    if factors is not None:
        keywords = {"scale_factor": (simplest_factor(factors), None), **keywords}
    else:
        assert op.size is not None
        keywords = {"size": (simplest(per_axis(op.size, len(types[0].spatial), "size")), None), **keywords}
    return Form(call("F.interpolate", X, **keywords), call("nn.Upsample", **keywords))


def simplest_factor(factors: tuple[float, ...]) -> float | tuple[float, ...]:
    """One number where all axes agree."""
    return factors[0] if len(set(factors)) == 1 else factors


def _with(argument: Argument, function: Call) -> Call:
    """The call with an argument after the first one."""
    first, *rest = function.arguments
    return Call(function.function, (first, argument, *rest))


@rule(Crop)
def crop(op: Crop, types: Types) -> Form:
    rank = len(types[0].spatial)
    size: Expr = LIKE if op.size is None else Literal(per_axis(op.size, rank, "size"), "size")
    offset = [] if op.offset is None else [Literal(per_axis(op.offset, rank, "offset"), "offset")]
    return Form(call(CROPPED.name, X, size, *offset), helper=CROPPED)


@rule(PixelShuffle)
def pixel_shuffle(op: PixelShuffle, types: Types) -> Form:
    block = Literal(op.block, "block")
    return Form(call("F.pixel_shuffle", X, block), call("nn.PixelShuffle", block))


@rule(PixelUnshuffle)
def pixel_unshuffle(op: PixelUnshuffle, types: Types) -> Form:
    block = Literal(op.block, "block")
    return Form(call("F.pixel_unshuffle", X, block), call("nn.PixelUnshuffle", block))


@rule(DepthToSpace)
def depth_to_space(op: DepthToSpace, types: Types) -> Form:
    return Form(call(DEPTH_TO_SPACE.name, X, Literal(op.block, "block")), helper=DEPTH_TO_SPACE)


@rule(SpaceToDepth)
def space_to_depth(op: SpaceToDepth, types: Types) -> Form:
    return Form(call(SPACE_TO_DEPTH.name, X, Literal(op.block, "block")), helper=SPACE_TO_DEPTH)
