"""PyTorch rules of transposed convolution and unpooling."""

from __future__ import annotations

from archdsl.emit.torch.convolution import borders
from archdsl.emit.torch.expression import Argument, Call, Expr, Join, Literal, Operand, Text, call, method, module_call
from archdsl.emit.torch.rules import Form, Types, X, by_rank, rule, simplest
from archdsl.emit.torch.stored import normalized
from archdsl.ops.transposed import Deconv, Spread, Unpool


@rule(Deconv)
def deconv(op: Deconv, types: Types) -> Form:
    """What is cut off differently on the two sides is cut off by negative padding."""
    spread = op.spread(types)
    both = tuple(min(pair) for pair in spread.padding)
    module: Expr = call(
        by_rank("nn.ConvTranspose", types),
        Literal(types[0].shape[0], "in_channels"),
        Literal(op.out, "out"),
        Literal(simplest(spread.kernel), "kernel"),
        stride=(simplest(spread.stride), 1),
        padding=(simplest(both), 0),
        output_padding=(simplest(spread.extra), 0),
        groups=(op.groups, 1),
        bias=(op.bias, True),
        dilation=(simplest(spread.dilation), 1),
    )
    module = normalized(module, op.norm)
    if not op.trainable:
        module = method(module, "requires_grad_", Text("False"))
    rest = tuple((least - begin, least - end) for least, (begin, end) in zip(both, spread.padding, strict=True))
    result = module_call(X) if spread.symmetric else call("F.pad", module_call(X), Literal(borders(rest), "pad"))
    return Form(result, module, "core" if spread.symmetric else "other")


@rule(Unpool)
def unpool(op: Unpool, types: Types) -> Form:
    spread = op.spread(types)
    keywords = {"stride": (simplest(spread.stride), simplest(spread.kernel)), "padding": (_pad(spread), 0)}
    kernel = Literal(simplest(spread.kernel), "kernel")
    form = call(by_rank("F.max_unpool", types), X, Operand(1), kernel, **keywords)
    if len(types) == 2:
        return Form(form)
    like = Argument(Join((Operand(2), Text(".shape[2:]"))), "output_size")
    return Form(Call(form.function, (*form.arguments, like)))


def _pad(spread: Spread) -> int | tuple[int, ...]:
    return simplest(tuple(begin for begin, _ in spread.padding))
