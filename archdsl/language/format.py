"""The canonical layout of `.arch` text.

The author decides where lines end, within bounds; spaces, indentation, separators and columns follow from the tokens
alone, so that a new construct of the grammar needs no rule here. `arrange` settles where lines end, `fold` ends more
of them where one is too long, `render` writes them.
"""

from __future__ import annotations

from archdsl.language.format_fold import fold
from archdsl.language.format_lines import WIDTH, render, split
from archdsl.language.format_pieces import CONTINUING, OPERATORS, Piece, pieces
from archdsl.language.limits import Limits
from archdsl.language.source import Source


def format_source(source: Source, limits: Limits, width: int = WIDTH) -> str:
    """The text in canonical layout, in lines of at most `width` characters where they can end before that.

    The tree stays the same. Raises `ArchError` on a syntax error.
    """
    found = arrange(pieces(source, limits))
    while fold(split(found), width):
        found = arrange(found)
    first_line = source.text.partition("\n")[0]
    return render(split(found), "\r\n" if first_line.endswith("\r") else "\n")


def arrange(found: list[Piece]) -> list[Piece]:
    """Settle before which pieces a new line begins, and drop separators and commas that say nothing."""
    kept = _separators(found)
    _restrict(kept)
    _spread(kept)
    kept = _commas(kept)
    for before, piece in zip([Piece(""), *kept], kept, strict=False):
        _trim(before, piece)
    return kept


def _separators(found: list[Piece]) -> list[Piece]:
    """Without each `;` at an end of a line or body; the gap before it joins that of the next piece."""
    kept: list[Piece] = []
    for number, piece in enumerate(found):
        if piece.text == ";" and _needless(piece, kept, found[number + 1 :]):
            _join_gaps(piece, found[number + 1])
        else:
            kept.append(piece)
    return kept


def _needless(piece: Piece, before: list[Piece], after: list[Piece]) -> bool:
    if not before or before[-1].text == "{" or after[0].text in ("", "}", ";"):
        return True
    call = after[0].text in CONTINUING and after[1].text != ":"  # without the `;`, it would continue the statement
    return not call and (piece.starts or after[0].starts)


def _join_gaps(gone: Piece, following: Piece) -> None:
    if following.comments:
        following.comments[0].lines = max(following.comments[0].lines, gone.lines)
    else:
        following.lines = max(following.lines, gone.lines)
    following.comments[:0] = gone.comments


def _restrict(found: list[Piece]) -> None:
    """Inside ( ), [ ] and maps a line ends beside the brackets, after a comma, or at an operator; in a label never.

    No line begins with a comma, or with the `else` of `} else {`.
    """
    open_: list[Piece] = []
    for before, piece in zip([Piece(""), *found], found, strict=False):
        inside = open_[-1] if open_ else None
        if piece.closes:
            open_.pop()
        if piece.text in (",", ";") or (piece.text == "else" and before.body and before.closes):
            piece.lines = 0
        if inside is not None and not inside.body:
            near = before.opens or before.text == "," or piece.closes
            operator = {before.text, piece.text} & OPERATORS and "sign" not in (before.role, piece.role)
            if inside.role == "label" or not (near or operator):
                piece.lines = 0
        if piece.opens:
            open_.append(piece)


def _spread(found: list[Piece]) -> None:
    """Where a line begins inside a body, or at one end of other brackets, lines begin behind and before both ends."""
    open_: list[int] = []
    for number, piece in enumerate(found):
        if piece.opens:
            open_.append(number)
        if not piece.closes:
            continue
        start = open_.pop()
        inside = found[start + 1 : number + 1]
        ends = inside if piece.body else [inside[0], piece]
        over_lines = any(part.starts or "\n" in part.text for part in ends)
        if over_lines and piece.role != "label" and (len(inside) > 1 or piece.comments):
            inside[0].lines = max(inside[0].lines, 1)
            piece.lines = max(piece.lines, 1)
        elif len(inside) == 1:
            piece.lines = 0


def _commas(found: list[Piece]) -> list[Piece]:
    """A comma behind the last item exactly where the closing bracket has a line of its own."""
    kept: list[Piece] = []
    for piece in found:
        last = kept[-1] if kept else Piece("")
        if piece.listed and piece.starts and last.text != "," and not last.opens:
            kept.append(Piece(","))
        elif piece.listed and not piece.starts and last.text == "," and not last.comments:
            kept.pop()
        kept.append(piece)
    return kept


def _trim(before: Piece, piece: Piece) -> None:
    """At most one blank line; none beside brackets or inside a statement."""
    most = 1 if before.opens or piece.closes or piece.continues or not before.text else 2
    for number, comment in enumerate(piece.comments):
        comment.lines = min(comment.lines, 2 if number else most)
    piece.lines = min(piece.lines, 2 if piece.comments else most)
