"""`recur over time with h = ... { }`: a body that runs once for each step of a sequence, with states it hands on.

The body's layers are layers like all others, with paths and weights of their own. Two layers stand around them:
`Steps` gives a step and the states before it, `Recur` takes the step's result and the states after it.
"""

from __future__ import annotations

from archdsl.graph.apply import add_layer
from archdsl.graph.elaborate import register_element, register_statement, run_body, run_element, run_labelled
from archdsl.graph.results import refuse_taken
from archdsl.graph.state import Here, Loop, Value
from archdsl.graph.values import POISON, Env, Tensor
from archdsl.language import syntax as s
from archdsl.language.diagnostics import error
from archdsl.language.similar import did_you_mean
from archdsl.ops.recurrence import SUFFIX, Recur, Steps


def run_recur(element: s.Recur, value: Value | None, here: Here) -> Value:
    """The results of all steps, `[T, ...]`; the last states are further results."""
    if value is None:
        raise error("no-input", "nothing flows into `recur`", element.word_span, help="declare an `input` before it")
    states = _first_states(element, value, here)
    path = _path(element, here)
    if not isinstance(value, Tensor) or states is None:
        here.e.results[path] = POISON
        return POISON
    if len(value.type.shape) < 2:
        message = f"`recur` runs over the first axis of [T, ...], but its input is {value.type}"
        raise error("rank-mismatch", message, element.word_span)
    names, length = tuple(states), value.type.shape[0]
    step, *before = add_layer(Steps(names), (value, *states.values()), path + SUFFIX, element.word_span, here)
    del here.e.results[path + SUFFIX]  # another tensor in each step
    loop = Loop(path, here.loop, length, Env(dict(zip(names, before, strict=True)), here.env))
    inside = here.inner(env=loop.env, entry=step, loop=loop, network=False)
    result = run_body(element.body, step, inside)
    return _finish(element, result, loop, names, here)


def _path(element: s.Recur, here: Here) -> str:
    """`recur`, `recur_2` ..., where the name of its steps is free as well."""
    path = here.naming.merge("recur", element.word_span)
    steps = path.rpartition(".")[2] + SUFFIX
    if steps in here.naming.taken:
        return _path(element, here)
    here.naming.taken[steps] = element.word_span
    return path


def _first_states(element: s.Recur, value: Value, here: Here) -> dict[str, Tensor] | None:
    """What each state is before the first step; None where one could not be made."""
    found: dict[str, Value | None] = {}
    for state in element.states:
        refuse_taken(state.name, state.span, here)
        if state.name in found:
            raise error("duplicate-argument", f"`recur` has two states `{state.name}`", state.span)
        found[state.name] = run_element(state.initial, value, here)
    tensors = {name: first for name, first in found.items() if isinstance(first, Tensor)}
    return tensors if len(tensors) == len(found) else None


def _finish(element: s.Recur, result: Value | None, loop: Loop, names: tuple[str, ...], here: Here) -> Value:
    lost = next((state for state in element.states if state.name not in loop.after), None)
    if lost is not None:
        message = f"`{lost.name}` never changes: the body of `recur` gives it no new value"
        help = f"end a step with `{lost.name} = ...`, or refer to a tensor from outside, which needs no state"
        raise error("recur-state", message, lost.span, help=help)
    after = (result, *(loop.after[name] for name in names))
    tensors = tuple(value for value in after if isinstance(value, Tensor))
    if len(tensors) < len(after):
        here.e.results[loop.path] = POISON
        return POISON
    return add_layer(Recur(loop.length, names), tensors, loop.path, element.word_span, here)[0]


def run_assign(statement: s.Assign, value: Value | None, here: Here) -> Value | None:
    """`h = chain`: the state from here on, and in the next step. It names a stage as `h: chain` does."""
    loop = here.loop
    (name,) = statement.name.parts
    assert loop is not None
    assert isinstance(name, str)
    before = loop.env.names.get(name)
    if before is None:
        guess = did_you_mean(name, loop.env.names, statement.name.span)
        message = f"`{name}` is no state of this `recur`"
        raise error("recur-state", message, statement.name.span, **(guess or {"help": "declare it after `with`"}))
    result: Value | None = POISON
    try:
        result = run_labelled(statement.name, list(statement.chain.links), value, here)
    finally:
        loop.after[name] = loop.env.names[name] = result or POISON
    if isinstance(result, Tensor) and isinstance(before, Tensor) and result.type != before.type:
        message = f"`{name}` begins as {before.type}, but is {result.type} after a step"
        raise error("recur-state", message, statement.name.span)
    return result


def register() -> None:
    """Enter the rules of this file; `archdsl.graph.network` does so once."""
    register_element(s.Recur, run_recur)
    register_statement(s.Assign, run_assign)
