"""Diagnostics as data: what is wrong, where, why, and a fix that was tried before it is offered."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from archdsl.language.records import Record, record
from archdsl.language.source import Span

Severity = Literal["error", "warning", "note"]


@record
class Label(Record):
    """A second place that matters, with what happens there."""

    span: Span
    message: str


@record
class Fix(Record):
    """An edit of the source; `message` says what it achieves."""

    message: str
    span: Span
    replacement: str

    def apply(self) -> str:
        """The whole source text after the edit."""
        text = self.span.source.text
        return text[: self.span.start] + self.replacement + text[self.span.end :]


@record
class Frame(Record):
    """One step of the instantiation stack: what was entered, and where it was called."""

    name: str
    span: Span


@record
class Diagnostic(Record):
    """One finding.

    `message` stands alone (lowercase, names in backticks, the problem first); `label` is the words
    beside the carets; `labels` are further places; `notes` carry numbers; `help` says what to do;
    `fix` is an edit after which the checker was seen to report nothing new.
    """

    code: str
    message: str
    span: Span | None = None
    severity: Severity = "error"
    label: str = ""
    labels: tuple[Label, ...] = ()
    notes: tuple[str, ...] = ()
    help: str | None = None
    fix: Fix | None = None
    stack: tuple[Frame, ...] = ()

    @property
    def key(self) -> tuple[str, object, object]:
        """Diagnostics with equal keys are one finding met again in another instance."""
        if self.span is None:
            return (self.code, None, self.message)
        return (self.code, self.span.source.name, (self.span.start, self.span.end))


class ArchError(Exception):
    """The input was rejected. `diagnostics` says why: code, message, span, notes, help, fix."""

    def __init__(self, diagnostics: list[Diagnostic]) -> None:
        self.diagnostics = diagnostics
        super().__init__("\n".join(_one_line(d) for d in diagnostics))

    def __reduce__(self) -> tuple[type[ArchError], tuple[list[Diagnostic]]]:
        """Made again of the diagnostics, so that it comes out of another process whole."""
        return ArchError, (self.diagnostics,)


def in_order(diagnostics: list[Diagnostic]) -> list[Diagnostic]:
    """From top to bottom of each file, so that they can be worked off; files as they first appear."""
    names = [diagnostic.span.source.name if diagnostic.span else "" for diagnostic in diagnostics]
    rank = {name: number for number, name in enumerate(dict.fromkeys(names))}
    return sorted(diagnostics, key=lambda d: (rank[d.span.source.name], d.span.start) if d.span else (rank[""], 0))


def error(code: str, message: str, span: Span | None = None, **details: object) -> ArchError:
    """An `ArchError` of a single diagnostic; `details` are further fields of `Diagnostic`."""
    return ArchError([replace(Diagnostic(code, message, span), **details)])  # type: ignore[arg-type]


def _one_line(diagnostic: Diagnostic) -> str:
    place = f"{diagnostic.span}: " if diagnostic.span else ""
    return f"{place}{diagnostic.severity}[{diagnostic.code}]: {diagnostic.message}"
