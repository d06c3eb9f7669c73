"""What PyTorch, or a loop that follows the definition, computes for the ops of vision, and the uses that are tried."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from archdsl.ops import local, pooling, rearranging, regions, resampling, shaping, stochastic, transposed
from archdsl.ops.base import Op, TensorType

Weights = dict[str, Tensor]
Case = tuple[Op, tuple[tuple[int, ...] | TensorType, ...]]


def _types(x: list[Tensor]) -> tuple[TensorType, ...]:
    return tuple(TensorType(tuple(value.shape[1:]), str(value.dtype).removeprefix("torch.")) for value in x)


def _deconv(op: transposed.Deconv, x: list[Tensor], w: Weights) -> Tensor:
    """Nothing cut off by PyTorch, and the borders sliced off then."""
    rank = x[0].dim() - 2
    spread = op.spread(_types(x))
    whole = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)[rank - 1](
        x[0], w["weight"], w.get("bias"), spread.stride, 0, spread.extra, op.groups, spread.dilation
    )
    cut = (slice(begin, size - end) for (begin, end), size in zip(spread.padding, whole.shape[2:], strict=True))
    return whole[(slice(None), slice(None), *cut)]


def _unpool(op: transposed.Unpool, x: list[Tensor], _: Weights) -> Tensor:
    output = op.infer(_types(x))[0].shape
    planes = torch.zeros(len(x[0]), output[0], math.prod(output[1:]), dtype=x[0].dtype)
    return planes.scatter(2, x[1].flatten(2), x[0].flatten(2)).view(-1, *output)


def _local_conv(op: local.LocalConv, x: list[Tensor], w: Weights) -> Tensor:
    """A convolution for each position."""
    geometry = op.geometry(_types(x))
    convolve = (F.conv1d, F.conv2d, F.conv3d)[x[0].dim() - 3]
    padded = F.pad(x[0], [number for pair in reversed(geometry.padding) for number in pair])
    result = torch.empty(len(x[0]), op.out, *geometry.output, dtype=x[0].dtype)
    for place in itertools.product(*map(range, geometry.output)):
        region = tuple(i // share for i, share in zip(place, op.shares(_types(x)), strict=True))
        under = [
            slice(i * step, i * step + size)
            for i, step, size in zip(place, geometry.stride, geometry.kernel, strict=True)
        ]
        bias = w["bias"][region] if op.bias else None
        found = convolve(padded[(slice(None), slice(None), *under)], w["weight"][region], bias)
        result[(slice(None), slice(None), *place)] = found.flatten(1)
    return result


def _resize(op: resampling.Resize, x: list[Tensor], _: Weights) -> Tensor:
    corners = None if op.mode == "nearest" else op.align_corners
    size = tuple(x[1].shape[2:]) if len(x) > 1 else op.size
    scale = tuple(map(float, op.factors(_types(x)))) if op.scale is not None else None
    return F.interpolate(x[0], size, scale, op.mode, corners)


def _crop(op: resampling.Crop, x: list[Tensor], _: Weights) -> Tensor:
    result = x[0]
    for axis, (start, end) in enumerate(op.bounds(_types(x)), 2):
        result = result.index_select(axis, torch.arange(start, end))
    return result


def _in_blocks(x: Tensor, block: int, place: Callable[[int, int, int, int], int]) -> Tensor:
    """Channels to space, element by element: `place(c, i, j, C)` is the channel of row `i` and column `j`."""
    channels = x.shape[1] // block**2
    result = torch.empty(len(x), channels, x.shape[2] * block, x.shape[3] * block, dtype=x.dtype)
    for c, i, j in itertools.product(range(channels), range(block), range(block)):
        result[:, c, i::block, j::block] = x[:, place(c, i, j, channels)]
    return result


def _depth_to_space(op: rearranging.DepthToSpace, x: list[Tensor], _: Weights) -> Tensor:
    return _in_blocks(x[0], op.block, lambda c, i, j, count: (i * op.block + j) * count + c)


def _space_to_depth(op: rearranging.SpaceToDepth, x: list[Tensor], _: Weights) -> Tensor:
    """Row `i` and column `j` of all blocks, all channels of them together."""
    places = itertools.product(range(op.block), range(op.block))
    return torch.cat([x[0][:, :, i :: op.block, j :: op.block] for i, j in places], 1)


def _bilinear(image: Tensor, y: float, x: float) -> Tensor:
    """`[C]` at a place of `[C, H, W]`; 0 more than one element outside, else the edge goes on."""
    height, width = image.shape[1:]
    if not (-1 <= y <= height and -1 <= x <= width):
        return torch.zeros(len(image), dtype=image.dtype)
    y, x = (min(max(value, 0.0), size - 1.0) for value, size in ((y, height), (x, width)))
    top, left = int(y), int(x)
    bottom, right = min(top + 1, height - 1), min(left + 1, width - 1)
    upper = image[:, top, left] * (1 - (x - left)) + image[:, top, right] * (x - left)
    lower = image[:, bottom, left] * (1 - (x - left)) + image[:, bottom, right] * (x - left)
    return upper * (1 - (y - top)) + lower * (y - top)


def _roi_align(op: regions.RoIAlign, x: list[Tensor], _: Weights) -> Tensor:
    rows, columns = op.sizes()
    result = torch.zeros(*x[1].shape[:2], x[0].shape[1], rows, columns, dtype=x[0].dtype)
    for n, r in itertools.product(*map(range, x[1].shape[:2])):
        x1, y1, x2, y2 = (value * op.scale - 0.5 * op.aligned for value in x[1][n, r].tolist())
        width, height = (side if op.aligned else max(side, 1.0) for side in (x2 - x1, y2 - y1))
        for i, j in itertools.product(range(rows), range(columns)):
            points = [
                _bilinear(x[0][n], y1 + height / rows * (i + dy), x1 + width / columns * (j + dx))
                for dy, dx in itertools.product([(k + 0.5) / op.sampling for k in range(op.sampling)], repeat=2)
            ]
            result[n, r, :, i, j] = torch.stack(points).mean(0)
    return result


def _rounded(value: np.float32) -> int:
    """Halves away from zero."""
    return int(math.copysign(math.floor(abs(float(value)) + 0.5), value))


def _roi_pool(op: regions.RoIPool, x: list[Tensor], _: Weights) -> Tensor:
    """The loops of Fast R-CNN's own layer, whose numbers are float32."""
    (rows, columns), (height, width) = op.sizes(), x[0].shape[2:]
    result = torch.zeros(*x[1].shape[:2], x[0].shape[1], rows, columns, dtype=x[0].dtype)
    for n, r in itertools.product(*map(range, x[1].shape[:2])):
        x1, y1, x2, y2 = (_rounded(np.float32(v) * np.float32(op.scale)) for v in x[1][n, r].tolist())
        tall, wide = (np.float32(max(side + 1, 1)) for side in (y2 - y1, x2 - x1))
        for i, j in itertools.product(range(rows), range(columns)):
            vertical = _bin(i, tall / np.float32(rows), y1, height)
            horizontal = _bin(j, wide / np.float32(columns), x1, width)
            inside = x[0][n][:, vertical, horizontal]
            result[n, r, :, i, j] = inside.amax((1, 2)) if inside.numel() else 0.0
    return result


