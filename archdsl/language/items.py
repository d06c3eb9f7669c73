"""Syntax nodes of a file's items: blocks, networks, variants, tables and what they declare."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archdsl.language.expressions import Arguments, Expression, ListLiteral, Node, Path, node
from archdsl.language.records import Record
from archdsl.language.source import Source, Span

if TYPE_CHECKING:
    from archdsl.language.syntax import Body, ClaimNode, Clauses, Let


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
class File(Record):
    """A parsed file; `docstring` is the string before the first item."""

    source: Source
    docstring: str | None
    uses: tuple[Use, ...]
    lets: tuple[Let, ...]
    blocks: tuple[Block, ...]
    networks: tuple[Network | Variant, ...]
    published: tuple[Published, ...]
