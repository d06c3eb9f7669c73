"""Source lines as a terminal shows them: tabs, wide characters, escapes, and a window into long lines."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

TAB_STOP = 4
ELLIPSIS = "..."


@dataclass(frozen=True, slots=True)
class Row:
    """A printed piece of a source line.

    `columns[i]` is the printed column (0-based) of the character with index `first + i`; the entry
    after the last one is the column just past it.
    """

    text: str
    columns: tuple[int, ...]
    first: int

    def column(self, index: int) -> int:
        """Printed column of a character index of the whole line, held inside what is shown."""
        return self.columns[min(max(index - self.first, 0), len(self.columns) - 1)]


def escape(text: str) -> str:
    r"""The text on one line with everything invisible spelled out (`\x1b`, `\u202e`, `\n`).

    Nothing that reaches a terminal through here can move its cursor, change its colors or reorder
    what is read: only characters that Unicode calls printable pass, and the plain space.
    """
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else _escaped(char) for char in text)


def text_width(text: str) -> int:
    """Terminal columns of printable text: combining marks take none, East Asian wide characters two."""
    return len(text) if text.isascii() else sum(map(_char_width, text))


def draw(line: str, focus: int, room: int) -> Row:
    """The line as printed in `room` columns; a longer one becomes a window in which `focus` can be seen.

    Takes time proportional to `room`, not to the length of the line.
    """
    if len(line) <= room:
        row = _print(line, 0)
        if row.columns[-1] <= room:
            return row
    focus = min(focus, len(line))
    behind = _fitting(reversed(line[max(0, focus - room) : focus]), room * 2 // 3)
    start = 0 if behind == focus else focus - _fitting(reversed(line[focus - behind : focus]), room // 3)
    end = start + _fitting(line[start : start + room], _room(room, start))
    if end < len(line):
        return _window(line, start, start + _fitting(line[start:end], _room(room, start) - len(ELLIPSIS)))
    return _window(line, len(line) - _fitting(reversed(line[-room:]), room - len(ELLIPSIS)), len(line))


def _room(room: int, start: int) -> int:
    """What is left of it behind the ellipsis that a window beginning at `start` needs."""
    return room - len(ELLIPSIS) if start else room


def _window(line: str, start: int, end: int) -> Row:
    """Characters `start` to `end`, with an ellipsis on each side where something was left out."""
    row = _print(line[start:end], start)
    before = ELLIPSIS if start > 0 else ""
    after = ELLIPSIS if end < len(line) else ""
    columns = tuple(column + len(before) for column in row.columns)
    return Row(before + row.text + after, columns, start)


def _print(text: str, first: int) -> Row:
    column, shown, columns = 0, [], []
    for char in text:
        piece = _shown(char, column)
        shown.append(piece)
        columns.append(column)
        column += text_width(piece)
    return Row("".join(shown), (*columns, column), first)


def _shown(char: str, column: int) -> str:
    if char == "\t":
        return " " * (TAB_STOP - column % TAB_STOP)
    return char if char.isprintable() else _escaped(char)


def _fitting(chars: Iterable[str], room: int) -> int:
    """How many of the characters fit into `room` columns at the most each of them can take."""
    count = used = 0
    for char in chars:
        used += _most_columns(char)
        if used > room:
            break
        count += 1
    return count


def _most_columns(char: str) -> int:
    return TAB_STOP if char == "\t" else text_width(_shown(char, 0))


def _escaped(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")


def _char_width(char: str) -> int:
    if unicodedata.category(char) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(char) in ("W", "F") else 1
