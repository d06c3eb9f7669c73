"""PyTorch rules of what is dropped while training besides single elements."""

from __future__ import annotations

from archdsl.emit.torch.expression import Literal, call
from archdsl.emit.torch.rules import SELF_TRAINING, Form, Helper, Types, X, by_rank, rule
from archdsl.ops.stochastic import Dropout2d, DropPath

DROP_PATH = Helper(
    "drop_path",
    '''\
def drop_path(x: Tensor, rate: float, training: bool) -> Tensor:
    """While training, all of a sample is zero with probability `rate`, and the others are scaled up."""
    if not training or rate == 0:
        return x
    kept = torch.full((x.shape[0], *(1,) * (x.dim() - 1)), 1 - rate, dtype=x.dtype, device=x.device).bernoulli()
    return x * kept / (1 - rate)''',
)


@rule(Dropout2d)
def dropout2d(op: Dropout2d, types: Types) -> Form:
    rate = Literal(op.rate, "rate")
    return Form(call(by_rank("F.dropout", types), X, rate, SELF_TRAINING), call(by_rank("nn.Dropout", types), rate))


@rule(DropPath)
def drop_path(op: DropPath, types: Types) -> Form:
    return Form(call(DROP_PATH.name, X, Literal(op.rate, "rate"), SELF_TRAINING), helper=DROP_PATH)
