"""Diagnostics as text for people; formats for machines are in `render_data`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from archdsl.language.diagnostics import Diagnostic, Fix, Frame, Severity
from archdsl.language.snippet import draw, escape, text_width
from archdsl.language.source import Source, Span

_ANSI = {
    "error": "1;31",
    "warning": "1;33",
    "note": "1;36",
    "help": "1;32",
    "gutter": "1;34",
    "bold": "1",
    "removed": "31",
    "added": "32",
}
_LEAST_ROOM = 20  # columns a source line gets, however narrow the terminal
_MOST_FRAMES = 8  # names shown of an instantiation stack
_MOST_EDITED = 6  # lines shown of each side of a fix


@dataclass(frozen=True, slots=True)
class _Style:
    """How to print: with or without color, and in how many columns."""

    color: bool
    width: int
    gutter: int = 1  # digits of the largest line number

    def paint(self, text: str, style: str) -> str:
        """The text in a style; the only place that writes terminal codes."""
        return f"\x1b[{_ANSI[style]}m{text}\x1b[0m" if self.color and text else text

    @property
    def room(self) -> int:
        """Columns beside the gutter."""
        return max(_LEAST_ROOM, self.width - self.gutter - len(" | "))

    def row(self, text: str = "", number: int | None = None, bar: str = "|") -> str:
        """A line of the snippet: gutter, bar, text."""
        digits = " " * self.gutter if number is None else f"{number:>{self.gutter}}"
        return f"{self.paint(f'{digits} {bar}', 'gutter')} {text}".rstrip(" ")


@dataclass(frozen=True, slots=True)
class _Mark:
    """Carets or dashes under characters `start` to `end` (0-based) of one line."""

    line: int
    start: int
    end: int
    message: str
    style: str  # the severity for the primary span, "gutter" for a secondary one

    @property
    def sign(self) -> str:
        return "-" if self.style == "gutter" else "^"


def render_text(diagnostics: Sequence[Diagnostic], *, color: bool, width: int) -> str:
    """All findings in the order given, then their number; "" if there are none.

    Source lines are cut to `width` columns. Whatever comes from the user's files is escaped, so
    that it cannot control the terminal.
    """
    if not diagnostics:
        return ""
    style = _Style(color, width)
    return "\n\n".join([*(_diagnostic(d, style) for d in diagnostics), _closing(diagnostics)])


def _closing(diagnostics: Sequence[Diagnostic]) -> str:
    severities: tuple[Severity, ...] = ("error", "warning", "note")
    counts = {name: sum(d.severity == name for d in diagnostics) for name in severities}
    return ", ".join(f"{n} {name}{'s' if n != 1 else ''}" for name, n in counts.items() if n)


def _diagnostic(diagnostic: Diagnostic, style: _Style) -> str:
    marks = _marks(diagnostic)
    numbers = [mark.line for _, found in marks for mark in found]
    if diagnostic.fix:
        fix = diagnostic.fix
        numbers.append(fix.span.line + max(fix.span.text.count("\n"), fix.replacement.count("\n")))
    style = _Style(style.color, style.width, len(str(max(numbers, default=0))))
    return "\n".join(
        [
            _headline(diagnostic, style),
            *_snippets(marks, style),
            *_remarks(diagnostic, style),
            *_advice(diagnostic, style),
        ]
    )


def _headline(diagnostic: Diagnostic, style: _Style) -> str:
    level = style.paint(f"{diagnostic.severity}[{diagnostic.code}]", diagnostic.severity)
    return level + style.paint(f": {escape(diagnostic.message)}", "bold")


def _marks(diagnostic: Diagnostic) -> list[tuple[Source, list[_Mark]]]:
    """What to underline in each file, the file of the primary span first."""
    found: list[tuple[Source, list[_Mark]]] = []
    if diagnostic.span:
        primary = _marks_of(diagnostic.span, diagnostic.label, diagnostic.severity)
        found.append((diagnostic.span.source, primary))
    for label in diagnostic.labels:
        marks = _marks_of(label.span, label.message, "gutter")
        known = next((m for source, m in found if source is label.span.source), None)
        if known is None:
            found.append((label.span.source, marks))
        else:
            known.extend(marks)
    return found


def _marks_of(span: Span, message: str, style: str) -> list[_Mark]:
    """One mark for a span on one line; for a longer span its first and its last line."""
    text = span.text.rstrip()  # a span that ends with its line's newline is not about the next line,
    text = "" if text.startswith(("\n", "\r\n")) else text  # and one that begins with it is about the line's end
    first, start = span.source.position(span.start)
    last, end = span.source.position(span.start + len(text))
    if first == last:
        return [_Mark(first, start - 1, end - 1, message, style)]
    opening = span.source.line(first).rstrip()
    closing = span.source.line(last)
    indent = len(closing) - len(closing.lstrip())
    return [
        _Mark(first, start - 1, len(opening), "", style),
        _Mark(last, indent, end - 1, message, style),
    ]


def _snippets(marks: list[tuple[Source, list[_Mark]]], style: _Style) -> Iterator[str]:
    """The marked lines of each file under its name and the first place marked in it."""
    for index, (source, found) in enumerate(marks):
        if index:
            yield style.row()
        where = escape(f"{source.name}:{found[0].line}:{found[0].start + 1}")
        yield " " * style.gutter + style.paint("-->" if index == 0 else ":::", "gutter") + " " + where
        yield style.row()
        yield from _source_rows(source, found, style)


def _source_rows(source: Source, marks: list[_Mark], style: _Style) -> Iterator[str]:
    """Marked lines in order; a single line between two of them is shown, more become an ellipsis."""
    previous = None
    for number, found in groupby(sorted(marks, key=lambda m: (m.line, m.start)), lambda m: m.line):
        if previous is not None and number == previous + 2:
            yield style.row(draw(source.line(previous + 1), 0, style.room).text, previous + 1)
        elif previous is not None and number > previous + 2:
            yield style.paint("...", "gutter")
        yield from _marked_line(source.line(number), number, list(found), style)
        previous = number


def _marked_line(line: str, number: int, marks: list[_Mark], style: _Style) -> Iterator[str]:
    """The line and a row for each mark; a line too long for its room is drawn anew around each mark."""
    shown = None
    for mark in marks:
        row = draw(line, mark.start, style.room)
        if row != shown:
            yield style.row(row.text, number)
        shown = row
        start = row.column(mark.start)
        carets = mark.sign * max(1, row.column(mark.end) - start)
        yield from (style.row(text) for text in _under(start, carets, mark, style))


def _under(start: int, carets: str, mark: _Mark, style: _Style) -> Iterator[str]:
    """The carets with their label behind them, or below them where it would not fit."""
    message = escape(mark.message)
    indent, painted = " " * start, style.paint(carets, mark.style)
    if not message:
        yield indent + painted
        return
    behind = start + len(carets) + 1 + text_width(message)
    if behind <= style.room:
        yield f"{indent}{painted} {style.paint(message, mark.style)}"
        return
    yield indent + painted
    yield " " * max(0, min(start, style.room - text_width(message))) + style.paint(message, mark.style)


def _remarks(diagnostic: Diagnostic, style: _Style) -> Iterator[str]:
    """Notes and the instantiation stack, each behind a `=`."""
    remarks = list(diagnostic.notes)
    if diagnostic.stack:
        remarks.append(f"in: {_stack(diagnostic.stack, diagnostic.span)}")
    if remarks and (diagnostic.span or diagnostic.labels):
        yield style.row()
    for remark in remarks:
        first, *more = remark.split("\n")
        yield style.row(escape(first), bar="=")
        yield from (style.row("  " + escape(line), bar=" ") for line in more)


def _stack(stack: tuple[Frame, ...], span: Span | None) -> str:
    """`inception_3a (line 41) > b2 (line 9)`: what was entered, and where it was called; long ones are cut."""
    home = span.source if span else stack[0].span.source
    names = [_entered(name, frame, home) for name, frame in zip(stack_names(stack), stack, strict=True)]
    if len(names) > _MOST_FRAMES:
        half = _MOST_FRAMES // 2
        names[half:-half] = [f"({len(names) - 2 * half} more)"]
    return " > ".join(names)


def _entered(name: str, frame: Frame, home: Source) -> str:
    """A frame's name and place; a mere position is told with the block that stands there."""
    block = f"{frame.span.text}, " if name.isdigit() else ""
    line = f"line {frame.span.line}" if frame.span.source is home else f"{frame.span.source.name}:{frame.span.line}"
    return f"{name} ({block}{line})"


