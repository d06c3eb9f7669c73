"""ONNX rule of locally connected layers."""

from __future__ import annotations

import math

import numpy as np

from archdsl.emit.onnx.convolution import end_to_end
from archdsl.emit.onnx.rules import Site, rule
from archdsl.ops.base import TensorType
from archdsl.ops.local import LocalConv


@rule(LocalConv)
def local_conv(site: Site, op: LocalConv) -> None:
    """What lies under each kernel as channels, by a convolution with ones; then a product at every position."""
    inputs = site.layer.input_types
    geometry, channels = op.geometry(inputs), site.type.shape[0]
    area = math.prod(geometry.kernel)
    ones = np.tile(np.eye(area, dtype=np.float32), (channels, 1)).reshape(-1, 1, *geometry.kernel)
    under = TensorType((channels * area, *geometry.output), site.type.dtype)
    patches = site.node(
        "Conv", [site.input, site.constant("ones", ones)], "patches", under, kernel_shape=geometry.kernel,
        strides=geometry.stride, pads=end_to_end(geometry), group=channels,
    )  # fmt: skip
    places = "hwd"[: len(geometry.output)]
    weight = _weight(site, op, channels * area)
    equation = f"nf{places},{places}of->no{places}"
    if not op.bias:
        return site.final("Einsum", [patches, weight], equation=equation)
    product = site.node("Einsum", [patches, weight], "product", site.result, equation=equation)
    return site.final("Add", [product, _bias(site, op)])


def _weight(site: Site, op: LocalConv, features: int) -> str:
    """`[*output, out, features]`."""
    regions = op.regions(site.layer.input_types)
    flat = TensorType((*regions, op.out, features), site.type.dtype)
    shape = site.constant("weight_shape", flat.shape)
    rows = site.weight_node("Reshape", [site.weight("weight"), shape], "weight_rows", flat)
    return _spread(site, op, rows, flat, "weight")


def _bias(site: Site, op: LocalConv) -> str:
    """`[out, *output]`, which fits every sample."""
    regions, rank = op.regions(site.layer.input_types), len(site.type.spatial)
    spread = _spread(site, op, site.weight("bias"), TensorType((*regions, op.out), site.type.dtype), "bias")
    return site.weight_node("Transpose", [spread], "bias_image", site.result, perm=(rank, *range(rank)))


def _spread(site: Site, op: LocalConv, name: str, value: TensorType, suffix: str) -> str:
    """A region's numbers at each of its positions."""
    shape = list(value.shape)
    for axis, (size, share) in enumerate(zip(site.result.spatial, op.shares(site.layer.input_types), strict=True)):
        if share == 1:
            continue
        shape[axis] = size
        regions = site.constant(f"{suffix}_axis{axis}_regions", tuple(i // share for i in range(size)))
        spread = TensorType(tuple(shape), value.dtype)
        name = site.weight_node("Gather", [name, regions], f"{suffix}_axis{axis}", spread, axis=axis)
    return name
