"""The syntax tree: one frozen node per rule of `grammars/arch.lark`, each with its span."""

from __future__ import annotations

from dataclasses import dataclass

from archdsl.language.source import Source, Span


@dataclass(frozen=True, slots=True)
class Node:
    """Base of all nodes."""

    span: Span


# Expressions ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Expression(Node):
    pass


@dataclass(frozen=True, slots=True)
class Number(Expression):
    """A literal; `value` includes the suffix (`128M` is 128_000_000)."""

    text: str
    value: int | float


@dataclass(frozen=True, slots=True)
class String(Expression):
    value: str


@dataclass(frozen=True, slots=True)
class Name(Expression):
    name: str


@dataclass(frozen=True, slots=True)
class Named(Node):
    """`name = value` in arguments and clauses."""

    name: str
    name_span: Span
    value: Expression


@dataclass(frozen=True, slots=True)
class Arguments(Node):
    positional: tuple[Expression, ...]
    named: tuple[Named, ...]


@dataclass(frozen=True, slots=True)
class Function(Expression):
    name: str
    name_span: Span
    arguments: Arguments


@dataclass(frozen=True, slots=True)
class Incoming(Expression):
    """`in`: the tensor that flows into this place."""


@dataclass(frozen=True, slots=True)
class Path(Node):
    parts: tuple[str, ...]

    @property
    def text(self) -> str:
        return ".".join(self.parts)


@dataclass(frozen=True, slots=True)
class Reference(Expression):
    """`@path`: the tensor that a stage produced."""

    path: Path


@dataclass(frozen=True, slots=True)
class ListLiteral(Expression):
    items: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class MapLiteral(Expression):
    items: tuple[tuple[Expression, Expression], ...]


@dataclass(frozen=True, slots=True)
class Index(Node):
    index: Expression


@dataclass(frozen=True, slots=True)
class Property(Node):
    name: str


@dataclass(frozen=True, slots=True)
class Postfix(Expression):
    base: Expression
    trailers: tuple[Index | Property, ...]


@dataclass(frozen=True, slots=True)
class Unary(Expression):
    """Signs before an operand, outermost first."""

    signs: tuple[str, ...]
    operand: Expression


@dataclass(frozen=True, slots=True)
class Power(Expression):
    """`a ** b ** c`: groups from the right."""

    operands: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Operation(Expression):
    """`first op a op b ...` of one precedence: groups from the left (comparisons chain)."""

    first: Expression
    rest: tuple[tuple[str, Expression], ...]


@dataclass(frozen=True, slots=True)
class Negation(Expression):
    """`not` said `count` times."""

    count: int
    operand: Expression


@dataclass(frozen=True, slots=True)
class Both(Expression):
    operands: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Either(Expression):
    operands: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Choice(Expression):
    """`a if c else b if d else e`: operands a, c, b, d, e."""

    operands: tuple[Expression, ...]


# Elements of a chain --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Element(Node):
    pass


@dataclass(frozen=True, slots=True)
class Call(Element):
    """An op or a block applied to the current value."""

    name: str
    name_span: Span
    arguments: Arguments | None


@dataclass(frozen=True, slots=True)
class ReferenceElement(Element):
    path: Path


@dataclass(frozen=True, slots=True)
class IncomingElement(Element):
    """`in` as an element: the value that flows into the enclosing block or network body."""


@dataclass(frozen=True, slots=True)
class Skip(Element):
    """The identity branch."""


@dataclass(frozen=True, slots=True)
class Body(Node):
    docstring: str | None
    statements: tuple[Statement, ...]


@dataclass(frozen=True, slots=True)
class Braces(Element):
    body: Body


@dataclass(frozen=True, slots=True)
class Combinator(Element):
    """`concat { }` and its kin: every statement of the body is a branch."""

    word: str
    word_span: Span
    arguments: Arguments | None
    body: Body


@dataclass(frozen=True, slots=True)
class Repeat(Element):
    count: Expression
    body: Body


