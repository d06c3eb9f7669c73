"""The syntax tree: one frozen node per rule of `grammars/arch.lark`, each with its span."""

from __future__ import annotations

from archdsl.language.expressions import (
    Arguments,
    Both,
    Choice,
    Either,
    Expression,
    Function,
    Incoming,
    Index,
    ListLiteral,
    MapLiteral,
    Name,
    Named,
    Negation,
    Node,
    Number,
    Operation,
    Path,
    Postfix,
    Power,
    Property,
    Reference,
    String,
    Unary,
    node,
)
from archdsl.language.source import Source, Span

#: all nodes, so that one name (`syntax as s`) reaches every one
__all__ = [
    "Arguments", "Block", "Body", "Both", "Braces", "Call", "Chain", "Choice", "ChosenElement", "ClaimNode",
    "Clauses", "Combinator", "Conditional", "Domain", "Either", "Element", "Expression", "File", "Function",
    "Incoming", "IncomingElement", "Index", "Initialize", "InputStatement", "Interval", "LabelName", "Let", "Link",
    "ListLiteral", "Loop", "MapLiteral", "Name", "Named", "Negation", "Network", "Node", "Number", "OneOf",
    "Operation", "OutputStatement", "Parameter", "Path", "Postfix", "Power", "Property", "Published", "Reference",
    "ReferenceElement", "Repeat", "Row", "Skip", "Stage", "Statement", "String", "TensorDomain", "Train", "Unary",
    "Use", "Variant",
]  # fmt: skip

# Elements of a chain --------------------------------------------------------------------------------------------------


@node
class Element(Node):
    """A link of a chain: what the current value flows through."""


@node
class Call(Element):
    """An op or a block applied to the current value."""

    name: str
    name_span: Span
    arguments: Arguments | None


@node
class ReferenceElement(Element):
    """`@path` as an element."""

    path: Path


@node
class IncomingElement(Element):
    """`in` as an element: the value that flows into the enclosing block or network body."""


@node
class Skip(Element):
    """The identity branch."""


@node
class Body(Node):
    """Statements in braces."""

    docstring: str | None
    statements: tuple[Statement, ...]


@node
class Braces(Element):
    """Bare braces: a body in place of an element."""

    body: Body


@node
class Combinator(Element):
    """`concat { }` and its kin: every statement of the body is a branch."""

    word: str
    word_span: Span
    arguments: Arguments | None
    body: Body


@node
class Repeat(Element):
    """`repeat n { }`."""

    count: Expression
    body: Body


@node
class Loop(Element):
    """`for item in list` or `for index, item in list`."""

    names: tuple[str, ...]
    name_spans: tuple[Span, ...]
    items: Expression
    body: Body


@node
class Conditional(Element):
    """`if c { } else if d { } else { }`."""

    branches: tuple[tuple[Expression, Body], ...]
    otherwise: Body | None


@node
class ChosenElement(Element):
    """`a if c else b` between elements: `options` pairs each but the last with its condition."""

    options: tuple[tuple[Element, Expression], ...]
    otherwise: Element


@node
class LabelName(Node):
    """Text and `{expression}` parts of a label in order."""

    parts: tuple[str | Expression, ...]


@node
class Link(Node):
    """An element of a chain, with its label if it has one."""

    label: LabelName | None
    element: Element


@node
class Chain(Node):
    """`a -> b -> c`."""

    links: tuple[Link, ...]


# Clauses and statements -----------------------------------------------------------------------------------------------


@node
class ClaimNode(Node):
    """`quantity = stated`."""

    quantity: str
    quantity_span: Span
    stated: Expression


@node
class Clauses(Node):
    """What may follow a statement: each at most once but `expect`."""

    expects: tuple[ClaimNode, ...] = ()
    origin: Expression | None = None
    training: tuple[Named, ...] | None = None
    preprocess: tuple[Named, ...] = ()


@node
class Statement(Node):
    """A line of a body."""


@node
class Let(Statement):
    """`let name = value`."""

    name: str
    name_span: Span
    value: Expression


@node
class InputStatement(Statement):
    """`input name: dtype [shape]`."""

    name: str
    name_span: Span
    dtype: Name | None
    shape: ListLiteral
    clauses: Clauses


@node
class Initialize(Statement):
    """`initialize conv = he_normal, bias = zeros`."""

    settings: tuple[Named, ...]


@node
class Train(Statement):
    """`train { setting: value }`: the recipe beside the network."""

    settings: tuple[Named, ...]


@node
class OutputStatement(Statement):
    """`output name: chain`."""

    name: LabelName
    chain: Chain
    clauses: Clauses


@node
class Stage(Statement):
    """A chain with its clauses."""

    chain: Chain
    clauses: Clauses


# Items of a file ------------------------------------------------------------------------------------------------------


@node
class OneOf(Node):
    """`one of [a, b]`."""

    values: ListLiteral


@node
class Interval(Node):
    """`low .. high`."""

    low: Expression
    high: Expression


@node
class TensorDomain(Node):
    """`tensor`."""


Domain = OneOf | Interval | TensorDomain


@node
class Parameter(Node):
    """A parameter of a block or network."""

    name: str
    domain: Domain | None
    default: Expression | None


@node
class Use(Node):
    """`use "file"`."""

    path: str


@node
class Block(Node):
    """`block name(parameters) { }`."""

    name: str
    name_span: Span
    parameters: tuple[Parameter, ...]
    body: Body


@node
class Network(Node):
    """`network name(parameters) { }`."""

    name: str
    name_span: Span
    parameters: tuple[Parameter, ...]
    clauses: Clauses
    body: Body


@node
class Variant(Node):
    """`network resnet50 = resnet(depth = 50)`."""

    name: str
    name_span: Span
    base: str
    base_span: Span
    arguments: Arguments | None
    clauses: Clauses


@node
class Row(Node):
    """`path: claims because "..."`."""

    path: Path
    claims: tuple[ClaimNode, ...]
    because: str | None


@node
class Published(Node):
    """`published "title" of network (K = 1024) { }`."""

    title: str
    network: str
    network_span: Span
    settings: Arguments | None
    rows: tuple[Row, ...]


@node
class File:
    """A parsed file; `docstring` is the string before the first item."""

    source: Source
    docstring: str | None
    uses: tuple[Use, ...]
    lets: tuple[Let, ...]
    blocks: tuple[Block, ...]
    networks: tuple[Network | Variant, ...]
    published: tuple[Published, ...]