def _bin(number: int, share: np.float32, start: int, size: int) -> slice:
    low, high = math.floor(np.float32(number) * share), math.ceil(np.float32(number + 1) * share)
    return slice(min(max(low + start, 0), size), min(max(high + start, 0), size))


def _overlap(a: list[float], b: list[float]) -> float:
    """Intersection over union."""
    low = [max(min(a[i], a[i + 2]), min(b[i], b[i + 2])) for i in (0, 1)]
    high = [min(max(a[i], a[i + 2]), max(b[i], b[i + 2])) for i in (0, 1)]
    shared = math.prod(max(end - begin, 0.0) for begin, end in zip(low, high, strict=True))
    areas = [abs((box[2] - box[0]) * (box[3] - box[1])) for box in (a, b)]
    return shared / (sum(areas) - shared)


def _nms(op: regions.NMS, x: list[Tensor], _: Weights) -> Tensor:
    result = torch.full((*x[1].shape[:-1], op.max), -1)
    for place in itertools.product(*map(range, x[1].shape[:-1])):
        boxes, scores = x[0][place[0]].tolist(), x[1][place].tolist()
        kept: list[int] = []
        for best in sorted(range(len(scores)), key=lambda box: -scores[box]):
            if scores[best] > op.score and all(_overlap(boxes[best], boxes[other]) <= op.iou for other in kept):
                kept.append(best)
        for order, box in enumerate(kept[: op.max]):
            result[(*place, order)] = box
    return result


