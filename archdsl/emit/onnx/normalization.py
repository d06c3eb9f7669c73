"""ONNX rules of normalizations."""

from __future__ import annotations

import math

import numpy as np

from archdsl.emit.onnx.rules import Site, refuse_open, rule
from archdsl.ops.base import TensorType
from archdsl.ops.dims import symbolic
from archdsl.ops.normalization import LRN, BatchNorm, GroupNorm, InstanceNorm, LayerNorm


def scale_and_bias(site: Site, affine: bool, shape: tuple[int, ...]) -> tuple[str, str]:
    """The layer's weight and bias, or ones and zeros of this shape where ONNX insists on them."""
    if affine:
        return site.weight("weight"), site.weight("bias")
    refuse_open(shape)
    ones = site.constant("scale", np.ones(shape))
    return ones, site.constant("bias", np.zeros(shape))


@rule(BatchNorm)
def batchnorm(site: Site, op: BatchNorm) -> None:
    """Inference form. ONNX's momentum weighs the old statistics, PyTorch's the new ones."""
    scale, bias = scale_and_bias(site, op.affine, site.type.shape[:1])
    inputs = [site.input, scale, bias, site.weight("running_mean"), site.weight("running_var")]
    site.final("BatchNormalization", inputs, epsilon=float(op.eps), momentum=1.0 - op.momentum)


@rule(LRN)
def lrn(site: Site, op: LRN) -> None:
    """Across channels, alpha divided by the size in both worlds. onnxruntime takes two spatial axes only."""
    attributes = {"alpha": float(op.alpha), "beta": float(op.beta), "bias": float(op.k), "size": op.size}
    if len(site.type.spatial) == 2:
        return site.final("LRN", site.inputs, **attributes)
    image = TensorType((site.type.shape[0], math.prod(site.type.spatial), 1), site.type.dtype)
    flat = site.reshape(site.input, site.type, image, "image")
    normal = site.node("LRN", [flat], "lrn", image, **attributes)
    return site.final("Reshape", [normal, _own_shape(site)])


def _own_shape(site: Site) -> str:
    """The shape of the layer's input for a Reshape back to it; asked of the input itself where sizes are open."""
    if not symbolic(site.type.shape):
        return site.constant("shape", (0, *site.type.shape))
    return site.weight_node("Shape", [site.input], "shape", TensorType((len(site.type.shape) + 1,), "int64"))


@rule(LayerNorm)
def layernorm(site: Site, op: LayerNorm) -> None:
    shape = site.type.shape[-op.axes :]
    if site.opset >= 17:
        inputs = [site.input, *scale_and_bias(site, op.affine, shape)]
        return site.final("LayerNormalization", inputs, axis=-op.axes, epsilon=float(op.eps))
    return _composed_layernorm(site, op)


def _composed_layernorm(site: Site, op: LayerNorm) -> None:
    """(x - mean) / sqrt(var + eps) * weight + bias with the biased variance."""
    axes = tuple(range(-op.axes, 0))
    kept = site.type.shape[: -op.axes] + (1,) * op.axes
    moment = TensorType(kept, site.type.dtype)
    mean = site.node("ReduceMean", site.inputs, "mean", moment, axes=axes, keepdims=1)
    centred = site.node("Sub", [site.input, mean], "centred")
    square = site.node("Mul", [centred, centred], "square")
    variance = site.node("ReduceMean", [square], "variance", moment, axes=axes, keepdims=1)
    shifted = site.node("Add", [variance, site.constant("eps", float(op.eps))], "shifted", moment)
    deviation = site.node("Sqrt", [shifted], "deviation", moment)
    if not op.affine:
        return site.final("Div", [centred, deviation])
    normal = site.node("Div", [centred, deviation], "normal")
    scaled = site.node("Mul", [normal, site.weight("weight")], "scaled")
    return site.final("Add", [scaled, site.weight("bias")])


@rule(InstanceNorm)
def instancenorm(site: Site, op: InstanceNorm) -> None:
    inputs = [site.input, *scale_and_bias(site, op.affine, site.type.shape[:1])]
    site.final("InstanceNormalization", inputs, epsilon=float(op.eps))


@rule(GroupNorm)
def groupnorm(site: Site, op: GroupNorm) -> None:
    """Instance normalization of `[groups, rest]`: runs the same at every opset, unlike GroupNormalization."""
    grouped = TensorType((op.groups, site.type.elements // op.groups), site.type.dtype)
    groups = site.reshape(site.input, site.type, grouped, "groups")
    unit = scale_and_bias(site, False, (op.groups,))
    normal = site.node("InstanceNormalization", [groups, *unit], "normal", grouped, epsilon=float(op.eps))
    shape = _own_shape(site)
    if not op.affine:
        return site.final("Reshape", [normal, shape])
    image = site.node("Reshape", [normal, shape], "image")
    weight, bias = (per_channel(site, name) for name in ("weight", "bias"))
    return site.final("Add", [site.node("Mul", [image, weight], "scaled"), bias])


def per_channel(site: Site, name: str) -> str:
    """A weight `[C]` with axes for what follows the channels: `[C, 1, ...]`."""
    shape = TensorType((site.type.shape[0],) + (1,) * len(site.type.spatial), site.type.dtype)
    target = site.constant(f"{name}_shape", shape.shape)
    return site.weight_node("Reshape", [site.weight(name), target], f"{name}_image", shape)
