"""Matrix products and attention: every position of a sequence weighs all positions of another (or its own)."""

from __future__ import annotations

from typing import ClassVar

from archdsl.ops.base import GLOBAL, ZEROS, Global, Init, Op, ShapeError, TensorType, Weight, op, param
from archdsl.ops.embedding import no_sequence


@op("matmul")
class MatMul(Op):
    """Matrix product of the last two axes, `[..., M, K]` times `[..., K, L]` gives `[..., M, L]`.

    The axes before the last two are equal, or 1 where the matrix is to be repeated.
    """

    operands: ClassVar[tuple[str, ...]] = ("input", "other")

    def infer(self, inputs: tuple[TensorType, ...]) -> tuple[TensorType, ...]:
        left, right = inputs
        if len(left.shape) != len(right.shape) or len(left.shape) < 2:
            message = "`matmul` needs two tensors of the same rank with at least two axes"
            raise ShapeError("rank-mismatch", message)
        pairs = list(zip(left.shape[:-2], right.shape[:-2], strict=True))
        if left.shape[-1] != right.shape[-2] or any(a != b and 1 not in (a, b) for a, b in pairs):
            raise _unlike_matrices(left, right)
        stack = tuple(b if a == 1 else a for a, b in pairs)
        return (TensorType((*stack, left.shape[-2], right.shape[-1]), left.dtype),)

    def macs(self, inputs: tuple[TensorType, ...], outputs: tuple[TensorType, ...]) -> int:
        return inputs[0].shape[-1] * outputs[0].elements

    def window(self, inputs: tuple[TensorType, ...]) -> Global:
        return GLOBAL


@op("attention")
class Attention(Op):
    """`softmax(scale Q K^T) V`, scaled dot-product attention (Vaswani et al., 2017, 3.2.1), by `heads` in parallel.

    Of `query` `[T, D]`, `key` `[S, D]` and `value` `[S, E]`, each head has its share of the features; the result is
    `[T, E]`. A `mask` `[T, S]` is added to the scores, or where it is of bool, says which keys a query may see; every
    query has to see one. `[S]` is the same for all queries, `[heads, T, S]` another for each head; an axis of size 1 is
    repeated. With `causal`, a query sees the keys at its own position and before.
    """

    heads: int = param("count", 1, doc="shares of the features that attend apart")
    causal: bool = param("flag", False, doc="no position sees a later one")
    scale: float | None = param("number", None, doc="factor of the scores; 1 / sqrt(D / heads) if not given")

    operands: ClassVar[tuple[str, ...]] = ("query", "key", "value", "mask")
    optional_operands: ClassVar[int] = 1
    any_dtype: ClassVar[bool] = True  # of the mask; `check_sequences` sees to the others

    def infer(self, inputs: tuple[TensorType, ...]) -> tuple[TensorType, ...]:
        query, key, value = inputs[:3]
        check_sequences(self.name, (query, key, value))
        check_masks(inputs[3:], self.heads, query, key)
        if query.shape[1] != key.shape[1]:
            raise _unlike(self.name, "query", query, "key", key, "features")
        if key.shape[0] != value.shape[0]:
            raise _unlike(self.name, "key", key, "value", value, "positions")
        check_heads(self.heads, query.shape[1], value.shape[1])
        return (TensorType((query.shape[0], value.shape[1]), query.dtype),)

    def macs(self, inputs: tuple[TensorType, ...], outputs: tuple[TensorType, ...]) -> int:
        query, key, value = inputs[:3]
        return score_macs(query, key, value)

    def elementwise_ops(self, inputs: tuple[TensorType, ...], outputs: tuple[TensorType, ...]) -> int:
        return score_ops(inputs[0], inputs[1], self.heads, self.causal, len(inputs) > 3)

    def window(self, inputs: tuple[TensorType, ...]) -> Global:
        return GLOBAL


