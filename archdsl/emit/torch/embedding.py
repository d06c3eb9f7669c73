"""PyTorch rules of embeddings, positions and learned tensors."""

from __future__ import annotations

from archdsl.emit.torch.expression import MODULE, Join, Literal, Text, call, method
from archdsl.emit.torch.rules import Form, Helper, Types, X, rule, weighted
from archdsl.ops.base import ZEROS
from archdsl.ops.embedding import Embedding, Parameter, PositionalEncoding

POSITIONS = Helper(
    "plus_positions",
    '''\
def plus_positions(x: Tensor) -> Tensor:
    """Sines and cosines of the position added (Vaswani et al., 2017, 3.5)."""
    length, width = x.shape[1:]
    frequencies = 10000.0 ** (-torch.arange(0, width, 2, dtype=torch.float64) / width)
    angles = torch.arange(length).to(x)[:, None] * frequencies.to(x)
    return x + torch.stack((angles.sin(), angles.cos()), 2).flatten(1)''',
)


@rule(Embedding)
def embedding(op: Embedding, types: Types) -> Form:
    return weighted(call("nn.Embedding", Literal(op.count, "count"), Literal(op.width, "width")), "other")


@rule(Parameter)
def parameter(op: Parameter, types: Types) -> Form:
    """No module, but an `nn.Parameter` of the module around it, repeated for each sample without a copy."""
    (weight,) = op.weights(types)
    make = "torch.zeros" if op.init == ZEROS else "torch.empty"
    tensor = call(make, *(Literal(size, "size") for size in weight.shape))
    samples = Join((X, Text(".shape[0]")))
    return Form(method(MODULE, "expand", samples, *[Text("-1")] * len(op.shape)), call("nn.Parameter", tensor))


@rule(PositionalEncoding)
def positional_encoding(op: PositionalEncoding, types: Types) -> Form:
    return Form(call(POSITIONS.name, X), helper=POSITIONS)
