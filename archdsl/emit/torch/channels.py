"""PyTorch rules of ops on channels, and of radial basis functions. Modules that `torch.nn` lacks become helpers."""

from __future__ import annotations

from archdsl.emit.torch.expression import Call, Expr, Join, Literal, Operand, Text, call, module_call
from archdsl.emit.torch.rules import Form, Helper, Types, X, rule
from archdsl.ops.axes import position
from archdsl.ops.channels import Affine, PadChannels, Select
from archdsl.ops.linear import RBF

AFFINE = Helper(
    "ChannelAffine",
    '''\
class ChannelAffine(nn.Module):
    """`weight * x + bias`, one coefficient and bias for each channel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        shape = (-1, *(1,) * (x.dim() - 2))
        return self.weight.view(shape) * x + self.bias.view(shape)''',
)

CODES = Helper(
    "FixedCodes",
    '''\
class FixedCodes(nn.Module):
    """Squared distances to codes of +1 and -1 that are not trained."""

    def __init__(self, features: int, codes: int) -> None:
        super().__init__()
        self.register_buffer("centers", 2.0 * torch.randint(2, (codes, features)) - 1)

    def forward(self, x: Tensor) -> Tensor:
        return (x.unsqueeze(1) - self.centers).square().sum(2)''',
)


@rule(Select)
def select(op: Select, types: Types) -> Form:
    axis = position(types[0], op.axis) + 1
    return Form(Join((X, Text("[" + ":, " * axis), Literal(op.indices, "indices"), Text("]"))))


@rule(PadChannels)
def pad_channels(op: PadChannels, types: Types) -> Form:
    if not op.before and not op.after:
        return Form(Operand())
    borders = (0, 0) * len(types[0].spatial) + (op.before, op.after)
    return Form(call("F.pad", X, Literal(borders, "pad")))


@rule(Affine)
def affine(op: Affine, types: Types) -> Form:
    return _owned(AFFINE, Literal(types[0].shape[0], "channels"))


@rule(RBF)
def rbf(op: RBF, types: Types) -> Form:
    return _owned(CODES, Literal(types[0].shape[0], "in_features"), Literal(op.out, "out"))


def _owned(helper: Helper, *arguments: Expr) -> Form:
    """A layer whose module is the helper class."""
    module = call(helper.name, *arguments)
    assert isinstance(module, Call)
    return Form(module_call(X), module, "norm", helper)