@op("multihead_attention")
class MultiheadAttention(Op):
    """Attention by several heads between learned projections, as `torch.nn.MultiheadAttention` (Vaswani et al., 2017).

    `query` `[T, D]` attends to `key` and `value` `[S, D]`. Without `value` it is the key, without both they are the
    query (self attention). `mask` and `causal` are those of `attention`.
    """

    heads: int = param("count", doc="number of heads, a divisor of D")
    bias: bool = param("flag", True, doc="add learned vectors after the projections")
    dropout: float = param("number", 0.0, doc="share of attention weights zeroed while training")
    causal: bool = param("flag", False, doc="no position sees a later one")

    weighted: ClassVar[bool] = True
    counts_depth: ClassVar[bool] = True
    operands: ClassVar[tuple[str, ...]] = ("query", "key", "value", "mask")
    optional_operands: ClassVar[int] = 3
    any_dtype: ClassVar[bool] = True

    def infer(self, inputs: tuple[TensorType, ...]) -> tuple[TensorType, ...]:
        query, key, value = self.sequences(inputs)
        check_sequences(self.name, (query, key, value))
        check_masks(inputs[3:], self.heads, query, key)
        for name, given in (("key", key), ("value", value)):
            if given.shape[1] != query.shape[1]:
                raise _unlike(self.name, "query", query, name, given, "features")
        if key.shape[0] != value.shape[0]:
            raise _unlike(self.name, "key", key, "value", value, "positions")
        check_heads(self.heads, query.shape[1], value.shape[1])
        if not 0 <= self.dropout <= 1:
            message = f"`dropout` is the share of weights that are dropped, between 0 and 1, not {self.dropout}"
            raise ShapeError("argument-value", message, argument="dropout")
        return (query,)

    def sequences(self, inputs: tuple[TensorType, ...]) -> tuple[TensorType, TensorType, TensorType]:
        """Query, key and value; what is not given is the one before."""
        query = inputs[0]
        key = inputs[1] if len(inputs) > 1 else query
        return query, key, inputs[2] if len(inputs) > 2 else key

    def weights(self, inputs: tuple[TensorType, ...]) -> tuple[Weight, ...]:
        """PyTorch's names, and its own beginning: Glorot for the three projections together, biases of zero."""
        width = inputs[0].shape[1]
        xavier = Init("xavier_uniform")
        project = Weight("in_proj_weight", (3 * width, width), xavier, fan_in=width, fan_out=3 * width)
        out = Weight("out_proj.weight", (width, width), fan_in=width, fan_out=width)
        if not self.bias:
            return (project, out)
        biases = Weight("in_proj_bias", (3 * width,), ZEROS), Weight("out_proj.bias", (width,), ZEROS)
        return (project, biases[0], out, biases[1])

    def macs(self, inputs: tuple[TensorType, ...], outputs: tuple[TensorType, ...]) -> int:
        """The projections of query, key, value and result, and the attention itself."""
        query, key, value = self.sequences(inputs)
        projected = 2 * query.elements + key.elements + value.elements
        return projected * query.shape[1] + score_macs(query, key, value)

    def elementwise_ops(self, inputs: tuple[TensorType, ...], outputs: tuple[TensorType, ...]) -> int:
        query, key, value = self.sequences(inputs)
        biases = 2 * query.elements + key.elements + value.elements if self.bias else 0
        return biases + score_ops(query, key, self.heads, self.causal, len(inputs) > 3)

    def window(self, inputs: tuple[TensorType, ...]) -> Global:
        return GLOBAL


def score_macs(query: TensorType, key: TensorType, value: TensorType) -> int:
    """Every query against every key, and every weight times its value: `T S (D + E)`, however many heads share them."""
    return query.shape[0] * key.shape[0] * (query.shape[1] + value.shape[1])


def score_ops(query: TensorType, key: TensorType, heads: int, causal: bool, masked: bool) -> int:
    """Each score is scaled and goes through a softmax (5), and a mask or the order of time adds 1."""
    return heads * query.shape[0] * key.shape[0] * (6 + causal + masked)


def check_sequences(name: str, inputs: tuple[TensorType, ...]) -> None:
    """Query, key and value are `[T, D]` of floating-point numbers."""
    for value in inputs:
        if len(value.shape) != 2:
            raise no_sequence(name, value)
        if value.dtype != inputs[0].dtype or not value.dtype.startswith("float"):
            message = f"`{name}` computes with floating-point numbers of one kind, but gets {value.dtype}"
            raise ShapeError("dtype-mismatch", message)


def check_masks(masks: tuple[TensorType, ...], heads: int, query: TensorType, key: TensorType) -> None:
    """A mask is of bool or of the query's type, and its last axes are those of the scores `[heads, T, S]`, or 1."""
    scores = (heads, query.shape[0], key.shape[0])
    for mask in masks:
        if mask.dtype not in (query.dtype, "bool"):
            message = f"a mask is of {query.dtype} or bool, not {mask.dtype}"
            raise ShapeError("dtype-mismatch", message)
        pairs = zip(mask.shape[::-1], scores[::-1], strict=False)
        if not 1 <= len(mask.shape) <= 3 or any(size not in (1, wanted) for size, wanted in pairs):
            wanted = TensorType(scores[1:] if heads == 1 else scores)
            notes = ("it may leave out the first axes, and have 1 instead of any size",)
            raise ShapeError("merge-shape", f"the mask is {mask}, but the scores are {wanted}", notes=notes)


def check_heads(heads: int, *widths: int) -> None:
    """Every head gets the same number of features."""
    for width in widths:
        if width % heads:
            message = f"{width} features cannot be shared by {heads} heads"
            notes = (f"{width} = {width // heads} * {heads} + {width % heads}",)
            raise ShapeError("groups-divide", message, argument="heads", notes=notes)


def _unlike(op: str, name: str, value: TensorType, other: str, found: TensorType, what: str) -> ShapeError:
    shapes = f"`{name}` is {value}, `{other}` is {found}"
    return ShapeError("merge-shape", f"`{op}`: `{name}` and `{other}` disagree on their {what}", notes=(shapes,))


def _unlike_matrices(left: TensorType, right: TensorType) -> ShapeError:
    return ShapeError(
        "merge-shape",
        f"{left} and {right} cannot be multiplied as matrices",
        notes=(f"columns of the first: {left.shape[-1]}, rows of the second: {right.shape[-2]}",),
        help="`transpose` turns a matrix: columns of the first and rows of the second agree, axes before them too",
    )