@dataclass(frozen=True, slots=True)
class Loop(Element):
    """`for item in list` or `for index, item in list`."""

    names: tuple[str, ...]
    name_spans: tuple[Span, ...]
    items: Expression
    body: Body


@dataclass(frozen=True, slots=True)
class Conditional(Element):
    branches: tuple[tuple[Expression, Body], ...]
    otherwise: Body | None


@dataclass(frozen=True, slots=True)
class ChosenElement(Element):
    """`a if c else b` between elements: `options` pairs each but the last with its condition."""

    options: tuple[tuple[Element, Expression], ...]
    otherwise: Element


@dataclass(frozen=True, slots=True)
class LabelName(Node):
    """Text and `{expression}` parts of a label in order."""

    parts: tuple[str | Expression, ...]


@dataclass(frozen=True, slots=True)
class Link(Node):
    label: LabelName | None
    element: Element


@dataclass(frozen=True, slots=True)
class Chain(Node):
    links: tuple[Link, ...]


# Clauses and statements -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ClaimNode(Node):
    quantity: str
    quantity_span: Span
    stated: Expression


@dataclass(frozen=True, slots=True)
class Clauses(Node):
    """What may follow a statement: each at most once but `expect`."""

    expects: tuple[ClaimNode, ...] = ()
    origin: Expression | None = None
    training: tuple[Named, ...] | None = None
    preprocess: tuple[Named, ...] = ()


@dataclass(frozen=True, slots=True)
class Statement(Node):
    pass


@dataclass(frozen=True, slots=True)
class Let(Statement):
    name: str
    name_span: Span
    value: Expression


@dataclass(frozen=True, slots=True)
class InputStatement(Statement):
    name: str
    name_span: Span
    dtype: str | None
    shape: ListLiteral
    clauses: Clauses


@dataclass(frozen=True, slots=True)
class Initialize(Statement):
    settings: tuple[Named, ...]


@dataclass(frozen=True, slots=True)
class OutputStatement(Statement):
    name: LabelName
    chain: Chain
    clauses: Clauses


@dataclass(frozen=True, slots=True)
class Stage(Statement):
    chain: Chain
    clauses: Clauses


# Items of a file ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class OneOf(Node):
    values: ListLiteral


@dataclass(frozen=True, slots=True)
class Interval(Node):
    low: Expression
    high: Expression


@dataclass(frozen=True, slots=True)
class TensorDomain(Node):
    pass


Domain = OneOf | Interval | TensorDomain


@dataclass(frozen=True, slots=True)
class Parameter(Node):
    name: str
    domain: Domain | None
    default: Expression | None


@dataclass(frozen=True, slots=True)
class Use(Node):
    path: str


@dataclass(frozen=True, slots=True)
class Block(Node):
    name: str
    name_span: Span
    parameters: tuple[Parameter, ...]
    body: Body


@dataclass(frozen=True, slots=True)
class Network(Node):
    name: str
    name_span: Span
    parameters: tuple[Parameter, ...]
    clauses: Clauses
    body: Body


@dataclass(frozen=True, slots=True)
class Variant(Node):
    """`network resnet50 = resnet(depth = 50)`."""

    name: str
    name_span: Span
    base: str
    base_span: Span
    arguments: Arguments | None
    clauses: Clauses


@dataclass(frozen=True, slots=True)
class Row(Node):
    path: Path
    claims: tuple[ClaimNode, ...]
    because: str | None


@dataclass(frozen=True, slots=True)
class Published(Node):
    title: str
    network: str
    network_span: Span
    settings: Arguments | None
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class File:
    """A parsed file; `docstring` is the string before the first item."""

    source: Source
    docstring: str | None
    uses: tuple[Use, ...]
    lets: tuple[Let, ...]
    blocks: tuple[Block, ...]
    networks: tuple[Network | Variant, ...]
    published: tuple[Published, ...]
