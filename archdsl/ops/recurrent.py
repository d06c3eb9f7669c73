"""Recurrent layers over `[T, F]`, with the state of the last step as further results; parameters as PyTorch names them.

Of `layers` layers, each reads the results of the one below at every step. A bidirectional layer runs over the sequence
in both directions and gives both results side by side. States are `[layers * directions, hidden]`: of each layer the
forward direction, then the backward one. A state that is not given begins at zero.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from archdsl.ops.base import GLOBAL, Global, Op, ShapeError, TensorType, Weight, op, param
from archdsl.ops.embedding import no_sequence


class Recurrent(Op):
    """What the three kinds share; each declares the same fields, since a dataclass is one class here."""

    weighted: ClassVar[bool] = True
    counts_depth: ClassVar[bool] = True
    operands: ClassVar[tuple[str, ...]] = ("input", "h0")
    optional_operands: ClassVar[int] = 1
    #: names of the states, which are results and, begun with `0`, operands
    states: ClassVar[tuple[str, ...]] = ("h",)
    #: rows of each weight are those of this many gates, one after the other
    gates: ClassVar[int] = 1
    #: operations of one unit at one step besides the gates' own
    update: ClassVar[int] = 0

    hidden: int
    layers: int
    bidirectional: bool
    dropout: float
    bias: bool

    @property
    def directions(self) -> int:
        return 2 if self.bidirectional else 1

    def infer(self, inputs: tuple[TensorType, ...]) -> tuple[TensorType, ...]:
        value, *states = inputs
        if len(value.shape) != 2:
            raise no_sequence(self.name, value)
        self._check_dropout()
        state = TensorType((self.layers * self.directions, self.hidden))
        for name, given in zip(self.operands[1:], states, strict=False):
            if given.shape != state.shape:
                message = f"`{name}` of `{self.name}` is {state}, one row for each layer and direction, not {given}"
                raise ShapeError("merge-shape", message)
        return (TensorType((value.shape[0], self.hidden * self.directions)), *[state] * len(self.states))

    def results(self, inputs: tuple[TensorType, ...]) -> tuple[str, ...]:
        return ("output", *self.states)

    def weights(self, inputs: tuple[TensorType, ...]) -> tuple[Weight, ...]:
        return tuple(weight for suffix, features in self.parts(inputs) for weight in self._part(suffix, features))

    def parts(self, inputs: tuple[TensorType, ...]) -> Iterator[tuple[str, int]]:
        """Suffix of the weights' names, and the number of features that come in, for each layer and direction."""
        for layer in range(self.layers):
            features = inputs[0].shape[1] if layer == 0 else self.hidden * self.directions
            for suffix in ("", "_reverse")[: self.directions]:
                yield f"l{layer}{suffix}", features

    def _part(self, suffix: str, features: int) -> tuple[Weight, ...]:
        """U(-1/sqrt(hidden), 1/sqrt(hidden)) for all of them, as PyTorch begins."""
        rows = self.gates * self.hidden
        shapes: dict[str, tuple[int, ...]] = {"weight_ih": (rows, features), "weight_hh": (rows, self.hidden)}
        shapes |= {"bias_ih": (rows,), "bias_hh": (rows,)} if self.bias else {}
        return tuple(Weight(f"{name}_{suffix}", shape, fan_in=self.hidden) for name, shape in shapes.items())

    def macs(self, inputs: tuple[TensorType, ...], outputs: tuple[TensorType, ...]) -> int:
        """Each gate reads the features that come in and the state, at every step."""
        length = inputs[0].shape[0]
        return sum(length * self.gates * self.hidden * (features + self.hidden) for _, features in self.parts(inputs))

    def elementwise_ops(self, inputs: tuple[TensorType, ...], outputs: tuple[TensorType, ...]) -> int:
        """A gate adds its two products, and biases, and applies its function."""
        each = self.gates * (4 if self.bias else 2) + self.update
        return inputs[0].shape[0] * self.layers * self.directions * self.hidden * each

    def window(self, inputs: tuple[TensorType, ...]) -> Global:
        return GLOBAL

    def _check_dropout(self) -> None:
        if not 0 <= self.dropout <= 1:
            message = f"`dropout` is the share of elements that are dropped, between 0 and 1, not {self.dropout}"
            raise ShapeError("argument-value", message, argument="dropout")
        if self.dropout and self.layers == 1:
            message = "`dropout` acts between layers, and there is one layer"
            raise ShapeError("argument-value", message, argument="dropout", help="put `dropout` after it instead")


@op("rnn")
class RNN(Recurrent):
    """`h' = f(W x + b + U h + d)` at every step, as `torch.nn.RNN` (Elman, 1990)."""

    hidden: int = param("count", doc="units")
    layers: int = param("count", 1, doc="layers, one on top of the other")
    bidirectional: bool = param("flag", False, doc="run in both directions, each with weights of its own")
    nonlinearity: str = param("choice", "tanh", choices=("tanh", "relu"), doc="the function `f`")
    dropout: float = param("number", 0.0, doc="share of elements zeroed between layers while training")
    bias: bool = param("flag", True, doc="add the two learned vectors `b` and `d`")


@op("lstm")
class LSTM(Recurrent):
    """Long short-term memory (Hochreiter and Schmidhuber, 1997, with forget gates), as `torch.nn.LSTM`.

    Gates `i`, `f`, `o` are sigmoids and `g` a tanh of `W x + b + U h + d`; then `c' = f c + i g` and `h' = o tanh(c')`.
    """

    hidden: int = param("count", doc="units")
    layers: int = param("count", 1, doc="layers, one on top of the other")
    bidirectional: bool = param("flag", False, doc="run in both directions, each with weights of its own")
    dropout: float = param("number", 0.0, doc="share of elements zeroed between layers while training")
    bias: bool = param("flag", True, doc="add the two learned vectors `b` and `d`")

    operands: ClassVar[tuple[str, ...]] = ("input", "h0", "c0")
    optional_operands: ClassVar[int] = 2
    states: ClassVar[tuple[str, ...]] = ("h", "c")
    gates: ClassVar[int] = 4
    update: ClassVar[int] = 5


@op("gru")
class GRU(Recurrent):
    """Gated recurrent unit (Cho et al., 2014), as `torch.nn.GRU`.

    Gates `r` and `z` are sigmoids of `W x + b + U h + d`, `n = tanh(W x + b + r (U h + d))`; `h' = (1 - z) n + z h`.
    """

    hidden: int = param("count", doc="units")
    layers: int = param("count", 1, doc="layers, one on top of the other")
    bidirectional: bool = param("flag", False, doc="run in both directions, each with weights of its own")
    dropout: float = param("number", 0.0, doc="share of elements zeroed between layers while training")
    bias: bool = param("flag", True, doc="add the two learned vectors `b` and `d`")

    gates: ClassVar[int] = 3
    update: ClassVar[int] = 5
