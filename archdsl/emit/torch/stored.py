"""How PyTorch has layers whose weight is stored in another form: its parametrizations, and connection tables."""

from __future__ import annotations

from archdsl.emit.torch.expression import Display, Expr, Literal, call, module_call
from archdsl.emit.torch.rules import Form, Helper, Types, simplest
from archdsl.ops.convolution import Conv

TABLE_CONV = '''\
class TableConv{rank}d(nn.Module):
    """A convolution of which each output channel sees the input channels that its row of the table lists."""

    def __init__(
        self,
        in_channels: int,
        table: tuple[tuple[int, ...], ...],
        kernel: tuple[int, ...],
        stride: int | tuple[int, ...] = 1,
        padding: int | tuple[int, ...] = 0,
        dilation: int | tuple[int, ...] = 1,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.channels = len(table), in_channels
        self.stride, self.padding, self.dilation = stride, padding, dilation
        connected = [(row, channel) for row, seen in enumerate(table) for channel in seen]
        self.places = tuple(map(list, zip(*connected)))
        self.weight = nn.Parameter(torch.empty(len(connected), *kernel))
        self.bias = nn.Parameter(torch.empty(len(table))) if bias else None
        bound = (max(map(len, table)) * self.weight[0].numel()) ** -0.5
        for weight in self.parameters():
            nn.init.uniform_(weight, -bound, bound)

    def forward(self, x: Tensor) -> Tensor:
        kernels = self.weight.new_zeros(*self.channels, *self.weight.shape[1:])
        kernels[self.places] = self.weight
        return F.conv{rank}d(x, kernels, self.bias, self.stride, self.padding, self.dilation)'''

#: By spatial rank.
TABLE_CONVS = {rank: Helper(f"TableConv{rank}d", TABLE_CONV.format(rank=rank)) for rank in (1, 2, 3)}


def normalized(module: Expr, norm: str) -> Expr:
    """The module with its weight computed from what `torch.nn.utils.parametrizations` stores."""
    return module if norm == "none" else call(f"nn.utils.parametrizations.{norm}_norm", module)


def table_conv(op: Conv, types: Types, operand: Expr, padding: object) -> Form:
    """A convolution by a connection table, which `torch.nn` lacks."""
    geometry, helper = op.geometry(types), TABLE_CONVS[len(types[0].spatial)]
    module = call(
        helper.name,
        Literal(types[0].shape[0], "in_channels"),
        Display(tuple(Literal(row, "row") for row in op.table), "()"),
        Literal(geometry.kernel, "kernel"),
        stride=(simplest(geometry.stride), 1),
        padding=(padding, 0),
        dilation=(simplest(geometry.dilation), 1),
        bias=(op.bias, True),
    )
    return Form(module_call(operand), module, "core", helper)
