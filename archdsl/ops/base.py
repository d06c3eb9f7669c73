"""What every op is made of: tensor types, weights, windows, parameters, and the table of ops.

An op is one record. Its fields are the arguments of the language, in positional order.
Shapes never contain the batch: an image is `[C, H, W]`, a vector `[F]`, a sequence `[T, F]`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import MISSING, Field, dataclass, field, fields
from fractions import Fraction
from typing import Any, ClassVar, Literal, TypeVar, dataclass_transform

from archdsl.language.records import Record, make_record

DTYPE_BYTES = {"float32": 4, "float16": 2, "float64": 8, "int64": 8, "int32": 4, "uint8": 1, "bool": 1}

ParameterKind = Literal[
    "count",  # integer >= 1
    "natural",  # integer >= 0
    "integer",
    "number",  # integer or float
    "flag",
    "sizes",  # integer >= 1, or a list of them, one per spatial axis
    "naturals",  # integer >= 0, or a list of them, one per spatial axis
    "window",  # as `sizes`, or the word `global` (held as the string "global")
    "scales",  # number > 0, or a list of them, one per spatial axis
    "padding",  # natural, list of naturals, or `same`, `same_tf`, `valid` (held as strings)
    "integers",  # list of integers
    "table",  # list of lists of integers >= 0
    "choice",  # one of the field's `choices`
    "init",  # an initialization scheme
    "axis",  # axis number as PyTorch and ONNX count: 0 is the batch, 1 the channels, -1 the last
    "axes",  # axis number, or a list of them
]


@dataclass(frozen=True, slots=True)
class TensorType:
    """Shape of one sample (no batch) and element type."""

    shape: tuple[int, ...]
    dtype: str = "float32"

    @property
    def elements(self) -> int:
        return math.prod(self.shape)

    @property
    def bytes(self) -> int:
        return self.elements * DTYPE_BYTES[self.dtype]

    @property
    def spatial(self) -> tuple[int, ...]:
        """Axes after the channel axis."""
        return self.shape[1:]

    def __str__(self) -> str:
        return "[" + ", ".join(["N", *map(str, self.shape)]) + "]"


@dataclass(frozen=True, slots=True)
class Init:
    """An initialization scheme by name with its numbers, e.g. `Init("normal", (("std", 0.01),))`.

    `archdsl.weights.initialize` gives each scheme its meaning.
    """

    scheme: str
    arguments: tuple[tuple[str, float], ...] = ()


ZEROS = Init("zeros")
ONES = Init("ones")
#: PyTorch's own default: U(-1/sqrt(fan_in), 1/sqrt(fan_in)) for weights and biases alike.
DEFAULT = Init("default")


@dataclass(frozen=True, slots=True)
class Weight:
    """A tensor that the op owns; its full name is the layer's path, a dot, and `name` (the path alone for "").

    `fan_in` and `fan_out` are what the initialization schemes scale by; a buffer is not trained.
    """

    name: str
    shape: tuple[int, ...]
    init: Init = DEFAULT
    trainable: bool = True
    dtype: str = "float32"
    fan_in: int = 0
    fan_out: int = 0

    @property
    def elements(self) -> int:
        return math.prod(self.shape)


@dataclass(frozen=True, slots=True)
class Window:
    """How far one output element looks, per spatial axis; padding as (begin, end).

    A fractional stride stands for upsampling by its reciprocal.
    """

    kernel: tuple[int, ...]
    stride: tuple[int | Fraction, ...]
    dilation: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]


class Global:
    """Marks an op whose every output element looks at the whole input."""


GLOBAL = Global()


class ShapeError(Exception):
    """The op cannot be applied to these inputs.

    Carries numbers and the name of the argument at fault, never a position: the caller knows
    where that argument, or that input, was written.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        argument: str | None = None,
        label: str = "",
        notes: tuple[str, ...] = (),
        help: str | None = None,
        replacements: tuple[str, ...] = (),
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.argument = argument
        self.label = label
        self.notes = notes
        self.help = help
        self.replacements = replacements  # texts to try in place of the argument, best first


