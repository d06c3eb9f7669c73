"""PyTorch rules of recurrent layers: PyTorch's own, with the batch first in the states as everywhere else."""

from __future__ import annotations

from archdsl.emit.torch.expression import Literal, Operand, call, module_call
from archdsl.emit.torch.rules import Form, Helper, Types, rule
from archdsl.ops.base import Op
from archdsl.ops.recurrent import GRU, LSTM, RNN, Recurrent

ONE_STATE = '''\
class {name}(nn.{kind}):
    """With the batch first in the states too; gives what the last layer does at every step, then the last state."""

    def forward(self, x: Tensor, h0: Tensor | None = None) -> tuple[Tensor, Tensor]:
        x, h = super().forward(x, None if h0 is None else h0.transpose(0, 1).contiguous())
        return x, h.transpose(0, 1)'''

TWO_STATES = '''\
class BatchFirstLSTM(nn.LSTM):
    """With the batch first in the states too; gives what the last layer does at every step, then the last states."""

    def forward(
        self, x: Tensor, h0: Tensor | None = None, c0: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        states = None
        if h0 is not None:
            c0 = torch.zeros_like(h0) if c0 is None else c0
            states = (h0.transpose(0, 1).contiguous(), c0.transpose(0, 1).contiguous())
        x, (h, c) = super().forward(x, states)
        return x, h.transpose(0, 1), c.transpose(0, 1)'''

HELPERS: dict[type[Op], Helper] = {
    RNN: Helper("BatchFirstRNN", ONE_STATE.format(name="BatchFirstRNN", kind="RNN")),
    LSTM: Helper("BatchFirstLSTM", TWO_STATES),
    GRU: Helper("BatchFirstGRU", ONE_STATE.format(name="BatchFirstGRU", kind="GRU")),
}


@rule(*HELPERS)
def recurrent(op: Recurrent, types: Types) -> Form:
    helper = HELPERS[type(op)]
    keywords: dict[str, tuple[object, object]] = {"num_layers": (op.layers, 1), "bias": (op.bias, True)}
    if isinstance(op, RNN):
        keywords["nonlinearity"] = (op.nonlinearity, "tanh")
    keywords |= {
        "batch_first": (True, False), "dropout": (op.dropout, 0.0), "bidirectional": (op.bidirectional, False),
    }  # fmt: skip
    module = call(helper.name, Literal(types[0].shape[1], "in_features"), Literal(op.hidden, "hidden"), **keywords)
    return Form(module_call(*map(Operand, range(len(types)))), module, helper=helper)
