"""Detection: boxes over an image, what lies under them, and which of them to keep.

A box is x1, y1, x2, y2: its left, upper, right and lower edge. `[R, 4]` are the boxes of one sample.
"""

from __future__ import annotations

import math
from typing import ClassVar

from archdsl.ops.base import GLOBAL, Global, Op, ShapeError, TensorType, only, op, param, per_axis
from archdsl.ops.geometry import Sizes

Numbers = float | tuple[float, ...]


class _Pooled(Op):
    """`[C, H, W]` under each of the boxes `[R, 4]` as `[R, C, *out]`."""

    __slots__ = ()

    out: Sizes
    operands: ClassVar[tuple[str, ...]] = ("input", "boxes")

    def sizes(self) -> tuple[int, int]:
        """Height and width of what each box becomes."""
        height, width = per_axis(self.out, 2, "out")
        return height, width

    def infer(self, inputs: tuple[TensorType, ...]) -> tuple[TensorType, ...]:
        value, boxes = inputs
        if len(value.shape) != 3:
            message = f"`{self.name}` needs channels, height and width, but its input is {value}"
            raise ShapeError("rank-mismatch", message)
        need_boxes(self.name, "boxes", boxes)
        need_one_dtype(self.name, inputs)
        return (TensorType((boxes.shape[0], value.shape[0], *self.sizes()), value.dtype),)

    def window(self, inputs: tuple[TensorType, ...]) -> Global:
        return GLOBAL


@op("roi_align")
class RoIAlign(_Pooled):
    """What lies under each of the `boxes` `[R, 4]`, as `[R, C, *out]` (He et al., 2017).

    As `torchvision.ops.roi_align`. A box is divided into `out` bins; a bin is the mean of `sampling` x `sampling`
    points, each interpolated bilinearly from `[C, H, W]`; a point more than one element outside is 0. To convolve the
    regions, make them the depth of a volume: `transpose([2, 1, 3, 4]) -> conv(256, [1, 3, 3], pad = [0, 1, 1])`.
    """

    out: Sizes = param("sizes", doc="height and width of each region")
    scale: float = param("number", 1.0, doc="elements of the input for each unit of the boxes, such as `1 / 16`")
    sampling: int = param("count", 2, doc="points along each axis of a bin")
    aligned: bool = param("flag", False, doc="element centres lie at halves, and small boxes are not widened to one")

    def elementwise_ops(self, inputs: tuple[TensorType, ...], outputs: tuple[TensorType, ...]) -> int:
        """7 for each point, and 1 for it in the mean."""
        return 8 * self.sampling**2 * outputs[0].elements


@op("roi_pool")
class RoIPool(_Pooled):
    """Maxima under each of the `boxes` `[R, 4]`, as `[R, C, *out]` (Girshick, 2015), as `torchvision.ops.roi_pool`.

    A box is rounded to whole elements, both edges included, and divided into `out` bins that may overlap; a bin
    outside of the input is 0.
    """

    out: Sizes = param("sizes", doc="height and width of each region")
    scale: float = param("number", 1.0, doc="elements of the input for each unit of the boxes, such as `1 / 16`")

    def elementwise_ops(self, inputs: tuple[TensorType, ...], outputs: tuple[TensorType, ...]) -> int:
        """As if each box covered the whole input: how much it covers is known only when it runs."""
        return inputs[1].shape[0] * inputs[0].elements


@op("nms")
class NMS(Op):
    """Non-maximum suppression: from the best box on, boxes that overlap a kept one by more than `iou` are dropped.

    `boxes` `[R, 4]` and `scores` `[K, R]`, for each of K classes by itself, give the positions of the kept boxes,
    best first, as int64 `[K, max]`, filled up with -1; scores `[R]` give `[max]`. Boxes that score no more than
    `score` do not take part. `take` picks what the positions name.
    """

    iou: float = param("number", 0.5, doc="largest share of their union in which two kept boxes may overlap")
    score: float = param("number", 0.0, doc="what a box has to score more than")
    max: int = param("count", 100, doc="most boxes that are kept of a class")

    operands: ClassVar[tuple[str, ...]] = ("boxes", "scores")

    def infer(self, inputs: tuple[TensorType, ...]) -> tuple[TensorType, ...]:
        boxes, scores = inputs
        need_boxes(self.name, "boxes", boxes)
        need_one_dtype(self.name, inputs)
        if len(scores.shape) not in (1, 2) or scores.shape[-1] != boxes.shape[0]:
            message = f"`nms` needs scores [K, {boxes.shape[0]}] or [{boxes.shape[0]}], one for each box, not {scores}"
            raise ShapeError("operand-shape", message, argument="scores")
        if not 0 <= self.iou <= 1:
            raise ShapeError("argument-value", f"`iou` is a share from 0 to 1, not {self.iou}", argument="iou")
        return (TensorType((*scores.shape[:-1], self.max), "int64"),)

    def window(self, inputs: tuple[TensorType, ...]) -> Global:
        return GLOBAL


