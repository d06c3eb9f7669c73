"""Pieces to lines: indentation by brackets, one space or none between tokens, and columns where the author has them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from archdsl.language.format_pieces import Piece

WIDTH = 120
INDENT = 4
#: values of settings stand in one column behind the longest, `augmentation:`, so that adding one moves no other
SETTING = len("augmentation: ")
CLOSE_BEFORE = frozenset({",", ";", ":", ".", ")", "]"})
CLOSE_AFTER = frozenset({"(", "[", "@", "."})


@dataclass
class Line:
    """A line to be; without pieces it is a comment. `listed`: it lies inside ( ), [ ] or a map."""

    indent: int
    pieces: list[Piece]
    note: str = ""
    blank: bool = False
    listed: bool = False

    @property
    def cells(self) -> list[str]:
        """The text in the parts that columns align: split where the author left a gap before a clause or comment."""
        if not self.pieces:
            return [" " * self.indent + self.note]
        found = [" " * self.indent + self.pieces[0].text]
        for number, (before, piece) in enumerate(pairwise(self.pieces)):
            if piece.wide and piece.role == "clause":
                found.append(piece.text)
                continue
            if number == 1 and self.pieces[0].role == "setting":
                found[-1] = found[-1].ljust(self.indent + SETTING - 1)
            found[-1] += " " * spaced(before, piece) + piece.text
        return [*found, self.note] if self.note else found

    @property
    def opens(self) -> bool:
        """Whether it ends in a bracket, so that its comment is about what follows."""
        return bool(self.pieces) and self.pieces[-1].opens

    @property
    def width(self) -> int:
        """Columns that the line takes on its own, its comment left out."""
        cells = self.cells[:-1] if self.note and self.pieces else self.cells
        text = ""
        for cell in cells:
            text = text.ljust(column([text])) + cell if text else cell
        return len(text)


@dataclass
class Frame:
    """An open bracket: how far its content and its closing bracket are indented."""

    content: int
    base: int
    listed: bool


def spaced(before: Piece, piece: Piece) -> bool:
    """Whether a space stands between two tokens of one line."""
    if piece.text in CLOSE_BEFORE or piece.role == "attached":
        return False
    if before.text in CLOSE_AFTER or before.role == "sign":
        return False
    if "label" in (before.role, piece.role):  # `conv{i + 1}_x`
        return piece.role != "label" and before.text == "}"
    if "map" in (before.role if before.opens else "", piece.role if piece.closes else ""):
        return False
    return not (before.text == "{" and piece.text == "}")


def split(found: list[Piece]) -> list[Line]:
    """The lines of arranged pieces; the last piece is the file's end."""
    lines: list[Line] = []
    frames = [Frame(0, 0, False)]
    previous = Piece("")
    for piece in found:
        indent = _indent(previous, piece, frames[-1])
        beside = frames[-1].content if piece.closes else indent
        _comments(piece, beside, lines)
        if piece.text and (piece.starts or not lines or not previous.text):
            lines.append(Line(indent, [], "", piece.lines > 1, frames[-1].listed and not piece.closes))
        if piece.text:
            lines[-1].pieces.append(piece)
        if piece.opens:
            base = 0 if piece.body and len(frames) == 1 else lines[-1].indent
            frames.append(Frame(base + INDENT, base, not piece.body))
        elif piece.closes:
            frames.pop()
        previous = piece
    return lines


def _indent(previous: Piece, piece: Piece, frame: Frame) -> int:
    """Where the piece stands if a line begins with it."""
    if piece.closes:
        return frame.base
    continued = not frame.listed and (piece.continues or previous.text == ",")
    return frame.content + INDENT * continued


def _comments(piece: Piece, indent: int, lines: list[Line]) -> None:
    for comment in piece.comments:
        if not comment.lines and lines and lines[-1].pieces:
            lines[-1].note = comment.text
        else:
            lines.append(Line(indent, [], comment.text, comment.lines > 1))


def render(lines: list[Line], end: str) -> str:
    """The text, each line with its `end`; a blank line where one is due."""
    texts = _aligned(lines)
    return "".join(end * line.blank + text + end for line, text in zip(lines, texts, strict=True))


def column(texts: list[str]) -> int:
    """The column behind all the texts: the next multiple of four that leaves four spaces."""
    return -(-(max(map(len, texts)) + INDENT) // INDENT) * INDENT


def _aligned(lines: list[Line]) -> list[str]:
    """Each line's text: the cells of lines near each other stand in common columns where all of them fit."""
    cells = [line.cells for line in lines]
    texts = [parts.pop(0) for parts in cells]
    while any(cells):
        for run in _runs(lines, cells):
            notes = [len(cells[i]) == 1 and bool(lines[i].note) for i in run]
            common = column([texts[i] for i in run])
            fits = all(note or common + len(cells[i][0]) <= WIDTH for i, note in zip(run, notes, strict=True))
            for i in run:
                texts[i] = texts[i].ljust(common if fits else column([texts[i]])) + cells[i].pop(0)
    return texts


def _runs(lines: list[Line], cells: list[list[str]]) -> Iterator[list[int]]:
    """Lines that have a further cell each, in a stretch of one indentation without blank lines and open brackets."""
    run: list[int] = []
    for i, line in enumerate(lines):
        if run and (line.blank or line.opens or lines[run[-1]].opens or line.indent != lines[run[-1]].indent):
            yield run
            run = []
        if cells[i]:
            run.append(i)
    if run:
        yield run
