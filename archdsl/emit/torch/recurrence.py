"""PyTorch rules of recurrence from equations: a method for one step, called at each position of the time axis."""

from __future__ import annotations

from archdsl.emit.torch.expression import Display, Expr, Join, Literal, Operand, Text, call, method
from archdsl.emit.torch.rules import Form, Helper, Types, X, rule
from archdsl.ops.recurrence import Recur, Steps, Zeros

OVER_TIME = Helper(
    "over_time",
    '''\
def over_time(
    step: Callable[..., tuple[Tensor, ...]], x: Tensor, states: tuple[Tensor, ...], *others: Tensor | nn.Module
) -> tuple[Tensor, ...]:
    """Calls `step` at each position of axis 1: its results side by side, then the states that the last one left."""
    results = []
    for value in x.unbind(1):
        result, *states = step(value, *states, *others)
        results.append(result)
    return torch.stack(results, 1), *states''',
)

EACH = Helper(
    "each",
    '''\
def each(step: Callable[..., Tensor], x: Tensor, *others: Tensor | nn.Module) -> Tensor:
    """`step` of each position of axis 1, side by side: all are samples of one batch."""
    wide = (other.repeat_interleave(x.shape[1], 0) if isinstance(other, Tensor) else other for other in others)
    return step(x.flatten(0, 1), *wide).unflatten(0, x.shape[:2])''',
)


@rule(Steps)
def steps(op: Steps, types: Types) -> Form:
    """Written where the `Recur` is (`archdsl.emit.torch.statements`)."""
    return Form(Display(tuple(Operand(index) for index in range(len(types))), "()"))


@rule(Recur)
def recur(op: Recur, types: Types) -> Form:
    """What a step returns."""
    helper = OVER_TIME if op.states else EACH
    return Form(Display(tuple(Operand(index) for index in range(len(types))), "()"), helper=helper)


@rule(Zeros)
def zeros(op: Zeros, types: Types) -> Form:
    sizes = [op.sizes] if isinstance(op.sizes, int) else list(op.sizes)
    arguments: list[Expr] = [Join((X, Text(".shape[0]"))), *(Literal(size, "size") for size in sizes)]
    if types[0].dtype.startswith("float"):
        return Form(method(X, "new_zeros", *arguments))
    return Form(call("torch.zeros", *arguments, Join((Text("device="), X, Text(".device")))))
