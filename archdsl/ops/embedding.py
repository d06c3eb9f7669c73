"""Sequences and tables: embeddings, positions, and learned tensors that depend on no input."""

from __future__ import annotations

from typing import ClassVar

from archdsl.ops.base import ZEROS, Init, Op, ShapeError, TensorType, Weight, only, op, param


@op("embedding")
class Embedding(Op):
    """Row `i` of a learned table for each whole number `i`, `[T] -> [T, width]`, as `torch.nn.Embedding`.

    The input is int64 or int32, of any shape; its numbers run from 0 to `count - 1`, others are an error at run time.
    """

    count: int = param("count", doc="rows of the table")
    width: int = param("count", doc="numbers in a row")
    init: Init = param("init", Init("normal"), doc="initialization of the table")

    weighted: ClassVar[bool] = True
    any_dtype: ClassVar[bool] = True

    def infer(self, inputs: tuple[TensorType, ...]) -> tuple[TensorType, ...]:
        value = only(inputs)
        if value.dtype not in ("int64", "int32"):
            message = f"`embedding` looks up whole numbers, but its input is {value.dtype}"
            help = "declare the input with its element type: `input words: int64 [16]`"
            raise ShapeError("dtype-mismatch", message, help=help)
        return (TensorType((*value.shape, self.width)),)

    def weights(self, inputs: tuple[TensorType, ...]) -> tuple[Weight, ...]:
        return (Weight("weight", (self.count, self.width), self.init, fan_in=self.width, fan_out=self.count),)


@op("parameter")
class Parameter(Op):
    """A learned tensor, the same for every sample: a class token, a table of positions, a factor for each channel.

    What flows in gives it nothing but the batch. Its weight has no name of its own: the `state_dict` key is the
    layer's path, as of an `nn.Parameter` that a module holds itself.
    """

    shape: tuple[int, ...] = param("integers", doc="sizes after the batch")
    batch_axis: bool = param("flag", False, doc="the weight has an axis of size 1 for the batch in front")
    init: Init = param("init", ZEROS, doc="initialization")

    weighted: ClassVar[bool] = True
    any_dtype: ClassVar[bool] = True

    def infer(self, inputs: tuple[TensorType, ...]) -> tuple[TensorType, ...]:
        wrong = next((size for size in self.shape if size < 1), None)
        if wrong is not None:
            message = f"a size is a whole number of at least 1, not {wrong}"
            raise ShapeError("argument-value", message, argument="shape")
        return (TensorType(self.shape),)

    def weights(self, inputs: tuple[TensorType, ...]) -> tuple[Weight, ...]:
        shape = (1, *self.shape) if self.batch_axis else self.shape
        fan_in, fan_out = _fans(shape)
        return (Weight("", shape, self.init, fan_in=fan_in, fan_out=fan_out),)


@op("positional_encoding")
class PositionalEncoding(Op):
    """Adds sines and cosines of the position to `[T, D]` (Vaswani et al., 2017, 3.5); nothing is learned.

    `sin(t / 10000^(2i / D))` to feature `2i` of position `t`, and the cosine of the same to feature `2i + 1`.
    """

    def infer(self, inputs: tuple[TensorType, ...]) -> tuple[TensorType, ...]:
        value = only(inputs)
        if len(value.shape) != 2:
            raise no_sequence(self.name, value)
        if value.shape[1] % 2:
            message = f"`positional_encoding` needs pairs of features, but {value} has {value.shape[1]}"
            raise ShapeError("argument-value", message)
        return (value,)

    def elementwise_ops(self, inputs: tuple[TensorType, ...], outputs: tuple[TensorType, ...]) -> int:
        return outputs[0].elements


def no_sequence(name: str, value: TensorType) -> ShapeError:
    """The refusal of what is no `[T, F]`."""
    return ShapeError(
        "rank-mismatch",
        f"`{name}` needs a sequence [N, T, F], but gets {value}",
        help="time first, features last: `reshape` and `transpose` bring other layouts there",
    )


def _fans(shape: tuple[int, ...]) -> tuple[int, int]:
    """As `torch.nn.init` reads them off a shape: axis 1 in, axis 0 out, both times what follows."""
    if len(shape) < 2:
        return shape[0], shape[0]
    area = 1
    for size in shape[2:]:
        area *= size
    return shape[1] * area, shape[0] * area
