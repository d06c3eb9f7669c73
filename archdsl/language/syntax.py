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
    LabelName,
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
    Rule,
    String,
    Unary,
    node,
)
from archdsl.language.items import (
    Block,
    Domain,
    File,
    Interval,
    Network,
    OneOf,
    Parameter,
    Published,
    Row,
    TensorDomain,
    Use,
    Variant,
)
from archdsl.language.source import Span

#: all nodes, so that one name (`syntax as s`) reaches every one
__all__ = [
    "Arguments", "Assign", "Block", "Body", "Both", "Braces", "Call", "Chain", "Choice", "ChosenElement",
    "ClaimNode", "Clauses", "Combinator", "Conditional", "Dimension", "Domain", "Either", "Element", "Expression",
    "File", "Function", "Incoming", "IncomingElement", "Index", "Initialize", "InputStatement", "Interval",
    "LabelName", "Let", "Link", "ListLiteral", "Loop", "MapLiteral", "ModuleStatement", "Name", "Named", "Negation",
    "Network", "Node", "Number", "OneOf", "Operation", "OutputStatement", "Parameter", "Path", "Postfix", "Power",
    "Property", "Published", "Recur", "Reference", "ReferenceElement", "Repeat", "Results", "Row", "Rule", "Skip",
    "Stage", "State", "Statement", "Step", "String", "TensorDomain", "Train", "Unary", "Use", "Variant", "Weights",
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
class State(Node):
    """`name = element` of a `recur`: what the state is before the first step."""

    name: str
    initial: Element


@node
class Recur(Element):
    """`recur over time with states { }`."""

    word_span: Span
    states: tuple[State, ...]
    body: Body


@node
class Results(Node):
    """`as a, b`: names for the results of an element, in order."""

    names: tuple[str, ...]
    name_spans: tuple[Span, ...]


@node
class Link(Node):
    """An element of a chain, with its label and the names of its results if it has some."""

    label: LabelName | None
    element: Element
    results: Results | None = None


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
class Step(Node):
    """`by 32`."""

    value: Expression


@node
class Dimension(Expression):
    """`H = 224` or `H: 32 .. 512 by 32 = 224` in an input's shape."""

    name: str
    low: Expression | None
    high: Expression | None
    step: Expression | None
    nominal: Expression | None


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
class Weights(Statement):
    """`weights { kind "old" = "new" }`: how a checkpoint's names become the network's."""

    rules: tuple[Rule, ...]


@node
class OutputStatement(Statement):
    """`output name: chain`."""

    name: LabelName
    chain: Chain
    clauses: Clauses


@node
class ModuleStatement(Statement):
    """`module name: chain`: weights that every use of the name applies."""

    name: str
    name_span: Span
    chain: Chain
    clauses: Clauses


@node
class Assign(Statement):
    """`state = chain`: what a state of a `recur` is in the next step."""

    name: LabelName
    chain: Chain


@node
class Stage(Statement):
    """A chain with its clauses."""

    chain: Chain
    clauses: Clauses
