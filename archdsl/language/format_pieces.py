"""What `archdsl fmt` lays out: a file's tokens, each with its role and with what stands before it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from lark import Token, Tree

from archdsl.language.limits import Limits
from archdsl.language.parse import tokens
from archdsl.language.source import Source

OPENERS, CLOSERS = frozenset("([{"), frozenset(")]}")
CLAUSES = frozenset({"expect", "origin", "training", "preprocess", "because"})
#: where a line starts with one of these, it continues the statement before it (CONTINUATION of the grammar)
CONTINUING = frozenset({"->", "expect", "training", "preprocess", "from", "because", "else"})
OPERATORS = frozenset(
    {"+", "-", "*", "/", "//", "%", "**", "==", "!=", "<=", ">=", "<", ">", "and", "or", "if", "else"}
)
WIDE = re.compile(r"[ \t]{2,}\Z")


@dataclass
class Comment:
    """A comment as written; `lines` counts the line ends before it, of which 0 leaves it behind a token."""

    text: str
    lines: int


@dataclass
class Piece:
    """A token. `lines` counts the line ends before it: 0 none, 1 a new line, 2 a blank line too.

    `role` says what its text alone does not: a `sign`, a bracket that belongs to what precedes it (`attached`), a
    brace of a `label` or `map`, the first word of a `clause`, the name of a `setting`. `continues` marks what may go on
    with a statement on a new line, `listed` a closing bracket before which a comma may stand, `wide` an author's gap
    of two spaces or more.
    """

    text: str
    role: str = ""
    continues: bool = False
    listed: bool = False
    lines: int = 0
    wide: bool = False
    comments: list[Comment] = field(default_factory=list)

    @property
    def starts(self) -> bool:
        """Whether it is the first of a line."""
        return bool(self.lines or self.comments)

    @property
    def opens(self) -> bool:
        return self.text in OPENERS

    @property
    def closes(self) -> bool:
        return self.text in CLOSERS

    @property
    def body(self) -> bool:
        """Whether it is a brace around statements, settings, rules or rows."""
        return self.text in ("{", "}") and not self.role


def pieces(source: Source, limits: Limits) -> list[Piece]:
    """The file's tokens and, as a last piece without text, its end; raises `ArchError` where it does not parse."""
    found, tree = tokens(source, limits)
    roles, listed = _roles(tree)
    made, end = [], 0
    for token in found:
        assert token.start_pos is not None
        assert token.end_pos is not None
        start = token.start_pos
        continues = token in CONTINUING and token.type != "NAME"  # a name where `from: conv(3)` labels something
        piece = Piece(str(token), roles.get(start, ""), continues, start in listed)
        made.append(_with_gap(piece, source.text[end:start]))
        end = token.end_pos
    return [*made, _with_gap(Piece(""), source.text[end:])]


def _with_gap(piece: Piece, gap: str) -> Piece:
    """Reads comments and line ends off what stands between two tokens."""
    lines = 0
    for number, line in enumerate(gap.split("\n")):
        lines += number > 0
        if line.strip().startswith("#"):
            piece.comments.append(Comment(line.strip(), lines))
            lines = 0
    piece.lines = lines
    piece.wide = WIDE.search(gap) is not None
    return piece


def _roles(tree: Tree[Token]) -> tuple[dict[int, str], set[int]]:
    """Roles by the offset of the token, and offsets of brackets before which a comma may stand."""
    roles: dict[int, str] = {}
    listed: set[int] = set()
    for node in tree.iter_subtrees():
        for start, role in _roles_of(node):
            roles.setdefault(start, role)
        if node.data in ("arguments", "parameters", "list", "map"):
            listed.add(node.meta.end_pos - 1)
    for table in tree.find_data("published"):  # `of googlenet (K = 1024)`: settings of the table, not of the network
        for child in table.children:
            if isinstance(child, Tree) and child.data == "arguments":
                del roles[child.meta.start_pos]
    return roles, listed


def _roles_of(node: Tree[Token]) -> Iterator[tuple[int, str]]:
    if node.data in ("unary", "exponent"):
        signs = (kid for kid in node.children if isinstance(kid, Token) and kid.type in ("PLUS", "MINUS"))
        yield from ((sign.start_pos or 0, "sign") for sign in signs)
    elif node.data in ("arguments", "parameters", "index", "word"):
        yield node.meta.start_pos, "attached"
    elif node.data == "computed":
        yield from ((kid.start_pos or 0, "attached") for kid in node.children[1:] if isinstance(kid, Token))
    elif node.data in ("interpolation", "map"):
        role = "label" if node.data == "interpolation" else "map"
        yield node.meta.start_pos, role
        yield node.meta.end_pos - 1, role
    elif node.data in CLAUSES:
        yield node.meta.start_pos, "clause"
    elif node.data == "setting":
        yield node.meta.start_pos, "setting"
