"""Activations: one function applied to each element; softmax along one axis."""

from __future__ import annotations

from typing import ClassVar

from archdsl.ops.axes import across, need_channels, position
from archdsl.ops.base import Global, Init, Op, ShapeError, TensorType, Weight, only, op, param


class _Elementwise(Op):
    """What every activation shares: the type stays, and each element counts as one operation."""

    def infer(self, inputs: tuple[TensorType, ...]) -> tuple[TensorType, ...]:
        return (only(inputs),)

    def elementwise_ops(self, inputs: tuple[TensorType, ...], outputs: tuple[TensorType, ...]) -> int:
        return outputs[0].elements


@op("relu")
class ReLU(_Elementwise):
    """`max(x, 0)`."""


@op("relu6")
class ReLU6(_Elementwise):
    """`min(max(x, 0), 6)`."""


@op("leaky_relu")
class LeakyReLU(_Elementwise):
    """`x` where positive, else `slope * x`."""

    slope: float = param("number", 0.01, doc="factor of negative elements")


@op("prelu")
class PReLU(_Elementwise):
    """`x` where positive, else `weight * x` with a learned weight (He et al., 2015)."""

    per_channel: bool = param("flag", False, doc="a weight for each channel instead of one for all")
    start: float = param("number", 0.25, doc="value of the weight before training")

    weighted: ClassVar[bool] = True

    def infer(self, inputs: tuple[TensorType, ...]) -> tuple[TensorType, ...]:
        if self.per_channel:
            need_channels(self.name, only(inputs))
        return (only(inputs),)

    def weights(self, inputs: tuple[TensorType, ...]) -> tuple[Weight, ...]:
        count = only(inputs).shape[0] if self.per_channel else 1
        return (Weight("weight", (count,), Init("constant", (("value", self.start),))),)


@op("elu")
class ELU(_Elementwise):
    """`x` where positive, else `alpha * (exp(x) - 1)` (Clevert et al., 2016)."""

    alpha: float = param("number", 1.0, doc="minus the limit at minus infinity")


@op("selu")
class SELU(_Elementwise):
    """Scaled ELU with the two constants of Klambauer et al. (2017)."""


@op("gelu")
class GELU(_Elementwise):
    """`x * Phi(x)`, with Phi the normal distribution function (Hendrycks and Gimpel, 2016)."""

    approximate: str = param("choice", "none", choices=("none", "tanh"), doc="`tanh` uses the paper's approximation")


@op("silu")
class SiLU(_Elementwise):
    """`x * sigmoid(x)`, also called swish."""


@op("mish")
class Mish(_Elementwise):
    """`x * tanh(softplus(x))` (Misra, 2019)."""


@op("sigmoid")
class Sigmoid(_Elementwise):
    """`1 / (1 + exp(-x))`."""


@op("tanh")
class Tanh(_Elementwise):
    """Hyperbolic tangent."""


@op("softplus")
class Softplus(_Elementwise):
    """`log(1 + exp(beta * x)) / beta`."""

    beta: float = param("number", 1.0, doc="sharpness of the bend at 0")

    def infer(self, inputs: tuple[TensorType, ...]) -> tuple[TensorType, ...]:
        if self.beta <= 0:
            raise ShapeError("argument-value", f"`beta` must be above 0, not {self.beta}", argument="beta")
        return (only(inputs),)


@op("hardsigmoid")
class HardSigmoid(_Elementwise):
    """`min(max(x / 6 + 1 / 2, 0), 1)`, PyTorch's constants."""


@op("hardswish")
class HardSwish(_Elementwise):
    """`x * hardsigmoid(x)` (Howard et al., 2019)."""


@op("hardtanh")
class HardTanh(_Elementwise):
    """`x` cut off at `min` and `max`."""

    min: float = param("number", -1.0, doc="smallest result")
    max: float = param("number", 1.0, doc="largest result")

    def infer(self, inputs: tuple[TensorType, ...]) -> tuple[TensorType, ...]:
        if self.min >= self.max:
            message = f"`min` must be below `max`, but {self.min} >= {self.max}"
            raise ShapeError("argument-value", message, argument="min")
        return (only(inputs),)


@op("softmax")
class Softmax(Op):
    """`exp(x) / sum(exp(x))` along one axis."""

    axis: int = param("axis", -1, doc="axis along which the results sum to 1")

    def infer(self, inputs: tuple[TensorType, ...]) -> tuple[TensorType, ...]:
        position(only(inputs), self.axis)
        return (only(inputs),)

    def elementwise_ops(self, inputs: tuple[TensorType, ...], outputs: tuple[TensorType, ...]) -> int:
        return 5 * outputs[0].elements

    def window(self, inputs: tuple[TensorType, ...]) -> Global | None:
        return across(position(only(inputs), self.axis))


@op("log_softmax")
class LogSoftmax(Op):
    """`x - log(sum(exp(x)))` along one axis."""

    axis: int = param("axis", -1, doc="axis along which the results' exponentials sum to 1")

    def infer(self, inputs: tuple[TensorType, ...]) -> tuple[TensorType, ...]:
        position(only(inputs), self.axis)
        return (only(inputs),)

    def elementwise_ops(self, inputs: tuple[TensorType, ...], outputs: tuple[TensorType, ...]) -> int:
        return 5 * outputs[0].elements

    def window(self, inputs: tuple[TensorType, ...]) -> Global | None:
        return across(position(only(inputs), self.axis))
