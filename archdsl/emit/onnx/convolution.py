"""ONNX rules of convolutions and linear layers."""

from __future__ import annotations

from archdsl.emit.onnx.rules import Site, rule
from archdsl.emit.onnx.stored import plain_weight
from archdsl.ops.base import TensorType
from archdsl.ops.convolution import Conv, Depthwise
from archdsl.ops.geometry import Geometry
from archdsl.ops.linear import Linear


def end_to_end(geometry: Geometry) -> tuple[int, ...]:
    """Padding in ONNX's order: all begins, then all ends."""
    begins, ends = zip(*geometry.padding, strict=True)
    return (*begins, *ends)


@rule(Conv)
def conv(site: Site, op: Conv) -> None:
    geometry = op.geometry(site.layer.input_types)
    inputs = [site.input, plain_weight(site, op)]
    if op.bias:
        inputs.append(site.weight("bias"))
    site.final(
        "Conv",
        inputs,
        kernel_shape=geometry.kernel,
        strides=geometry.stride,
        pads=end_to_end(geometry),
        dilations=geometry.dilation,
        group=op.groups,
    )


@rule(Depthwise)
def depthwise(site: Site, op: Depthwise) -> None:
    conv(site, op.conv(site.layer.input_types))


@rule(Linear)
def linear(site: Site, op: Linear) -> None:
    """`[F]` is one Gemm; `[T, F]` multiplies by the transposed weight, which a runtime folds once."""
    weight = plain_weight(site, op)
    if len(site.type.shape) == 1:
        inputs = [site.input, weight] + ([site.weight("bias")] if op.bias else [])
        return site.final("Gemm", inputs, transB=1)
    features = TensorType((site.type.shape[-1], op.out), site.type.dtype)
    transposed = site.weight_node("Transpose", [weight], "weight_t", features, perm=(1, 0))
    if not op.bias:
        return site.final("MatMul", [site.input, transposed])
    product = site.node("MatMul", [site.input, transposed], "matmul", site.result)
    return site.final("Add", [product, site.weight("bias")])