def stack_names(stack: tuple[Frame, ...]) -> list[str]:
    """What each frame adds to the path of the one around it: `unit0` for `stage2.unit0` inside `stage2`."""
    outer = ["", *(f"{frame.name}." for frame in stack)]
    return [frame.name.removeprefix(before) for frame, before in zip(stack, outer, strict=False)]


def _advice(diagnostic: Diagnostic, style: _Style) -> Iterator[str]:
    """The help, and the fix as an edit that was tried."""
    fix = diagnostic.fix
    if diagnostic.help and not (fix and fix.message == diagnostic.help):
        yield from _help(diagnostic.help, style)
    if fix:
        yield from _help(f"{fix.message} (checked: no other error follows)", style)
        yield from _edit(fix, diagnostic.span, style)


def _help(text: str, style: _Style) -> Iterator[str]:
    first, *more = text.split("\n")
    yield style.paint("help", "help") + f": {escape(first)}"
    yield from (" " * len("help: ") + escape(line) for line in more)


def _edit(fix: Fix, span: Span | None, style: _Style) -> Iterator[str]:
    """The edited lines before (`-`) and after (`+`)."""
    source = fix.span.source
    if span is None or source is not span.source:
        yield " " * style.gutter + style.paint("-->", "gutter") + " " + escape(str(fix.span))
    first, column = source.position(fix.span.start)
    last, end_column = fix.span.end_position
    before, after = source.line(first)[: column - 1], source.line(last)[end_column - 1 :]
    old = [source.line(number) for number in range(first, last + 1)]
    new = (before + fix.replacement + after).split("\n")
    while old and new and old[-1] == new[-1]:
        old.pop()
        new.pop()
    yield from _edited(old, first, column, "-", style)
    yield from _edited(new, first, column, "+", style)


def _edited(lines: list[str], first: int, column: int, sign: str, style: _Style) -> Iterator[str]:
    for index, line in enumerate(lines[:_MOST_EDITED]):
        row = draw(line.rstrip(), column - 1 if index == 0 else 0, style.room)
        painted = style.paint(row.text, "removed" if sign == "-" else "added")
        yield style.row(painted, first + index, bar=sign)
    if len(lines) > _MOST_EDITED:
        yield style.row(f"({len(lines) - _MOST_EDITED} more lines)", bar=sign)
