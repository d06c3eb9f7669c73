"""PyTorch rule of locally connected layers, which `torch.nn` lacks."""

from __future__ import annotations

from archdsl.emit.torch.convolution import padded
from archdsl.emit.torch.expression import Literal, call, module_call
from archdsl.emit.torch.rules import Form, Helper, Types, X, rule
from archdsl.ops.local import LocalConv

LOCAL_CONV = Helper(
    "LocalConv",
    '''\
class LocalConv(nn.Module):
    """A convolution with other weights at each place; `share` positions along each axis share theirs.

    Sizes have one number for each spatial axis; `size` is the output's.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        size: tuple[int, ...],
        kernel: tuple[int, ...],
        stride: tuple[int, ...],
        share: tuple[int, ...],
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.size, self.kernel, self.stride, self.share = size, kernel, stride, share
        regions = [-(-length // count) for length, count in zip(size, share)]
        self.weight = nn.Parameter(torch.empty(*regions, out_channels, in_channels, *kernel))
        self.bias = nn.Parameter(torch.empty(*regions, out_channels)) if bias else None
        bound = self.weight[(0,) * len(size)][0].numel() ** -0.5
        for weight in self.parameters():
            nn.init.uniform_(weight, -bound, bound)

    def forward(self, x: Tensor) -> Tensor:
        for axis, (length, step) in enumerate(zip(self.kernel, self.stride), 2):
            x = x.unfold(axis, length, step)
        places, inside = "hwd"[: len(self.size)], "xyz"[: len(self.size)]
        equation = f"nc{places}{inside},{places}oc{inside}->no{places}"
        result = torch.einsum(equation, x, self._at_each_place(self.weight))
        return result if self.bias is None else result + self._at_each_place(self.bias).movedim(-1, 0)

    def _at_each_place(self, weight: Tensor) -> Tensor:
        for axis, (length, count) in enumerate(zip(self.size, self.share)):
            weight = weight.repeat_interleave(count, axis).narrow(axis, 0, length)
        return weight''',
)


@rule(LocalConv)
def local_conv(op: LocalConv, types: Types) -> Form:
    geometry = op.geometry(types)
    module = call(
        LOCAL_CONV.name,
        Literal(types[0].shape[0], "in_channels"),
        Literal(op.out, "out"),
        Literal(geometry.output, "size"),
        Literal(geometry.kernel, "kernel"),
        Literal(geometry.stride, "stride"),
        Literal(op.shares(types), "share"),
        bias=(op.bias, True),
    )
    return Form(module_call(padded(X, geometry.padding)), module, "core", LOCAL_CONV)