@op("take")
class Take(Op):
    """Rows of `[R, ...]` at the positions `indices` `[M]`, as `[M, ...]`; zeros where an index is negative.

    Positions are those of `nms` or `topk`, each sample its own.
    """

    operands: ClassVar[tuple[str, ...]] = ("input", "indices")
    any_dtype: ClassVar[bool] = True

    def infer(self, inputs: tuple[TensorType, ...]) -> tuple[TensorType, ...]:
        value, indices = inputs
        if indices.dtype != "int64" or len(indices.shape) != 1:
            message = f"`take` needs int64 indices [M], not {indices.dtype} {indices}"
            raise ShapeError("operand-shape", message, argument="indices")
        if not value.dtype.startswith("float"):
            message = f"`take` fills up with zeros and needs floating-point numbers, but its input is {value.dtype}"
            raise ShapeError("dtype-mismatch", message)
        return (TensorType((*indices.shape, *value.shape[1:]), value.dtype),)

    def window(self, inputs: tuple[TensorType, ...]) -> Global:
        return GLOBAL


@op("anchors")
class Anchors(Op):
    """Boxes of fixed sizes around every position of `[C, H, W]`, as `[H*W*A, 4]`, where A is the number of `widths`.

    Those of position (y, x) are centred on `stride * (x + offset)`, `stride * (y + offset)`; they come row by row, and
    at each position in the order of `widths` and `heights`. Only the size of the input matters.
    """

    widths: Numbers = param("scales", doc="width of each box, in units of the image")
    heights: Numbers = param("scales", doc="height of each box")
    stride: float = param("number", doc="units of the image from one position to the next")
    offset: float = param("number", 0.5, doc="where in its cell a position lies: 0.5 is the middle")

    def boxes(self) -> tuple[tuple[float, float, float, float], ...]:
        """The boxes around the origin; raises `ShapeError`."""
        widths, heights = (n if isinstance(n, tuple) else (n,) for n in (self.widths, self.heights))
        if len(widths) != len(heights):
            message = f"{len(widths)} widths and {len(heights)} heights make no boxes"
            raise ShapeError("argument-length", message, argument="heights")
        return tuple((-w / 2, -h / 2, w / 2, h / 2) for w, h in zip(widths, heights, strict=True))

    def infer(self, inputs: tuple[TensorType, ...]) -> tuple[TensorType, ...]:
        value = only(inputs)
        if len(value.shape) != 3:
            message = f"`anchors` needs channels, height and width, but its input is {value}"
            raise ShapeError("rank-mismatch", message)
        if self.stride <= 0:
            raise ShapeError("argument-value", f"`stride` must be above 0, not {self.stride}", argument="stride")
        count = value.shape[1] * value.shape[2] * len(self.boxes())
        return (TensorType((count, 4), value.dtype),)


@op("box_decode")
class BoxDecode(Op):
    """Boxes from the offsets `[R, 4]` that a network regresses, relative to `anchors` `[R, 4]` (Girshick et al., 2014).

    `x = xa + wa * dx / scales[0]` and `w = wa * exp(dw / scales[2])` are the centre and the width of a box, likewise
    for y and h. `dw` and `dh` are held below `clip`, so that no box grows beyond exp(clip) anchors.
    """

    scales: Numbers = param("scales", (1.0, 1.0, 1.0, 1.0), doc="what the offsets are divided by: dx, dy, dw, dh")
    clip: float | None = param("number", None, doc="largest dw and dh; log(1000 / 16) if not given")

    operands: ClassVar[tuple[str, ...]] = ("input", "anchors")

    @property
    def most(self) -> float:
        """The largest dw and dh."""
        return math.log(1000 / 16) if self.clip is None else float(self.clip)

    def factors(self) -> tuple[float, ...]:
        """What each of the four offsets is divided by; raises `ShapeError`."""
        scales = self.scales if isinstance(self.scales, tuple) else (self.scales,) * 4
        if len(scales) != 4:
            raise ShapeError("argument-length", f"`scales` has {len(scales)} numbers for 4 offsets", argument="scales")
        return scales

    def infer(self, inputs: tuple[TensorType, ...]) -> tuple[TensorType, ...]:
        value, anchors = inputs
        self.factors()
        need_boxes(self.name, "input", value)
        need_boxes(self.name, "anchors", anchors)
        need_one_dtype(self.name, inputs)
        if anchors.shape != value.shape:
            message = f"`box_decode` needs an anchor for each offset of {value}, not {anchors}"
            raise ShapeError("operand-shape", message, argument="anchors")
        return (value,)

    def elementwise_ops(self, inputs: tuple[TensorType, ...], outputs: tuple[TensorType, ...]) -> int:
        """24 for each box: 10 to take the anchor apart and scale, 8 to move it, 6 for the edges."""
        return 6 * outputs[0].elements


def need_one_dtype(name: str, inputs: tuple[TensorType, ...]) -> None:
    """Refuse operands of two element types."""
    first, second = inputs
    if first.dtype != second.dtype:
        raise ShapeError("dtype-mismatch", f"`{name}` gets {first.dtype} and {second.dtype}")


def need_boxes(name: str, operand: str, boxes: TensorType) -> None:
    """Refuse what is not `[R, 4]`."""
    if len(boxes.shape) == 2 and boxes.shape[1] == 4:
        return
    message = f"`{name}` needs boxes [R, 4] as its {operand}, not {boxes}"
    raise ShapeError("operand-shape", message, argument=operand)
