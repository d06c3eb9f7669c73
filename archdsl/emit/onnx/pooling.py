"""ONNX rules of pooling: sizes are resolved here, so that only open ones lean on a runtime's reading of ceil mode."""

from __future__ import annotations

import math

from archdsl.emit.onnx.rules import AttributeValue, Site, Unsupported, rule
from archdsl.emit.onnx.sizes import plane
from archdsl.ops.base import TensorType, per_axis
from archdsl.ops.dims import names, symbolic
from archdsl.ops.geometry import Geometry, Pair, Sizes
from archdsl.ops.pooling import AdaptiveAvgPool, AdaptiveMaxPool, AvgPool, LPPool, MaxPool

#: From here on AveragePool's ceil mode is PyTorch's, and ONNX's shape inference knows it.
CEIL_OPSET = 19


def window_attributes(geometry: Geometry, padding: tuple[Pair, ...], ceil: bool = False) -> dict[str, AttributeValue]:
    """Kernel, stride and padding; ceil mode only where what it adds is not part of the padding."""
    begins, ends = zip(*padding, strict=True)
    pads = (*begins, *ends)
    return {"kernel_shape": geometry.kernel, "strides": geometry.stride, "pads": pads, "ceil_mode": int(ceil)}


def within(kernel: tuple[int, ...], stride: tuple[int, ...]) -> dict[str, AttributeValue]:
    """A window that stays on its input, in the words that keep onnxruntime from moving a Pad before it into it."""
    return {"kernel_shape": kernel, "strides": stride, "auto_pad": "VALID"}


def after_pad(site: Site) -> bool:
    """Whether the input is what a Pad gives. onnxruntime (1.31, PadFusion) makes its zeros the pool's own border.

    That of MaxPool never wins, which zeros may, and one as wide as the kernel it then refuses to load.
    """
    return any(node.op_type == "Pad" and site.input in node.output for node in reversed(site.emitter.graph.node))


def extended(geometry: Geometry) -> tuple[Pair, ...]:
    """The padding with what ceil mode adds at the end as ordinary end padding."""
    pairs = zip(geometry.padding, geometry.ceil_extra, strict=True)
    return tuple((begin, end + extra) for (begin, end), extra in pairs)


def lowered(site: Site, geometry: Geometry) -> dict[str, AttributeValue]:
    """The window on an input without a border: in ceil mode with its end padding, where that is known."""
    if not (geometry.ceil and symbolic(geometry.input)):
        return window_attributes(geometry, extended(geometry))
    if site.opset < CEIL_OPSET:
        reason = f"what its ceil mode adds depends on {names(geometry.input)}"
        raise Unsupported(f"{reason}, which needs opset {CEIL_OPSET} or later")
    return window_attributes(geometry, geometry.padding, ceil=True)


@rule(MaxPool)
def maxpool(site: Site, op: MaxPool) -> None:
    geometry = op.geometry(site.layer.input_types)
    if geometry is None:
        return site.final("GlobalMaxPool", site.inputs)
    if op.indices:
        return _maxpool_indices(site, geometry)
    padding = extended(geometry)
    bordered = any(map(any, padding))
    if after_pad(site):
        source = _padded(site, padding, -math.inf) if bordered else site.input
        attributes = within(geometry.kernel, geometry.stride)
        return site.final("MaxPool", [source], dilations=geometry.dilation, **attributes)
    if max(geometry.dilation) == 1 or not bordered:
        return site.final("MaxPool", site.inputs, dilations=geometry.dilation, **lowered(site, geometry))
    # runtimes limit the padding by the kernel without its dilation
    source = _padded(site, padding, -math.inf)
    attributes = window_attributes(geometry, ((0, 0),) * len(padding))
    return site.final("MaxPool", [source], dilations=geometry.dilation, **attributes)


def _maxpool_indices(site: Site, geometry: Geometry) -> None:
    """ONNX counts indices over the whole batch, PyTorch in the plane of a channel: the rest by the plane's size."""
    attributes = {"dilations": geometry.dilation, **lowered(site, geometry)}
    site.finish(0, "MaxPool", site.inputs, {"places": site.layer.output_types[1]}, **attributes)
    area = math.prod(site.type.spatial)
    size = plane(site, site.input, site.type, "plane") if symbolic(area) else site.constant("plane", (area,))
    site.finish(1, "Mod", [f"{site.layer.path}/places", size])


@rule(AvgPool)
def avgpool(site: Site, op: AvgPool) -> None:
    """The padding asked for counts in the mean if the op says so; what ceil mode adds never does.

    One AveragePool cannot say both, so then the asked for padding is a Pad of its own.
    """
    geometry = op.geometry(site.layer.input_types)
    if geometry is None:
        return site.final("GlobalAveragePool", site.inputs)
    counted = op.count_include_pad and any(map(any, geometry.padding))
    if counted and geometry.ceil and symbolic(geometry.input):
        raise Unsupported(f"how much of its padding counts in ceil mode depends on {names(geometry.input)}")
    if after_pad(site) and (counted or not any(map(any, geometry.padding))) and not any(geometry.ceil_extra):
        source = _padded(site, geometry.padding, 0.0) if counted else site.input
        return site.final("AveragePool", [source], **within(geometry.kernel, geometry.stride))
    if not (counted and any(geometry.ceil_extra)):
        attributes = lowered(site, geometry)
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
    total = _window_sums(site, geometry, power)
    site.final("Pow", [total, site.constant("root", 1 / op.p)])


def _window_sums(site: Site, geometry: Geometry | None, power: str) -> str:
    if geometry is None and symbolic(site.type.spatial):
        axes = site.constant("axes", tuple(range(2, len(site.type.shape) + 1)))
        return site.node("ReduceSum", [power, axes], "sum", site.result, keepdims=1)
    if geometry is None:
        area = math.prod(site.type.spatial)
        mean = site.node("GlobalAveragePool", [power], "mean", site.result)
    else:
        area = math.prod(geometry.kernel)
        mean = site.node("AveragePool", [power], "mean", site.result, **lowered(site, geometry))
    return site.node("Mul", [mean, site.constant("area", float(area))], "sum", site.result)


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
        plain: dict[str, AttributeValue] = {"kernel_shape": kernel, "strides": kernel}
        return site.final(f"{pool}Pool", site.inputs, **(within(kernel, kernel) if after_pad(site) else plain))
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
