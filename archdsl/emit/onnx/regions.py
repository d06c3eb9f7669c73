"""ONNX rules of what lies under boxes, of boxes at every position, and of boxes from offsets.

A tensor of boxes of all samples, one after the other, has no batch axis; its first axis is the batch times the boxes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from archdsl.emit.onnx.rules import ELEMENT_TYPES, AttributeValue, Site, Unsupported, rule
from archdsl.emit.onnx.sizes import joined, loose, sizes_of
from archdsl.ops.base import TensorType
from archdsl.ops.dims import symbolic
from archdsl.ops.regions import Anchors, BoxDecode, RoIAlign, RoIPool

#: From the next on, onnxruntime has neither RoiAlign nor MaxRoiPool on a CPU.
LAST_OPSET = 21
#: RoiAlign takes a choice of coordinates from here on.
ALIGNED_OPSET = 16


@rule(RoIAlign)
def roi_align(site: Site, op: RoIAlign) -> None:
    if op.aligned and site.opset < ALIGNED_OPSET:
        raise Unsupported(f"`aligned` boxes need opset {ALIGNED_OPSET} or later")
    height, width = op.sizes()
    attributes: dict[str, AttributeValue] = {"output_height": height, "output_width": width}
    if site.opset >= ALIGNED_OPSET:
        attributes["coordinate_transformation_mode"] = "half_pixel" if op.aligned else "output_half_pixel"
    boxes, samples = _all_boxes(site)
    attributes |= {"sampling_ratio": op.sampling, "spatial_scale": float(op.scale)}
    _by_sample(site, "RoiAlign", [site.inputs[0], boxes, samples], attributes)


@rule(RoIPool)
def roi_pool(site: Site, op: RoIPool) -> None:
    """A box of MaxRoiPool begins with the number of its sample."""
    boxes, samples = _all_boxes(site)
    every = _every(site)
    column = loose(site, "Unsqueeze", [samples, site.constant("last", (1,))], "sample_column", (every, 1))
    dtype = site.layer.input_types[1].dtype
    numbers = loose(site, "Cast", [column], "sample_numbers", (every, 1), dtype, to=ELEMENT_TYPES[dtype])
    rois = loose(site, "Concat", [numbers, boxes], "rois", (every, 5), dtype, axis=1)
    attributes: dict[str, AttributeValue] = {"pooled_shape": op.sizes(), "spatial_scale": float(op.scale)}
    _by_sample(site, "MaxRoiPool", [site.inputs[0], rois], attributes)


def _every(site: Site) -> str:
    """The boxes of all samples, as a size."""
    return f"N*({site.layer.input_types[1].shape[0]})"


def _all_boxes(site: Site) -> tuple[str, str]:
    """The boxes of all samples as `[N*R, 4]`, and the number of each one's sample `[N*R]`."""
    if site.opset > LAST_OPSET:
        raise Unsupported(f"onnxruntime has no `{site.layer.op.name}` beyond opset {LAST_OPSET}")
    source, boxes = site.inputs[1], site.layer.input_types[1]
    every = _every(site)
    flat = loose(site, "Reshape", [source, site.constant("box_shape", (-1, 4))], "boxes", (every, 4), boxes.dtype)
    both = sizes_of(site, source, boxes, 0, 2, "box_counts")
    first = site.constant("first", 0)
    batch = loose(site, "Gather", [both, first], "batch", ())
    numbers = loose(site, "Range", [first, batch, site.constant("step", 1)], "range", ("N",))
    column = loose(site, "Unsqueeze", [numbers, site.constant("column", (1,))], "range_column", ("N", 1))
    spread = site.node("Expand", [column, both], "sample_of_box", TensorType(boxes.shape[:1], "int64"))
    return flat, loose(site, "Reshape", [spread, site.constant("flat", (-1,))], "samples", (every,))


def _by_sample(site: Site, op_type: str, inputs: list[str], attributes: dict[str, AttributeValue]) -> None:
    """What the operator makes of all boxes, `[N*R, C, h, w]`, as `[N, R, C, h, w]`."""
    shape: tuple[int | str, ...] = (_every(site), *site.result.shape[1:])
    regions = loose(site, op_type, inputs, "regions", shape, site.result.dtype, **attributes)
    if not symbolic(site.result.shape):
        return site.final("Reshape", [regions, site.constant("shape", (-1, *site.result.shape))])
    rest = site.constant("region_shape", site.result.shape[1:])
    return site.final("Reshape", [regions, joined(site, [f"{site.layer.path}/box_counts", rest], 5, "shape")])