class Op(Record):
    """Base of all ops. Subclasses are records registered by `@op`."""

    #: its name in `.arch` text
    name: ClassVar[str] = ""
    #: owns weights or buffers, so a label before it names it (`conv: conv(64, 3) -> relu`)
    weighted: ClassVar[bool] = False
    #: counts towards `depth` (convolution, linear, recurrent)
    counts_depth: ClassVar[bool] = False
    #: at inference its output is its input's memory (reshape, flatten, dropout)
    view: ClassVar[bool] = False
    #: does nothing at inference (dropout), so that a deployed network leaves it out
    identity: ClassVar[bool] = False
    #: only moves numbers about, so their element type does not matter
    any_dtype: ClassVar[bool] = False
    #: written with braces and branches, not called
    combinator: ClassVar[bool] = False
    #: names of the tensors it reads, in the order of `inputs`; the last `optional_operands` may be left out
    operands: ClassVar[tuple[str, ...]] = ("input",)
    optional_operands: ClassVar[int] = 0

    def infer(self, inputs: tuple[TensorType, ...]) -> tuple[TensorType, ...]:
        """Types of the results; raises `ShapeError`."""
        raise NotImplementedError

    def results(self, inputs: tuple[TensorType, ...]) -> tuple[str, ...]:
        """Names of the results where there are several: `@label.name` means one of them, the first flows on."""
        return ()

    def weights(self, inputs: tuple[TensorType, ...]) -> tuple[Weight, ...]:
        """Parameters and buffers in `state_dict` order."""
        return ()

    def macs(self, inputs: tuple[TensorType, ...], outputs: tuple[TensorType, ...]) -> int:
        """Multiply-accumulates for one sample; biases are not counted."""
        return 0

    def elementwise_ops(self, inputs: tuple[TensorType, ...], outputs: tuple[TensorType, ...]) -> int:
        """Operations besides `2 * macs` for one sample, by the counting rule under the report."""
        return 0

    def window(self, inputs: tuple[TensorType, ...]) -> Window | Global | None:
        """Receptive window; None for an op that looks at one position only."""
        return None

    def arithmetic(self, inputs: tuple[TensorType, ...]) -> tuple[str, ...]:
        """Per spatial axis, the sum that gives its output size, spelled out with its numbers."""
        return ()


OPS: dict[str, type[Op]] = {}
AnyOp = TypeVar("AnyOp", bound=Op)


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def op(name: str) -> Callable[[type[AnyOp]], type[AnyOp]]:
    """Class decorator: a record, entered into `OPS` under its `.arch` name; a duplicate is our bug."""

    def enter(cls: type[AnyOp]) -> type[AnyOp]:
        assert name not in OPS, name
        cls.name = name
        OPS[name] = make_record(cls)
        return cls

    return enter


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def inner_op(name: str) -> Callable[[type[AnyOp]], type[AnyOp]]:
    """As `op`, for an op that stands in graphs only: no text can call it, so it is not in `OPS`."""

    def enter(cls: type[AnyOp]) -> type[AnyOp]:
        cls.name = name
        return make_record(cls)

    return enter


def param(kind: ParameterKind, default: Any = MISSING, *, choices: tuple[str, ...] = (), doc: str = "") -> Any:
    """A dataclass field that is an argument of the language."""
    metadata = {"kind": kind, "choices": choices, "doc": doc}
    if default is MISSING:
        return field(metadata=metadata)
    return field(default=default, metadata=metadata)


def parameters(cls: type[Op]) -> tuple[Field[Any], ...]:
    """The op's arguments in positional order."""
    return fields(cls)


def axis_names(rank: int) -> tuple[str, ...]:
    """What the axes after the batch are called in messages: channels, height, width ..."""
    return {
        1: ("features",),
        2: ("channels", "length"),
        3: ("channels", "height", "width"),
        4: ("channels", "depth", "height", "width"),
    }.get(rank, tuple(f"axis {i + 1}" for i in range(rank)))


def per_axis(value: int | tuple[int, ...], rank: int, argument: str) -> tuple[int, ...]:
    """One number for every spatial axis, or a list that has one for each."""
    if isinstance(value, int):
        return (value,) * rank
    if len(value) != rank:
        raise ShapeError(
            "argument-length",
            f"`{argument}` has {_count(len(value), 'number', 'numbers')} "
            f"for {_count(rank, 'spatial axis', 'spatial axes')}",
            argument=argument,
        )
    return value


def _count(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"


def only(inputs: tuple[TensorType, ...]) -> TensorType:
    """The single input of a unary op."""
    (value,) = inputs
    return value