def _anchors(op: regions.Anchors, x: list[Tensor], _: Weights) -> Tensor:
    sizes = list(zip(op.widths, op.heights, strict=True)) if isinstance(op.widths, tuple) else [(op.widths, op.heights)]
    boxes = []
    for row, column in itertools.product(*map(range, x[0].shape[2:])):
        centre = ((column + op.offset) * op.stride, (row + op.offset) * op.stride)
        for width, height in sizes:
            half = (width / 2, height / 2)
            boxes.append([c - h for c, h in zip(centre, half, strict=True)])
            boxes[-1] += [c + h for c, h in zip(centre, half, strict=True)]
    return torch.tensor([boxes] * len(x[0]), dtype=x[0].dtype)


def _box_decode(op: regions.BoxDecode, x: list[Tensor], _: Weights) -> Tensor:
    dx, dy, dw, dh = (part / scale for part, scale in zip(x[0].unbind(-1), op.factors(), strict=True))
    x1, y1, x2, y2 = x[1].unbind(-1)
    width, height = x2 - x1, y2 - y1
    centre = (x1 + width / 2 + width * dx, y1 + height / 2 + height * dy)
    half = (width * dw.clamp(max=op.most).exp() / 2, height * dh.clamp(max=op.most).exp() / 2)
    return torch.stack([centre[0] - half[0], centre[1] - half[1], centre[0] + half[0], centre[1] + half[1]], -1)


VISION_REFERENCE: dict[type[Op], Callable[..., Tensor | tuple[Tensor, ...]]] = {
    transposed.Deconv: _deconv,
    transposed.Unpool: _unpool,
    local.LocalConv: _local_conv,
    resampling.Resize: _resize,
    resampling.Crop: _crop,
    rearranging.PixelShuffle: lambda op, x, w: F.pixel_shuffle(x[0], op.block),
    rearranging.PixelUnshuffle: lambda op, x, w: F.pixel_unshuffle(x[0], op.block),
    rearranging.DepthToSpace: _depth_to_space,
    rearranging.SpaceToDepth: _space_to_depth,
    regions.RoIAlign: _roi_align,
    regions.RoIPool: _roi_pool,
    regions.NMS: _nms,
    regions.Take: lambda op, x, w: torch.stack([rows[indices] for rows, indices in zip(*x, strict=True)]),
    regions.Anchors: _anchors,
    regions.BoxDecode: _box_decode,
    stochastic.Dropout2d: lambda op, x, w: x[0],
    stochastic.DropPath: lambda op, x, w: x[0],
}

SEQUENCE, IMAGE, VOLUME = (6, 8), (6, 7, 8), (6, 3, 5, 4)
BOXES = (5, 4)


