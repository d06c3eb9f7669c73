"""ONNX rules of transposed convolution and unpooling."""

from __future__ import annotations

import math

from archdsl.emit.onnx.rules import Site, rule
from archdsl.emit.onnx.sizes import joined, plane, sizes_of
from archdsl.emit.onnx.stored import plain_weight
from archdsl.ops.base import TensorType
from archdsl.ops.dims import symbolic
from archdsl.ops.transposed import Deconv, Spread, Unpool


@rule(Deconv)
def deconv(site: Site, op: Deconv) -> None:
    spread = op.spread(site.layer.input_types)
    begins, ends = zip(*spread.padding, strict=True)
    source, extra = site.input, spread.extra
    if any(more >= stride for more, stride in zip(extra, spread.stride, strict=True)):
        source, ends = _lengthened(site, spread)
        extra = (0,) * len(ends)
    site.final(
        "ConvTranspose",
        [source, plain_weight(site, op), *([site.weight("bias")] if op.bias else [])],
        kernel_shape=spread.kernel,
        strides=spread.stride,
        pads=(*begins, *ends),
        output_padding=extra,
        dilations=spread.dilation,
        group=op.groups,
    )


def _lengthened(site: Site, spread: Spread) -> tuple[str, tuple[int, ...]]:
    """The input with zeros at its end, and what is then cut off the end of the result.

    ONNX lengthens a result by less than the stride, PyTorch by less than the dilation too. Zeros add nothing.
    """
    ends = [end - more for (_, end), more in zip(spread.padding, spread.extra, strict=True)]
    zeros = tuple(max(0, -(end // stride)) for end, stride in zip(ends, spread.stride, strict=True))
    cut = tuple(end + stride * more for end, stride, more in zip(ends, spread.stride, zeros, strict=True))
    if not any(zeros):
        return site.input, cut
    pads = site.constant("pads", (*[0] * (len(zeros) + 4), *zeros))
    sizes = (size + more for size, more in zip(site.type.spatial, zeros, strict=True))
    value = TensorType((site.type.shape[0], *sizes), site.type.dtype)
    return site.node("Pad", [site.input, pads], "lengthened", value, mode="constant"), cut


@rule(Unpool)
def unpool(site: Site, op: Unpool) -> None:
    """Scattered over planes of zeros. MaxUnpool would count its indices over the batch, whose size is open."""
    channels, *spatial = site.result.shape
    flat = TensorType((channels, math.prod(site.type.spatial)), site.type.dtype)
    target = TensorType((channels, math.prod(spatial)), site.type.dtype)
    row = site.constant("row_shape", (0, 0, -1))
    values = site.node("Reshape", [site.inputs[0], row], "values", flat)
    indices = site.node("Reshape", [site.inputs[1], row], "indices", TensorType(flat.shape, "int64"))
    front = sizes_of(site, site.inputs[0], site.type, 0, 2, "front")
    shape = joined(site, [front, _plane(site, target)], 3, "plane_shape")
    zeros = site.node("Expand", [site.constant("zero", 0.0), shape], "zeros", target)
    scattered = site.node("ScatterElements", [zeros, indices, values], "scattered", target, axis=2)
    site.final("Reshape", [scattered, _result_shape(site, front)])


def _plane(site: Site, target: TensorType) -> str:
    """Elements of a channel of the result; an open size is that of `like`."""
    if not symbolic(target.shape) or len(site.inputs) < 3:
        return site.constant("plane", target.spatial)
    return plane(site, site.inputs[-1], site.layer.input_types[-1], "plane")


def _result_shape(site: Site, front: str) -> str:
    rank = len(site.result.shape) + 1
    if not symbolic(site.result.spatial):
        return site.constant("shape", (0, 0, *site.result.spatial))
    like = sizes_of(site, site.inputs[-1], site.layer.input_types[-1], 2, rank, "like")
    return joined(site, [front, like], rank, "shape")
