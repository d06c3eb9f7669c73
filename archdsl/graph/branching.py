"""Elements with bodies of their own: loops, conditionals and merges of branches."""

from __future__ import annotations

from collections.abc import Iterator

from archdsl.graph.apply import apply
from archdsl.graph.bind import bind_op
from archdsl.graph.elaborate import register_element, run_body, run_statement
from archdsl.graph.estimate import least_layers, least_statements
from archdsl.graph.evaluate import evaluate, truth
from archdsl.graph.state import Here, Value, too_many
from archdsl.graph.values import POISON, Env, Tensor, kind_of
from archdsl.language import syntax as s
from archdsl.language.diagnostics import Diagnostic, error
from archdsl.language.source import Span
from archdsl.ops import OPS


def run_repeat(element: s.Repeat, value: Value | None, here: Here) -> Value | None:
    for _ in _counted(element, value, here):
        value = run_body(element.body, value, here)
    return value


def _counted(element: s.Repeat, value: Value | None, here: Here) -> range:
    count = evaluate(element.count, here.place(value))
    if isinstance(count, bool) or not isinstance(count, int) or count < 0:
        message = f"`repeat` needs a whole number of at least 0, not {kind_of(count)}"
        raise error("bad-loop", message, element.count.span)
    _refuse_hopeless(count, element.body, element.count.span, here)
    _count_empty(count, element, here)
    return range(count)


def _count_empty(count: int, element: s.Repeat | s.Loop, here: Here) -> None:
    """Rounds in which nothing stands take time, too: each counts as a statement."""
    if not element.body.statements:
        here.e.count_statement(element.span, count)


def _refuse_hopeless(count: int, body: s.Body, span: Span, here: Here) -> None:
    """Refuse before unrolling what is bound to pass a limit, so that 10**12 layers cost no time."""
    limits = here.e.limits
    layers = count * least_layers(body, here)
    if here.e.layers + layers > limits.layers:
        raise too_many("layers", limits.layers, span, layers)
    statements = count * least_statements(body, here)
    if here.e.statements + statements > limits.statements:
        raise too_many("statements", limits.statements, span, statements)


def run_loop(element: s.Loop, value: Value | None, here: Here) -> Value | None:
    for env in _iterations(element, value, here):
        value = run_body(element.body, value, here.inner(env=env))
    return value


def _iterations(element: s.Loop, value: Value | None, here: Here) -> list[Env]:
    items = evaluate(element.items, here.place(value))
    if isinstance(items, dict):
        items = tuple(items) if len(element.names) == 1 else items
    if not isinstance(items, tuple | dict):
        raise error("bad-loop", f"`for` needs a list or a map, not {kind_of(items)}", element.items.span)
    _refuse_hopeless(len(items), element.body, element.items.span, here)
    _count_empty(len(items), element, here)
    if len(element.names) == 1:
        return [Env({element.names[0]: item}, here.env) for item in items]
    pairs = items.items() if isinstance(items, dict) else enumerate(items)
    return [Env({element.names[0]: first, element.names[1]: second}, here.env) for first, second in pairs]


def run_conditional(element: s.Conditional, value: Value | None, here: Here) -> Value | None:
    body = _branch_taken(element, value, here)
    return run_body(body, value, here) if body else value


def _branch_taken(element: s.Conditional, value: Value | None, here: Here) -> s.Body | None:
    place = here.place(value)
    return next((body for condition, body in element.branches if truth(condition, place)), element.otherwise)


# Merges ---------------------------------------------------------------------------------------------------------------


def run_combinator(element: s.Combinator, value: Value | None, here: Here) -> Value:
    """Every statement of the body is a branch that receives the current value."""
    cls = OPS[element.word]
    op, bound = bind_op(cls, element, here.place(value), {})
    inside = here.inner(env=Env({}, here.env))
    branches = list(_branches(element.body, value, inside))
    if not branches:
        raise error("empty-body", f"`{element.word}` has no branches", element.word_span)
    spans = tuple(span for span, _ in branches)
    values = tuple(POISON if result is None else result for _, result in branches)
    if len(branches) == 1 and all(isinstance(v, Tensor) for v in values):
        message = f"`{element.word}` has a single branch, so it changes nothing"
        here.e.report(Diagnostic("few-branches", message, element.word_span, "warning"), here.stack)
    return apply(op, bound, element, values, here.naming.merge(element.word, element.word_span), here, value, spans)


def _branches(body: s.Body, value: Value | None, here: Here) -> Iterator[tuple[Span, Value | None]]:
    """Statements as branches; an unlabelled loop or conditional contributes each of its own statements."""
    for statement in body.statements:
        inner = _spread(statement)
        if inner is None:
            _refuse_training(statement, here)
            result = run_statement(statement, value, here)
            if not isinstance(statement, s.Let):
                yield statement.span, result
            continue
        here.e.count_statement(statement.span)
        for part, env in _parts(inner, value, here):
            yield from _branches(part, value, here.inner(env=Env({}, env)))


def _refuse_training(statement: s.Statement, here: Here) -> None:
    """A training part gives nothing that could be merged."""
    if isinstance(statement, s.Stage) and statement.clauses.training is not None:
        message = "a training part cannot be a branch"
        failure = error("training-only", message, statement.span, help="put it before or after, as a statement")
        here.e.reject(failure, here.stack)


def _spread(statement: s.Statement) -> s.Repeat | s.Loop | s.Conditional | None:
    if not isinstance(statement, s.Stage) or len(statement.chain.links) > 1:
        return None
    clauses = statement.clauses
    link = statement.chain.links[0]
    if link.label or clauses.expects or clauses.origin or clauses.training is not None:
        return None
    return link.element if isinstance(link.element, s.Repeat | s.Loop | s.Conditional) else None


def _parts(element: s.Repeat | s.Loop | s.Conditional, value: Value | None, here: Here) -> list[tuple[s.Body, Env]]:
    if isinstance(element, s.Conditional):
        body = _branch_taken(element, value, here)
        return [(body, here.env)] if body else []
    if isinstance(element, s.Loop):
        return [(element.body, env) for env in _iterations(element, value, here)]
    return [(element.body, here.env) for _ in _counted(element, value, here)]


def register() -> None:
    """Enter the rules of this file; `archdsl.graph.network` does so once."""
    register_element(s.Repeat, run_repeat)
    register_element(s.Loop, run_loop)
    register_element(s.Conditional, run_conditional)
    register_element(s.Combinator, run_combinator)