def _spatial(rank: int) -> list[Op]:
    return [
        transposed.Deconv(4, 3),
        transposed.Deconv(4, 4, 2, 1, groups=2, bias=False),
        transposed.Deconv(4, 3, 2, 1, output_pad=1),
        transposed.Deconv(4, 3, 2, "same_tf", trainable=False),
        transposed.Deconv(3, 2, 3, (0, 1, 1)[:rank] + (1, 0, 2)[:rank], 2, dilation=2),
        local.LocalConv(3, 3),
        local.LocalConv(3, 2, 2, 1, share=2, bias=False),
        pooling.MaxPool(2, indices=True),
        pooling.MaxPool(3, 2, 1, ceil=True, indices=True),
        resampling.Resize((3, 11, 4)[:rank]),
        resampling.Resize(scale=1.7),
        resampling.Crop(2),
        resampling.Crop((2, 3, 1)[:rank], offset=(1, 0, 2)[:rank]),
        stochastic.Dropout2d(),
        stochastic.DropPath(),
    ]


def _on_images() -> list[Case]:
    blocks = (rearranging.PixelShuffle(2), rearranging.DepthToSpace(2))
    unblocked = (rearranging.PixelUnshuffle(2), rearranging.SpaceToDepth(2))
    resized = [
        resampling.Resize(mode=mode, align_corners=corners, **target)  # type: ignore[arg-type]
        for mode, corners in (("bilinear", False), ("bilinear", True), ("bicubic", False), ("bicubic", True))
        for target in ({"size": (5, 13)}, {"scale": (0.7, 2.3)})
    ]
    cases: list[Case] = [(op, ((12, 2, 3),)) for op in blocks]
    cases += [(op, ((3, 4, 6),)) for op in unblocked]
    cases += [(op, (IMAGE,)) for op in resized]
    cases += [(resampling.Resize(), (IMAGE, (2, 10, 3))), (resampling.Resize(mode="bilinear"), (IMAGE, (2, 10, 3)))]
    cases += [(resampling.Crop(), (IMAGE, (1, 4, 3))), (resampling.Crop(offset=(3, 5)), (IMAGE, (1, 4, 3)))]
    cases += [(resampling.Resize(10), ((1, 10, 6),)), (resampling.Resize(scale=(0.35, 1.1)), ((1, 20, 30),))]
    return cases


def _on_boxes() -> list[Case]:
    pooled: list[Op] = [regions.RoIAlign(3), regions.RoIAlign((2, 3), 0.7, 3), regions.RoIPool((2, 3), 1.3)]
    cases: list[Case] = [(op, (IMAGE, BOXES)) for op in (*pooled, regions.RoIPool(4))]
    cases += [(regions.NMS(0.2, max=3), (BOXES, (5,))), (regions.NMS(0.5, -9.0, 7), (BOXES, (3, 5)))]
    cases += [(regions.Take(), (shape, TensorType((6,), "int64"))) for shape in (BOXES, (4,), (4, 2, 3))]
    cases += [(regions.Anchors((8, 3.5), (2, 4.5), 16), (IMAGE,)), (regions.Anchors(3, 5, 2.0, 0), (IMAGE,))]
    return [*cases, (regions.BoxDecode(), (BOXES, BOXES)), (regions.BoxDecode((10, 9, 5, 4), 0.2), (BOXES, BOXES))]


VISION_CASES: list[Case] = [(op, (shape,)) for shape in (SEQUENCE, IMAGE, VOLUME) for op in _spatial(len(shape) - 1)]
VISION_CASES += _on_images() + _on_boxes()
VISION_CASES += [(shaping.ReshapeAs(), ((math.prod(IMAGE),), IMAGE)), (shaping.ReshapeAs(), (IMAGE, IMAGE))]
#: one element in a plane of four, so that no two lie in one place
VISION_CASES += [
    (transposed.Unpool(4), ((6, 1), TensorType((6, 1), "int64"))),
    (transposed.Unpool(2), ((6, 1, 1), TensorType((6, 1, 1), "int64"))),
    (transposed.Unpool(2, 2), ((6, 1, 1), TensorType((6, 1, 1), "int64"), (1, 3, 2))),
    (transposed.Unpool((1, 2, 2)), ((6, 1, 1, 1), TensorType((6, 1, 1, 1), "int64"))),
]
