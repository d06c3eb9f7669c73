"""ONNX rules of activations; composed from older operators where the opset lacks one."""

from __future__ import annotations

import math

from archdsl.emit.onnx.rules import Site, rule
from archdsl.ops.activation import (
    ELU,
    GELU,
    SELU,
    HardSigmoid,
    HardSwish,
    HardTanh,
    LeakyReLU,
    LogSoftmax,
    Mish,
    PReLU,
    ReLU,
    ReLU6,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Tanh,
)
from archdsl.ops.base import Op, TensorType

PLAIN: dict[type[Op], str] = {ReLU: "Relu", SELU: "Selu", Sigmoid: "Sigmoid", Tanh: "Tanh"}


@rule(*PLAIN)
def plain(site: Site, op: Op) -> None:
    """Operators that ONNX has under another name; its constants of SELU are PyTorch's."""
    site.final(PLAIN[type(op)], site.inputs)


@rule(ReLU6)
def relu6(site: Site, _: ReLU6) -> None:
    _clip(site, 0.0, 6.0)


@rule(HardTanh)
def hardtanh(site: Site, op: HardTanh) -> None:
    _clip(site, op.min, op.max)


def _clip(site: Site, low: float, high: float) -> None:
    bounds = (site.constant("min", float(low)), site.constant("max", float(high)))
    site.final("Clip", (site.input, *bounds))


@rule(LeakyReLU)
def leaky_relu(site: Site, op: LeakyReLU) -> None:
    if not site.lacks("LeakyRelu"):
        return site.final("LeakyRelu", site.inputs, alpha=float(op.slope))
    below = TensorType(site.type.shape, "bool")
    negative = site.node("Less", [site.input, site.constant("zero", 0.0)], "negative", below)
    scaled = site.node("Mul", [site.input, site.constant("slope", float(op.slope))], "scaled")
    return site.final("Where", [negative, scaled, site.input])


@rule(ELU)
def elu(site: Site, op: ELU) -> None:
    site.final("Elu", site.inputs, alpha=float(op.alpha))


@rule(PReLU)
def prelu(site: Site, op: PReLU) -> None:
    """One slope broadcasts as it is; slopes per channel get axes for what follows the channels."""
    slope, spatial = site.weight("weight"), len(site.type.spatial)
    if op.per_channel and spatial:
        shape = TensorType((site.type.shape[0],) + (1,) * spatial, site.type.dtype)
        target = site.constant("slope_shape", shape.shape)
        slope = site.weight_node("Reshape", [slope, target], "slope", shape)
    site.final("PRelu", [site.input, slope])


@rule(GELU)
def gelu(site: Site, op: GELU) -> None:
    if site.opset >= 20 and not site.lacks("Gelu"):
        return site.final("Gelu", site.inputs, approximate=op.approximate)
    factors = [site.input, site.constant("half", 0.5)]
    if op.approximate == "tanh":
        # the number first, as nobody else writes it: onnxruntime merges equal products, and where it makes one kernel
        # of these nodes it takes the product away from its other readers
        return site.final("Mul", [site.node("Mul", factors[::-1], "scaled"), _tanh_gate(site)])
    return site.final("Mul", [site.node("Mul", factors, "scaled"), _erf_gate(site)])


def _erf_gate(site: Site) -> str:
    """1 + erf(x / sqrt 2), in the form that onnxruntime makes one kernel of."""
    scaled = site.node("Div", [site.input, site.constant("sqrt_two", math.sqrt(2))], "erf_in")
    erf = site.node("Erf", [scaled], "erf")
    return site.node("Add", [erf, site.constant("one", 1.0)], "gate")


def _tanh_gate(site: Site) -> str:
    """1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)) (Hendrycks and Gimpel, 2016)."""
    cube = site.node("Pow", [site.input, site.constant("three", 3.0)], "cube")
    term = site.node("Mul", [cube, site.constant("cubic", 0.044715)], "cubic_term")
    inner = site.node("Add", [site.input, term], "inner")
    scaled = site.node("Mul", [inner, site.constant("sqrt_two_over_pi", math.sqrt(2 / math.pi))], "tanh_in")
    tanh = site.node("Tanh", [scaled], "tanh")
    return site.node("Add", [tanh, site.constant("one", 1.0)], "gate")


@rule(SiLU)
def silu(site: Site, _: SiLU) -> None:
    site.final("Mul", [site.input, site.node("Sigmoid", site.inputs, "sigmoid")])


@rule(Mish)
def mish(site: Site, _: Mish) -> None:
    if site.opset >= 18:
        return site.final("Mish", site.inputs)
    softplus = site.node("Softplus", site.inputs, "softplus")
    return site.final("Mul", [site.input, site.node("Tanh", [softplus], "tanh")])


@rule(Softplus)
def softplus(site: Site, op: Softplus) -> None:
    """log(1 + exp(beta x)) / beta."""
    if op.beta == 1:
        return site.final("Softplus", site.inputs)
    beta = site.constant("beta", float(op.beta))
    scaled = site.node("Mul", [site.input, beta], "scaled")
    return site.final("Div", [site.node("Softplus", [scaled], "softplus"), beta])


@rule(HardSigmoid)
def hardsigmoid(site: Site, _: HardSigmoid) -> None:
    """relu6(x + 3) / 6 = clip(x / 6 + 1/2, 0, 1)."""
    site.final("HardSigmoid", site.inputs, alpha=1 / 6, beta=0.5)


@rule(HardSwish)
def hardswish(site: Site, _: HardSwish) -> None:
    if site.opset >= 14:
        return site.final("HardSwish", site.inputs)
    gate = site.node("HardSigmoid", site.inputs, "gate", alpha=1 / 6, beta=0.5)
    return site.final("Mul", [site.input, gate])


@rule(Softmax)
def softmax(site: Site, op: Softmax) -> None:
    site.final("Softmax", site.inputs, axis=op.axis)


@rule(LogSoftmax)
def log_softmax(site: Site, op: LogSoftmax) -> None:
    site.final("LogSoftmax", site.inputs, axis=op.axis)
