"""References to stages that stand further down: a tensor can be read only after it was made."""

from __future__ import annotations

from typing import Any

from archdsl.graph.lint import walk
from archdsl.language import syntax as s
from archdsl.language.diagnostics import Label
from archdsl.language.program import Program
from archdsl.language.source import Span


def stands_below(path: s.Path, program: Program) -> dict[str, Any]:
    """Mark and help of a diagnostic about a reference to what follows it in its block or network; else empty."""
    name = path.parts[path.from_root]
    following = (span for span in _labels(name, path.span, program) if span.start >= path.span.end)
    first = min(following, key=lambda span: span.start, default=None)
    if first is None:
        return {}
    help = "a tensor can be read only after it was made: move one of the two"
    return {"labels": (Label(first, f"`{name}` stands below"),), "help": help}


def _labels(name: object, place: Span, program: Program) -> list[Span]:
    """Labels of that name in the block or network around a place."""
    owners = [*program.blocks.values(), *program.networks.values()]
    around = (owner for owner in owners if isinstance(owner, s.Block | s.Network) and _holds(owner.span, place))
    nodes = [node for owner in around for node in walk(owner.body)]
    labels = [node.span for node in nodes if isinstance(node, s.LabelName) and node.span.text == name]
    return labels + [node.name_span for node in nodes if isinstance(node, s.InputStatement) and node.name == name]


def _holds(span: Span, place: Span) -> bool:
    return span.source is place.source and span.start <= place.start and place.end <= span.end
