"""Where a line that is too long may end sooner: before a clause, inside braces, before `->`, inside brackets."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from archdsl.language.format_lines import WIDTH, Line, spaced
from archdsl.language.format_pieces import Piece

Group = list[tuple[int, Piece]]
MOST_LISTS = 8


def fold(lines: Iterable[Line], width: int) -> bool:
    """Begin new lines in those that are too long, each by the first rule that applies; whether there were any."""
    marked = [piece for line in lines if line.width > width for piece in _breaks(line)]
    for piece in marked:
        piece.lines = 1
    return bool(marked)


def _breaks(line: Line) -> list[Piece]:
    """The pieces before which the line ends."""
    if any("\n" in piece.text for piece in line.pieces):
        return []  # a docstring's lines are its own
    depths = _depths(line.pieces)
    return next(filter(None, (rule(line, depths) for rule in RULES)), [])


def _depths(found: list[Piece]) -> list[int]:
    """How many brackets of this line are open around each piece; a bracket itself stands outside."""
    depths, depth = [], 0
    for piece in found:
        depth = max(depth - piece.closes, 0)
        depths.append(depth)
        depth += piece.opens
    return depths


def _outside(line: Line, depths: list[int]) -> Group:
    """Pieces that stand in no bracket of this line, but the first."""
    return [(i, piece) for i, piece in enumerate(line.pieces) if i and not depths[i]]


def _groups(line: Line, depths: list[int], body: bool) -> list[list[Piece]]:
    """What stands inside each outermost pair of brackets, the closing one included."""
    found, start = [], None
    for i, piece in enumerate(line.pieces):
        if depths[i]:
            continue
        if piece.opens and piece.body == body:
            start = i
        elif piece.closes and start is not None:
            found.append((start, i))
            start = None
    return [line.pieces[start + 1 : end + 1] for start, end in found if end > start + 1]


def _clause(line: Line, depths: list[int]) -> list[Piece]:
    """The first clause, and each after it that does not fit."""
    starts = [piece for _, piece in _outside(line, depths) if piece.role == "clause"]
    return [*starts[:1], *_overflowing(line, starts[1:], starts[:1])]


def _else(line: Line, depths: list[int]) -> list[Piece]:
    """The alternatives of `a if c else b`."""
    words = [(i, piece) for i, piece in _outside(line, depths) if piece.text == "else" and piece.continues]
    return [piece for i, piece in words if not (line.pieces[i - 1].body and line.pieces[i - 1].closes)]


def _bodies(line: Line, depths: list[int]) -> list[Piece]:
    """All one-line bodies of the line: each statement gets a line of its own."""
    return [piece for group in _groups(line, depths, True) for piece in _statements(group)]


def _statements(group: list[Piece]) -> list[Piece]:
    depths = _depths(group)
    after = [group[i + 1] for i, piece in enumerate(group) if piece.text == ";" and not depths[i]]
    return [group[0], *after, group[-1]]


def _links(line: Line, depths: list[int]) -> list[Piece]:
    return [piece for _, piece in _outside(line, depths) if piece.text == "->"]


def _list(line: Line, depths: list[int]) -> list[Piece]:
    """The longest list of arguments or items: its content gets a line of its own. Among many lists there is none."""
    lists = [group for group in _groups(line, depths, False) if group[-1].listed]
    if len(lists) > MOST_LISTS:
        return []
    longest = max(lists, key=lambda group: sum(len(piece.text) for piece in group), default=[])
    return [longest[0], longest[-1]] if longest else []


def _items(line: Line, depths: list[int]) -> list[Piece]:
    """Inside brackets that are laid out over lines: a new line where the next item does not fit."""
    if not line.listed:
        return []
    commas = [i for i, piece in enumerate(line.pieces[:-1]) if piece.text == "," and not depths[i]]
    return _overflowing(line, [line.pieces[i + 1] for i in commas], [])


def _overflowing(line: Line, starts: list[Piece], begin: list[Piece]) -> list[Piece]:
    """Those pieces of a line, each the start of a part, where the part does not fit behind the others of its line."""
    known, fresh = {id(piece) for piece in starts}, {id(piece) for piece in begin}
    found: list[Piece] = []
    width, part = line.indent, 0
    start: Piece | None = None
    for before, piece in zip([Piece(""), *line.pieces], line.pieces, strict=False):
        if id(piece) in fresh:
            width, part, start = line.indent, 0, None
        if id(piece) in known:
            width, part, start = width + part, 0, piece
        part += spaced(before, piece) + len(piece.text)
        if start is not None and width + part > WIDTH:
            found.append(start)
            width, start = line.indent, None
    return found


RULES: tuple[Callable[[Line, list[int]], list[Piece]], ...] = (_clause, _else, _bodies, _links, _items, _list)
