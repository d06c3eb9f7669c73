"""ONNX rules of transposed convolution and unpooling."""

from __future__ import annotations

import math

from archdsl.emit.onnx.rules import Site, rule
from archdsl.emit.onnx.sizes import joined, plane, sizes_of
from archdsl.emit.onnx.stored import plain_weight
from archdsl.ops.base import TensorType
from archdsl.ops.dims import symbolic
from archdsl.ops.transposed import Deconv, Unpool


@rule(Deconv)
def deconv(site: Site, op: Deconv) -> None:
    spread = op.spread(site.layer.input_types)
    begins, ends = zip(*spread.padding, strict=True)
    site.final(
        "ConvTranspose",
        [site.input, plain_weight(site, op), *([site.weight("bias")] if op.bias else [])],
        kernel_shape=spread.kernel,
        strides=spread.stride,
        pads=(*begins, *ends),
        output_padding=spread.extra,
        dilations=spread.dilation,
        group=op.groups,
    )


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