@rule(Anchors)
def anchors(site: Site, op: Anchors) -> None:
    """The places of rows, of columns and of the boxes around the origin, added up."""
    boxes = op.boxes()
    height, width = site.type.spatial
    rows = _places(site, op, 1, (height, 1, 1, 1), (0.0, 1.0, 0.0, 1.0))
    columns = _places(site, op, 2, (1, width, 1, 1), (1.0, 0.0, 1.0, 0.0))
    dtype = site.type.dtype
    grid = site.weight_node("Add", [rows, columns], "grid", TensorType((height, width, 1, 4), dtype))
    full = TensorType((height, width, len(boxes), 4), dtype)
    shifted = site.weight_node("Add", [grid, site.constant("boxes", np.array(boxes))], "shifted", full)
    listed = TensorType((1, *site.result.shape), dtype)
    table = site.weight_node("Reshape", [shifted, site.constant("table_shape", (1, -1, 4))], "table", listed)
    batch = sizes_of(site, site.input, site.type, 0, 1, "batch")
    shape = joined(site, [batch, site.constant("ones", (1, 1))], 3, "shape")
    site.final("Expand", [table, shape])


def _places(site: Site, op: Anchors, axis: int, shape: Sequence[int], mask: Sequence[float]) -> str:
    """`stride * (i + offset)` for each position along an axis, in the coordinates that `mask` picks."""
    suffix, size, dtype = f"axis{axis + 1}", site.type.shape[axis], site.type.dtype
    if not symbolic(size):
        number = np.dtype(dtype).type
        table = (np.arange(size, dtype=dtype) + number(op.offset)) * number(op.stride)
        return site.constant(suffix, table.reshape(*shape) * np.array(mask, dtype))
    sizes = sizes_of(site, site.input, site.type, axis + 1, axis + 2, f"{suffix}_size")
    zero = site.constant(f"{suffix}_zero", 0)
    name, line = str(size), (str(size),)
    end = loose(site, "Gather", [sizes, zero], f"{suffix}_end", ())
    steps = loose(site, "Range", [zero, end, site.constant(f"{suffix}_one", 1)], f"{suffix}_range", line)
    numbers = loose(site, "Cast", [steps], f"{suffix}_numbers", line, dtype, to=ELEMENT_TYPES[dtype])
    offset, stride = (site.constant(f"{suffix}_{word}", float(getattr(op, word))) for word in ("offset", "stride"))
    moved = loose(site, "Add", [numbers, offset], f"{suffix}_moved", line, dtype)
    places = loose(site, "Mul", [moved, stride], f"{suffix}_places", line, dtype)
    target = site.constant(f"{suffix}_shape", tuple(-1 if symbolic(n) else n for n in shape))
    named = tuple(name if symbolic(n) else n for n in shape)
    column = loose(site, "Reshape", [places, target], f"{suffix}_column", named, dtype)
    mask_ = site.constant(f"{suffix}_mask", list(mask))
    return loose(site, "Mul", [column, mask_], suffix, (*named[:-1], 4), dtype)


@rule(BoxDecode)
def box_decode(site: Site, op: BoxDecode) -> None:
    """Centres, sizes and scaled offsets are products with constant matrices `[4, 2]`."""
    offsets, boxes = site.inputs
    pair = TensorType((site.type.shape[0], 2), site.type.dtype)
    dx, dy, dw, dh = (1 / scale for scale in op.factors())

    def product(source: str, suffix: str, first: Sequence[float], second: Sequence[float]) -> str:
        matrix = site.constant(f"{suffix}_matrix", np.array([first, second], np.float64).T)
        return site.node("MatMul", [source, matrix], suffix, pair)

    def pairs(op_type: str, inputs: list[str], suffix: str) -> str:
        return site.node(op_type, inputs, suffix, pair)

    centre = product(boxes, "anchor_centre", (0.5, 0, 0.5, 0), (0, 0.5, 0, 0.5))
    size = product(boxes, "anchor_size", (-1, 0, 1, 0), (0, -1, 0, 1))
    moves = product(offsets, "moves", (dx, 0, 0, 0), (0, dy, 0, 0))
    growths = product(offsets, "growths", (0, 0, dw, 0), (0, 0, 0, dh))
    held = pairs("Min", [growths, site.constant("clip", op.most)], "held")
    new_centre = pairs("Add", [pairs("Mul", [moves, size], "moved"), centre], "centre")
    new_size = pairs("Mul", [pairs("Exp", [held], "growth"), size], "size")
    half = pairs("Mul", [new_size, site.constant("half", 0.5)], "half_size")
    corners = [pairs("Sub", [new_centre, half], "low"), pairs("Add", [new_centre, half], "high")]
    site.final("Concat", corners, axis=2)
