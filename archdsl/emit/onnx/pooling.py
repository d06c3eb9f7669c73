"""ONNX rules of pooling: every size is resolved here, so no rule leans on a runtime's reading of ceil mode."""

from __future__ import annotations

import math

from archdsl.emit.onnx.rules import AttributeValue, Site, rule
from archdsl.ops.base import TensorType, per_axis
from archdsl.ops.geometry import Geometry, Pair, Sizes
from archdsl.ops.pooling import AdaptiveAvgPool, AdaptiveMaxPool, AvgPool, LPPool, MaxPool


def window_attributes(geometry: Geometry, padding: tuple[Pair, ...]) -> dict[str, AttributeValue]:
    """Kernel, stride and padding, without ceil mode."""
    begins, ends = zip(*padding, strict=True)
    return {"kernel_shape": geometry.kernel, "strides": geometry.stride, "pads": (*begins, *ends), "ceil_mode": 0}


def extended(geometry: Geometry) -> tuple[Pair, ...]:
    """The padding with what ceil mode adds at the end as ordinary end padding."""
    pairs = zip(geometry.padding, geometry.ceil_extra, strict=True)
    return tuple((begin, end + extra) for (begin, end), extra in pairs)


@rule(MaxPool)
def maxpool(site: Site, op: MaxPool) -> None:
    geometry = op.geometry(site.layer.input_types)
    if geometry is None:
        return site.final("GlobalMaxPool", site.inputs)
    padding = extended(geometry)
    source = site.input
    if max(geometry.dilation) > 1 and any(map(any, padding)):
        # runtimes limit the padding by the kernel without its dilation
        source = _padded(site, padding, -math.inf)
        padding = ((0, 0),) * len(padding)
    return site.final("MaxPool", [source], dilations=geometry.dilation, **window_attributes(geometry, padding))


@rule(AvgPool)
def avgpool(site: Site, op: AvgPool) -> None:
    """The padding asked for counts in the mean if the op says so; what ceil mode adds never does.

    One AveragePool cannot say both, so then the asked for padding is a Pad of its own.
    """
    geometry = op.geometry(site.layer.input_types)
    if geometry is None:
        return site.final("GlobalAveragePool", site.inputs)
    counted = op.count_include_pad and any(map(any, geometry.padding))
    if not (counted and any(geometry.ceil_extra)):
        attributes = window_attributes(geometry, extended(geometry))
        return site.final("AveragePool", site.inputs, count_include_pad=int(counted), **attributes)
    padded = _padded(site, geometry.padding, 0.0)
    attributes = window_attributes(geometry, tuple((0, extra) for extra in geometry.ceil_extra))
    return site.final("AveragePool", [padded], count_include_pad=0, **attributes)


def _padded(site: Site, padding: tuple[Pair, ...], border: float) -> str:
    begins, ends = zip(*padding, strict=True)
    pads = site.constant("pads", (0, 0, *begins, 0, 0, *ends))
    sizes = (size + sum(pair) for size, pair in zip(site.type.spatial, padding, strict=True))
    value = TensorType((site.type.shape[0], *sizes), site.type.dtype)
    return site.node("Pad", [site.input, pads, site.constant("border", border)], "padded", value, mode="constant")


@rule(LPPool)
def lppool(site: Site, op: LPPool) -> None:
    """(mean of x^p * kernel area)^(1/p), as PyTorch computes it.

    ONNX's LpPool takes |x|, only whole p, and sums a clipped last window without scaling it up.
    """
    geometry = op.geometry(site.layer.input_types)
    power = site.node("Pow", [site.input, site.constant("p", float(op.p))], "power")
    if geometry is None:
        area = math.prod(site.type.spatial)
        mean = site.node("GlobalAveragePool", [power], "mean", site.result)
    else:
        area = math.prod(geometry.kernel)
        attributes = window_attributes(geometry, extended(geometry))
        mean = site.node("AveragePool", [power], "mean", site.result, **attributes)
    total = site.node("Mul", [mean, site.constant("area", float(area))], "sum", site.result)
    site.final("Pow", [total, site.constant("root", 1 / op.p)])


@rule(AdaptiveAvgPool)
def adaptive_avgpool(site: Site, op: AdaptiveAvgPool) -> None:
    _adaptive(site, op.out, "Average", "ReduceMean")


@rule(AdaptiveMaxPool)
def adaptive_maxpool(site: Site, op: AdaptiveMaxPool) -> None:
    _adaptive(site, op.out, "Max", "ReduceMax")


def _adaptive(site: Site, out: Sizes, pool: str, reduce: str) -> None:
    """One global or fixed window where the shares are even, else axis after axis, share by share.

    The mean over a box of shares is the mean of means, since all shares of a row are equally wide.
    """
    sizes = site.type.spatial
    shares = per_axis(out, len(sizes), "out")
    if set(shares) == {1}:
        return site.final(f"Global{pool}Pool", site.inputs)
    if all(size % share == 0 for size, share in zip(sizes, shares, strict=True)):
        kernel = tuple(size // share for size, share in zip(sizes, shares, strict=True))
        return site.final(f"{pool}Pool", site.inputs, kernel_shape=kernel, strides=kernel)
    *others, last = [axis for axis, size in enumerate(sizes) if size != shares[axis]]
    name, value = site.input, site.type
    for axis in others:
        parts = _shares(site, name, value, axis, shares[axis], reduce)
        value = _resized(value, axis, shares[axis])
        name = site.node("Concat", parts, f"axis{axis + 2}", value, axis=axis + 2)
    return site.final("Concat", _shares(site, name, value, last, shares[last], reduce), axis=last + 2)


def _shares(site: Site, name: str, value: TensorType, axis: int, count: int, reduce: str) -> list[str]:
    """Share i of n elements runs from floor(i n / count) to ceil((i + 1) n / count), as PyTorch's."""
    size = value.spatial[axis]
    axes = site.constant(f"axis{axis + 2}_number", (axis + 2,))
    reduced = _resized(value, axis, 1)
    parts = []
    for i in range(count):
        start, end = i * size // count, -(-(i + 1) * size // count)
        suffix = f"axis{axis + 2}_share{i}"
        bounds = (site.constant(f"{suffix}_start", (start,)), site.constant(f"{suffix}_end", (end,)), axes)
        cut = site.node("Slice", [name, *bounds], f"{suffix}_slice", _resized(value, axis, end - start))
        parts.append(_reduced(site, reduce, cut, axes, axis + 2, suffix, reduced))
    return parts


def _reduced(site: Site, reduce: str, name: str, axes: str, axis: int, suffix: str, value: TensorType) -> str:
    """The axes of a reduction are an input since opset 18, an attribute before."""
    if site.opset >= 18:
        return site.node(reduce, [name, axes], suffix, value, keepdims=1)
    return site.node(reduce, [name], suffix, value, axes=(axis,), keepdims=1)


def _resized(value: TensorType, axis: int, size: int) -> TensorType:
    shape = list(value.shape)
    shape[axis + 1] = size
    return TensorType(tuple(shape), value.dtype)
