"""Lower bounds on what a body unrolls to, found without unrolling it."""

from __future__ import annotations

from archdsl.graph.evaluate import evaluate
from archdsl.graph.state import Here
from archdsl.graph.values import Poisoned
from archdsl.language import syntax as s
from archdsl.language.diagnostics import ArchError
from archdsl.ops import OPS


def least_layers(body: s.Body, here: Here) -> int:
    """At least this many layers come of the body; conditionals and unknown counts are taken as nothing."""
    return _body(body, here, 0, {})


def least_statements(body: s.Body, here: Here) -> int:
    """At least this many statements are run for the body, and never less than one."""
    return max(1, _body(body, here, 1, {}))


def _body(body: s.Body, here: Here, each: int, blocks: dict[str, int]) -> int:
    return sum(each + _statement(statement, here, each, blocks) for statement in body.statements)


def _statement(statement: s.Statement, here: Here, each: int, blocks: dict[str, int]) -> int:
    if not isinstance(statement, s.Stage | s.OutputStatement):
        return 0
    return sum(_element(link.element, here, each, blocks) for link in statement.chain.links)


def _element(element: s.Element, here: Here, each: int, blocks: dict[str, int]) -> int:
    if isinstance(element, s.Call):
        return _call(element, here, each, blocks)
    if isinstance(element, s.Braces):
        return _body(element.body, here, each, blocks)
    if isinstance(element, s.Combinator):
        return 1 - each + _body(element.body, here, each, blocks)
    if isinstance(element, s.Repeat):
        return _times(element.count, here) * _body(element.body, here, each, blocks)
    if isinstance(element, s.Loop):
        return _times(element.items, here) * _body(element.body, here, each, blocks)
    return 0


def _call(call: s.Call, here: Here, each: int, blocks: dict[str, int]) -> int:
    block = here.e.program.blocks.get(call.name)
    if block is None:
        return 1 - each if call.name in OPS else 0
    if call.name not in blocks:
        blocks[call.name] = 0  # a block that contains itself is reported elsewhere
        # the caller's names mean nothing inside the block, so only literal counts are known there
        inside = here.inner(env=here.e.globals(block))
        blocks[call.name] = _body(block.body, inside, each, blocks)
    return blocks[call.name]


def _times(node: s.Expression, here: Here) -> int:
    """How often a loop runs, 0 where that is not known before it is reached."""
    try:
        value = evaluate(node, here.place(None))
    except (ArchError, Poisoned):
        return 0
    if isinstance(value, int) and not isinstance(value, bool):
        return max(0, value)
    return len(value) if isinstance(value, tuple | dict) else 0
