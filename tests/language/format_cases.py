"""Other layouts of a text: the same tokens with other spaces, line ends, comments and separators between them."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

from archdsl.language.format_lines import spaced
from archdsl.language.format_pieces import Piece, pieces
from archdsl.language.limits import Limits
from archdsl.language.records import Record
from archdsl.language.source import Source, Span

Choose = Callable[[list[str]], str]
SPACES = [" ", " ", "  ", "     ", "\t"]
BREAKS = ["\n", "\n", "\r\n", "\n\n", "\n\n\n\n", "  # why\n", "#\n#! {\n", "\n  # it's \"\n\n"]


def outline(node: object) -> object:
    """A tree without the places where its nodes stand, to compare."""
    if isinstance(node, Span | Source):
        return None
    if isinstance(node, Record):
        return (type(node).__name__, *(outline(getattr(node, name)) for name in node._fields))
    if isinstance(node, tuple):
        return tuple(map(outline, node))
    return node


def scrambled(text: str, choose: Choose) -> str:
    """The text in a layout that nobody would write; `choose` picks one of several strings."""
    found = pieces(Source("text", text), Limits())
    parts = [choose(["", "# first\n", "\n\n \n"]), found[0].text]
    open_ = [found[0]] if found[0].opens else []
    for before, piece in pairwise(found):
        if piece.closes:
            closed = open_.pop()
            parts.append(_comma(before, piece, closed, choose))
        parts += [_gap(before, piece, open_, choose), piece.text]
        if piece.opens:
            open_.append(piece)
    return "".join(parts)


def _comma(before: Piece, piece: Piece, opened: Piece, choose: Choose) -> str:
    return choose(["", ","]) if piece.listed and before is not opened and before.text != "," else ""


def _gap(before: Piece, piece: Piece, open_: list[Piece], choose: Choose) -> str:
    space = choose(SPACES) if spaced(before, piece) else choose(["", "", " ", "   "])
    bracketed = bool(open_) and (open_[-1].text in "([" or piece.text in ")]")
    if bracketed and piece.text not in "{":
        return choose([space, space, space, space + choose(BREAKS)])
    if not piece.starts or piece.text == "":
        after = before.text == "," and not (open_ and open_[-1].role)
        return space + (choose(BREAKS) if after and choose(["yes", "no", "no"]) == "yes" else "")
    if piece.continues:
        return choose(["  ", choose(BREAKS)])
    separator = choose(["", "", ";", ";;", " ;\n;"]) if not (open_ and open_[-1].role) and before.text else ""
    return space + separator + choose(BREAKS) + choose(["", "\t", "   "])
