"""What a statement that failed would have given: poison, so that what refers to it is not reported too."""

from __future__ import annotations

import re
from collections.abc import Iterator

from archdsl.graph.state import Here
from archdsl.graph.values import POISON
from archdsl.language import syntax as s


def lose(statement: s.Statement, here: Here) -> None:
    """Poison for the names and stages of a statement that it did not come to, those in its bodies included."""
    here.env.names.update(dict.fromkeys(_results_of(statement), POISON))
    unknown = set(_declared(statement)) - set(here.env.known())
    here.env.names.update(dict.fromkeys(unknown, POISON))
    for node in _named(statement):
        _lose(node, here)


def _results_of(statement: s.Statement) -> list[str]:
    """What `as` names; in a body inside the statement it could not be seen from outside."""
    links = getattr(statement, "chain", None)
    return [name for link in links.links if link.results for name in link.results.names] if links else []


def _declared(statement: s.Statement) -> list[str]:
    """A module, and the sizes that an input leaves open."""
    if isinstance(statement, s.ModuleStatement):
        return [statement.name]
    items = statement.shape.items if isinstance(statement, s.InputStatement) else ()
    return [item.name for item in items if isinstance(item, s.Dimension | s.Name)]


def _named(statement: s.Statement) -> Iterator[s.Node]:
    """Labels, inputs and merges of the statement's own scope; what lies below a label is lost with the label."""
    stack: list[object] = [statement]
    while stack:
        item = stack.pop()
        if isinstance(item, tuple):
            stack.extend(item)
        if not isinstance(item, s.Node) or isinstance(item, s.ModuleStatement):
            continue
        label, closed = _label_of(item)
        if label is not None:
            yield label
        if not closed:
            stack.extend(getattr(item, name) for name in item.__dataclass_fields__ if name != "span")


def _label_of(node: s.Node) -> tuple[s.Node | None, bool]:
    """What names it, and whether all that it holds lies below that name."""
    if isinstance(node, s.Chain):
        return node.links[0].label, node.links[0].label is not None
    if isinstance(node, s.Link):
        return node.label, node.label is not None
    if isinstance(node, s.Assign):
        return node.name, True
    named = isinstance(node, s.OutputStatement | s.InputStatement | s.Combinator | s.Recur)
    return (node if named else None), False


def _lose(node: s.Node, here: Here) -> None:
    if isinstance(node, s.InputStatement):
        here.e.results.lose(here.naming.join(node.name))
    elif isinstance(node, s.LabelName):
        _lose_label(node, here)
    elif isinstance(node, s.OutputStatement):
        _lose_label(node.name, here)
        if here.nested is not None:
            here.nested.outputs.setdefault(node.name.span.text, POISON)
    else:  # it names itself, by word and number
        word = node.word if isinstance(node, s.Combinator) else "recur"
        here.e.results.lose_all(re.escape(here.naming.join(word)) + r"(_\d+)?")


def _lose_label(label: s.LabelName, here: Here) -> None:
    if all(isinstance(part, str) for part in label.parts):
        here.e.results.lose(here.naming.join(label.span.text))
        return
    parts = (re.escape(part) if isinstance(part, str) else "[A-Za-z0-9_]+" for part in label.parts)
    here.e.results.lose_all(re.escape(here.naming.join("")) + "".join(parts))
