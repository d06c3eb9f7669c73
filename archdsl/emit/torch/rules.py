"""The table of PyTorch rules, keyed by op class, and what a rule gives.

The families are in files of their own; `archdsl.emit.torch.table` imports them all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeVar
from typing import Literal as OneOf

from archdsl.emit.torch.expression import (
    MODULE,
    Argument,
    Call,
    Expr,
    Infix,
    Join,
    Literal,
    Operand,
    Text,
    leaves,
    module_call,
)
from archdsl.graph.graph import Layer
from archdsl.language.diagnostics import error
from archdsl.ops.base import Op, TensorType, parameters
from archdsl.ops.dims import OpenSizeError, openness, symbolic

Types = tuple[TensorType, ...]

#: How a line of `forward` takes the op up: `activation` and `norm` wrap the value before them,
#: `core` (convolution, linear) may wrap those; everything else begins a line.
Kind = OneOf["activation", "norm", "core", "other"]


class Unsupported(Exception):
    """PyTorch cannot say this; the message is the reason. In the table: for every use of the op."""


@dataclass(frozen=True, slots=True)
class Helper:
    """A function or class of the generated file that some layers call."""

    name: str
    source: str


@dataclass(frozen=True, slots=True)
class Form:
    """How one layer is written.

    `module` constructs an `nn.Module`: the one that owns the weights, or for an op without weights the
    one to use inside `nn.Sequential` (None if there is none). `call` is its use in `forward`: inputs are
    `Operand`s, its own module is `MODULE`.
    """

    call: Expr
    module: Expr | None = None
    kind: Kind = "other"
    helper: Helper | None = None

    @property
    def in_sequence(self) -> bool:
        """The module alone is the whole layer, so that it can stand inside `nn.Sequential`."""
        return self.module is not None and (self.call == module_call(Operand()) or not calls_module(self.call))


def calls_module(call: Expr) -> bool:
    """The layer's own module occurs in its call."""
    match call:
        case Text():
            return call == MODULE
        case Call(function, arguments):
            return calls_module(function) or any(calls_module(argument.value) for argument in arguments)
        case Infix(_, parts) | Join(parts):
            return any(map(calls_module, parts))
    return False


Rule = Callable[[Any, Types], Form]
AnyRule = TypeVar("AnyRule", bound=Rule)
RULES: dict[type[Op], Rule | Unsupported] = {}


def rule(*classes: type[Op]) -> Callable[[AnyRule], AnyRule]:
    """Decorator: this function writes these ops; a second rule for one class is our bug."""

    def enter(function: AnyRule) -> AnyRule:
        for cls in classes:
            assert cls not in RULES, cls.name
            RULES[cls] = function
        return function

    return enter


def form(layer: Layer) -> Form:
    """How the layer is written; raises `ArchError` (`torch-unsupported`, `torch-no-rule`) at the layer."""
    op = layer.op
    found = RULES.get(type(op))
    if found is None:
        raise error("torch-no-rule", f"`{op.name}` has no PyTorch form here yet", layer.span, stack=layer.stack)
    try:
        if isinstance(found, Unsupported):
            raise found
        result = found(op, layer.input_types)
        arguments = (getattr(op, field.name) for field in parameters(type(op)))
        if any(symbolic(type.shape) for type in layer.input_types) or any(map(symbolic, arguments)):
            _refuse_open(result)
        return result
    except (Unsupported, OpenSizeError) as reason:
        message = f"`{layer.path}` cannot be written as PyTorch: {reason}"
        raise error("torch-unsupported", message, layer.span, stack=layer.stack) from reason


def _refuse_open(form: Form) -> None:
    """Raise `Unsupported` for numbers that depend on an open size: the source would hold their nominal values."""
    for expr in (form.call, *([form.module] if form.module is not None else [])):
        for leaf, _ in leaves(expr):
            if isinstance(leaf, Literal) and symbolic(leaf.value):
                raise Unsupported(f"its {leaf.role}, {leaf.value}, {openness(leaf.value)}")


#: What may write over a tensor that nothing else reads.
OVERWRITING: tuple[Expr, ...] = tuple(map(Text, ("F.relu", "F.relu6", "nn.ReLU", "nn.ReLU6")))


def is_fresh(kind: Kind, op: str) -> bool:
    """The op's result is new memory that its own backward pass does not read again."""
    return kind in ("core", "norm") or op == "add"


def in_place(activation: Expr) -> Expr:
    """The activation, writing over its input where PyTorch offers that."""
    if not isinstance(activation, Call) or activation.function not in OVERWRITING:
        return activation
    return replace(activation, arguments=(*activation.arguments, Argument(Text("True"), "inplace")))


def simplest(sizes: tuple[int, ...]) -> int | tuple[int, ...]:
    """One number where all axes agree."""
    return sizes[0] if len(set(sizes)) == 1 else sizes


def weighted(module: Expr, kind: Kind, operand: Expr = Operand()) -> Form:  # noqa: B008 (a frozen value)
    """A layer that owns weights; `operand` is what its module is called with."""
    return Form(module_call(operand), module, kind)


def by_rank(name: str, types: Types) -> str:
    """`nn.Conv` for an input with two spatial axes: `nn.Conv2d`."""
    return f"{name}{len(types[0].spatial)}d"


X = Operand()
SELF_TRAINING = Text("self.training")
