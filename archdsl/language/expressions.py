"""Syntax nodes of expressions, and what all nodes share."""

from __future__ import annotations

from typing import TypeVar, dataclass_transform

from archdsl.language.records import Record, make_record
from archdsl.language.source import Span

T = TypeVar("T")


@dataclass_transform(frozen_default=True, eq_default=False)
def node(cls: type[T]) -> type[T]:
    """A record that is compared by identity: two statements of the same text are two statements."""
    return make_record(cls)


@node
class Node(Record):
    """Base of all nodes."""

    span: Span

    __eq__ = object.__eq__
    __hash__ = object.__hash__


# Expressions ----------------------------------------------------------------------------------------------------------


@node
class Expression(Node):
    """What has a value."""


@node
class Number(Expression):
    """A literal; `value` includes the suffix (`128M` is 128_000_000)."""

    text: str
    value: int | float


@node
class String(Expression):
    """A string literal without its quotes."""

    value: str


@node
class Name(Expression):
    """A name that stands for a value."""

    name: str


@node
class Named(Node):
    """`name = value` in arguments and clauses."""

    name: str
    name_span: Span
    value: Expression


@node
class Rule(Node):
    """`kind "text" = "new"` of `weights { }`: strings as they stand there, a backslash being a backslash."""

    kind: str
    kind_span: Span
    text: str
    text_span: Span
    to: str | None


@node
class Arguments(Node):
    """Arguments of a call, positional ones first."""

    positional: tuple[Expression, ...]
    named: tuple[Named, ...]


@node
class Function(Expression):
    """A call of a function of the expression language."""

    name: str
    name_span: Span
    arguments: Arguments


@node
class Incoming(Expression):
    """`in`: the tensor that flows into this place."""


@node
class LabelName(Node):
    """Text and `{expression}` parts of a label, or of a part of a path, in order."""

    parts: tuple[str | Expression, ...]


@node
class Path(Node):
    """A dotted path; digits are positions. One whose first part is empty, `@.conv`, begins at the block's own scope.

    Parts with expressions in them are those of a reference, `@enc{i}`, before it is looked up.
    """

    parts: tuple[str | LabelName, ...]

    @property
    def from_root(self) -> bool:
        return not self.parts[0]

    @property
    def text(self) -> str:
        return ".".join(part if isinstance(part, str) else part.span.text for part in self.parts)


@node
class Reference(Expression):
    """`@path`: the tensor that a stage produced."""

    path: Path


@node
class ListLiteral(Expression):
    """`[a, b]`."""

    items: tuple[Expression, ...]


@node
class MapLiteral(Expression):
    """`{a: b}`."""

    items: tuple[tuple[Expression, Expression], ...]


@node
class Index(Node):
    """`[index]` behind a value."""

    index: Expression


@node
class Property(Node):
    """`.name` behind a value."""

    name: str


@node
class Postfix(Expression):
    """A value with indices and properties behind it."""

    base: Expression
    trailers: tuple[Index | Property, ...]


@node
class Unary(Expression):
    """Signs before an operand, outermost first."""

    signs: tuple[str, ...]
    operand: Expression


@node
class Power(Expression):
    """`a ** b ** c`: groups from the right."""

    operands: tuple[Expression, ...]


@node
class Operation(Expression):
    """`first op a op b ...` of one precedence: groups from the left (comparisons chain)."""

    first: Expression
    rest: tuple[tuple[str, Expression], ...]


@node
class Negation(Expression):
    """`not` said `count` times."""

    count: int
    operand: Expression


@node
class Both(Expression):
    """`a and b and ...`."""

    operands: tuple[Expression, ...]


@node
class Either(Expression):
    """`a or b or ...`."""

    operands: tuple[Expression, ...]


@node
class Choice(Expression):
    """`a if c else b if d else e`: operands a, c, b, d, e."""

    operands: tuple[Expression, ...]
