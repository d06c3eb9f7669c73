"""ONNX rules of resizing and cropping."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from archdsl.emit.onnx.rules import AttributeValue, Site, rule
from archdsl.emit.onnx.sizes import joined, sizes_of
from archdsl.ops.base import TensorType
from archdsl.ops.dims import symbolic
from archdsl.ops.resampling import Crop, Resize

NEAREST: dict[str, AttributeValue] = {
    "mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor",
}  # fmt: skip


@rule(Resize)
def resize(site: Site, op: Resize) -> None:
    """Nearest elements by name where PyTorch's float32 finds others than a runtime's."""
    if op.mode == "nearest" and not symbolic((*site.type.spatial, *site.result.spatial)):
        factors = op.factors(site.layer.input_types) or (None,) * len(site.type.spatial)
        axes = zip(site.type.spatial, site.result.spatial, factors, strict=True)
        sources = [(nearest_in_torch(*axis), nearest_in_runtime(*axis)) for axis in axes]
        if any((ours != theirs).any() for ours, theirs in sources):
            return _gathered(site, [ours for ours, _ in sources])
    return _resized(site, op)


def _resized(site: Site, op: Resize) -> None:
    inputs = [site.inputs[0], "", *_target(site, op)]
    if op.mode == "nearest":
        return site.final("Resize", inputs, **NEAREST)
    mode = {"bilinear": "linear", "bicubic": "cubic"}[op.mode]
    corners = "align_corners" if op.align_corners else "half_pixel"
    cubic: dict[str, AttributeValue] = {"cubic_coeff_a": -0.75} if mode == "cubic" else {}
    return site.final("Resize", inputs, mode=mode, coordinate_transformation_mode=corners, **cubic)


def _target(site: Site, op: Resize) -> list[str]:
    """The scales, or none and the sizes, from which a runtime works out the scales again."""
    factors = op.factors(site.layer.input_types)
    rank = len(site.type.spatial)
    if factors is not None:
        axes = zip(site.type.spatial, site.result.spatial, factors, strict=True)
        scales = [1.0, 1.0, *(float(runtime_scale(*axis)) for axis in axes)]
        return [site.constant("scales", scales, "float32")]
    front = sizes_of(site, site.inputs[0], site.type, 0, 2, "front")
    if symbolic(site.result.spatial):
        spatial = sizes_of(site, site.inputs[-1], site.layer.input_types[-1], 2, rank + 2, "like")
    else:
        spatial = site.constant("spatial", site.result.spatial)
    return ["", joined(site, [front, spatial], rank + 2, "sizes")]


def nearest_in_torch(size: int, new: int, factor: float | None) -> np.ndarray:
    """Which element each of the new ones is in PyTorch: `floor(o * size / new)`, the quotient in float32 first."""
    step = np.float32(1 / factor) if factor is not None else np.float32(size) / np.float32(new)
    return _floored(np.arange(new, dtype=np.float32) * step, size)


def nearest_in_runtime(size: int, new: int, factor: float | None) -> np.ndarray:
    """The same in ONNX's formula: `floor(o / scale)`."""
    scale = np.float32(new) / np.float32(size) if factor is None else runtime_scale(size, new, factor)
    return _floored(np.arange(new, dtype=np.float32) / scale, size)


def runtime_scale(size: int, new: int, factor: float) -> np.float32:
    """The factor in float32, a little larger where the new size would fall short of the whole by its rounding."""
    scale = np.float32(factor)
    return np.nextafter(scale, np.float32(2 * scale)) if size * float(scale) < new else scale


def _floored(places: np.ndarray, size: int) -> np.ndarray:
    found: np.ndarray = np.minimum(np.floor(places).astype(np.int64), size - 1)
    return found


def _gathered(site: Site, sources: Sequence[np.ndarray]) -> None:
    """Axis after axis."""
    *others, last = range(len(sources))
    name, shape = site.inputs[0], list(site.type.shape)
    for axis in others:
        shape[axis + 1] = len(sources[axis])
        picked = TensorType(tuple(shape), site.type.dtype)
        entries = site.constant(f"axis{axis + 2}_indices", sources[axis])
        name = site.node("Gather", [name, entries], f"axis{axis + 2}", picked, axis=axis + 2)
    site.final("Gather", [name, site.constant("indices", sources[last])], axis=last + 2)


@rule(Crop)
def crop(site: Site, op: Crop) -> None:
    starts, ends = _bounds(site, op)
    axes = site.constant("axes", tuple(range(2, len(site.type.shape) + 1)))
    site.final("Slice", [site.inputs[0], starts, ends, axes])


def _bounds(site: Site, op: Crop) -> tuple[str, str]:
    """First elements, and those after the last; open sizes are asked of the tensors."""
    bounds = op.bounds(site.layer.input_types)
    starts, ends = zip(*bounds, strict=True)
    if not symbolic((*starts, *ends)):
        return site.constant("starts", starts), site.constant("ends", ends)
    sizes = _kept(site)
    first = _middle(site, sizes) if symbolic(starts) else site.constant("starts", starts)
    return first, _vector(site, "Add", [first, sizes], "ends")


def _kept(site: Site) -> str:
    if len(site.inputs) == 1:
        return site.constant("kept", site.result.spatial)
    return sizes_of(site, site.inputs[1], site.layer.input_types[1], 2, len(site.type.shape) + 1, "kept")


def _middle(site: Site, sizes: str) -> str:
    """Half of what is left over, rounded down."""
    whole = sizes_of(site, site.inputs[0], site.type, 2, len(site.type.shape) + 1, "whole")
    rest = _vector(site, "Sub", [whole, sizes], "rest")
    return _vector(site, "Div", [rest, site.constant("two", (2,))], "starts")


def _vector(site: Site, op_type: str, inputs: list[str], suffix: str) -> str:
    return site.weight_node(op_type, inputs, suffix, TensorType((len(site.type.spatial),), "int64"))
