"""Layers of which every output sees the whole vector: fully connected, and radial basis functions."""

from __future__ import annotations

from typing import ClassVar

from archdsl.ops.axes import need_channels
from archdsl.ops.base import DEFAULT, GLOBAL, Global, Init, Op, ShapeError, TensorType, Weight, only, op, param
from archdsl.ops.stored import NORM_DOC, NORMS, weights_of


@op("linear")
class Linear(Op):
    """`x W^T + b` on the last axis, `[F] -> [out]` or `[T, F] -> [T, out]`, as `torch.nn.Linear`.

    `norm` is that of [`conv`](#conv).
    """

    out: int = param("count", doc="output features")
    bias: bool = param("flag", True, doc="add a learned number to each output feature")
    init: Init = param("init", DEFAULT, doc="initialization of the weight")
    bias_init: Init = param("init", DEFAULT, doc="initialization of the bias")
    norm: str = param("choice", "none", choices=NORMS, doc=NORM_DOC)

    weighted: ClassVar[bool] = True
    counts_depth: ClassVar[bool] = True
    rows: ClassVar[int] = 0

    def infer(self, inputs: tuple[TensorType, ...]) -> tuple[TensorType, ...]:
        value = only(inputs)
        need_channels(self.name, value)
        if len(value.shape) > 2:
            raise _too_many_axes(value)
        return (TensorType((*value.shape[:-1], self.out), value.dtype),)

    def weights(self, inputs: tuple[TensorType, ...]) -> tuple[Weight, ...]:
        features = only(inputs).shape[-1]
        weight = Weight("weight", (self.out, features), self.init, fan_in=features, fan_out=self.out)
        bias = Weight("bias", (self.out,), self.bias_init, fan_in=features, fan_out=self.out)
        return weights_of(weight, bias if self.bias else None, self.norm)

    def macs(self, inputs: tuple[TensorType, ...], outputs: tuple[TensorType, ...]) -> int:
        return only(inputs).shape[-1] * outputs[0].elements

    def elementwise_ops(self, inputs: tuple[TensorType, ...], outputs: tuple[TensorType, ...]) -> int:
        return outputs[0].elements if self.bias else 0

    def window(self, inputs: tuple[TensorType, ...]) -> Global:
        return GLOBAL


@op("rbf")
class RBF(Op):
    """Squared distances to fixed codes, `[F] -> [out]`: `y_i = sum_j (x_j - c_ij)^2` (LeCun et al., 1998, II-B).

    The codes `centers` are a buffer, drawn as +1 and -1, since a checkpoint is what brings those of a drawn alphabet.
    """

    out: int = param("count", doc="number of codes")

    weighted: ClassVar[bool] = True

    def infer(self, inputs: tuple[TensorType, ...]) -> tuple[TensorType, ...]:
        value = only(inputs)
        if len(value.shape) != 1:
            raise _no_vector(value)
        return (TensorType((self.out,), value.dtype),)

    def weights(self, inputs: tuple[TensorType, ...]) -> tuple[Weight, ...]:
        return (Weight("centers", (self.out, only(inputs).shape[0]), Init("signs"), trainable=False),)

    def macs(self, inputs: tuple[TensorType, ...], outputs: tuple[TensorType, ...]) -> int:
        return self.out * only(inputs).elements

    def elementwise_ops(self, inputs: tuple[TensorType, ...], outputs: tuple[TensorType, ...]) -> int:
        """The differences."""
        return self.out * only(inputs).elements

    def window(self, inputs: tuple[TensorType, ...]) -> Global:
        return GLOBAL


def _no_vector(value: TensorType) -> ShapeError:
    return ShapeError(
        "rank-mismatch",
        f"`rbf` needs a vector [N, F], but its input is {value}",
        help=f"put `flatten` before it: {value} becomes [N, {value.elements}]",
    )


def _too_many_axes(value: TensorType) -> ShapeError:
    return ShapeError(
        "rank-mismatch",
        f"`linear` needs a vector [N, F] or a sequence [N, T, F], but its input is {value}",
        help=f"put `flatten` before it: {value} becomes [N, {value.elements}];"
        f" or `reshape([-1, {value.shape[-1]}])`, if the features are on the last axis",
    )
