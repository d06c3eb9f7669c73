"""Bodies to layers: chains, labels, branches, loops and block instances.

Total: blocks cannot contain themselves, loops run over finished lists, and every statement and layer counts
against a limit. A failed element becomes poison: it is reported once and nothing that depends on it is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from archdsl.graph.apply import apply
from archdsl.graph.bind import bind_block, bind_op
from archdsl.graph.claims import claims_of
from archdsl.graph.evaluate import evaluate, label_text, spelled, stage_named, truth
from archdsl.graph.graph import Output, Scope, Stage
from archdsl.graph.lint import calls_in
from archdsl.graph.lost import lose
from archdsl.graph.operands import operands_of
from archdsl.graph.results import name_results
from archdsl.graph.state import Here, Naming, Stop, Value
from archdsl.graph.values import POISON, Env, Module, Poisoned, Tensor, kind_of
from archdsl.language import syntax as s
from archdsl.language.diagnostics import ArchError, Frame, Label, error
from archdsl.language.similar import did_you_mean
from archdsl.ops import OPS
from archdsl.ops.base import Init, Op

Rule = Callable[[Any, Value | None, Here], Value | None]


def run_body(body: s.Body, value: Value | None, here: Here) -> Value | None:
    """The value after the last statement; `let` names are seen by what follows them in this body only."""
    here = here.inner(env=Env({}, here.env))
    for statement in body.statements:
        value = run_statement(statement, value, here)
    return value


def run_statement(statement: s.Statement, value: Value | None, here: Here) -> Value | None:
    """The value that flows into the next statement; poison where this one failed."""
    here.e.count_statement(statement.span)
    try:
        return _STATEMENTS[type(statement)](statement, value, here)
    except Stop:
        raise
    except ArchError as failure:
        here.e.reject(failure, here.stack)
    except Poisoned:
        pass
    lose(statement, here)
    return value if _passes_on(statement) else POISON


def _passes_on(statement: s.Statement) -> bool:
    """Whether what follows reads what came before this statement, and not what it gives."""
    if isinstance(statement, s.Stage):
        return statement.clauses.training is not None
    return isinstance(statement, s.Let | s.Initialize | s.Train | s.Weights | s.ModuleStatement)


def run_let(statement: s.Let, value: Value | None, here: Here) -> Value | None:
    try:
        here.env.names[statement.name] = evaluate(statement.value, here.place(value))
    except (ArchError, Poisoned):
        here.env.names[statement.name] = POISON
        raise
    return value


def run_stage(statement: s.Stage, value: Value | None, here: Here) -> Value | None:
    clauses = statement.clauses
    if clauses.preprocess:
        raise error("syntax-error", "`preprocess` belongs to an `input`", clauses.preprocess[0].span)
    start = value if clauses.origin is None else tensor_of(clauses.origin, value, here)
    if clauses.training is not None and here.nested is not None:
        return value  # of a network that is used inside another, only what is deployed
    if clauses.training is None:
        return _with_claims(statement.chain, clauses, start, here)
    result = _with_claims(statement.chain, clauses, start, here.inner(training=True))
    _training_output(statement, result, here)
    return value  # a side branch: what follows reads what came before


def tensor_of(node: s.Expression, value: Value | None, here: Here) -> Value:
    """The tensor an expression names; raises where it is something else. `from in` is what flows into the block."""
    found = evaluate(node, here.place(here.entry if isinstance(node, s.Incoming) else value))
    if not isinstance(found, Tensor):
        raise error("not-a-tensor", f"a tensor is needed here, not {kind_of(found)}", node.span)
    return found


def _training_output(statement: s.Stage, result: Value | None, here: Here) -> None:
    label = statement.chain.links[0].label
    if here.loop is not None:
        raise error("syntax-error", "a training-only part cannot stand in a `recur`", statement.span)
    if label is None:
        help = "give it a name: `loss1: ... training weight = 0.3`"
        raise error("syntax-error", "a training-only part needs a label", statement.span, help=help)
    settings = {named.name: evaluate(named.value, here.place(None)) for named in statement.clauses.training or ()}
    unknown = next((named for named in statement.clauses.training or () if named.name != "weight"), None)
    if unknown is not None:
        message = f"`training` has no setting `{unknown.name}`"
        raise error("unknown-argument", message, unknown.name_span, notes=("it takes weight",))
    weight = settings.get("weight")
    if weight is not None and (isinstance(weight, bool) or not isinstance(weight, int | float)):
        raise error("argument-type", f"`weight` is a number, not {kind_of(weight)}", statement.span)
    if isinstance(result, Tensor):
        name = here.naming.join(label_text(label, here.place(None)))
        here.e.outputs.append(Output(name, result.ref, result.type, True, weight))


def _with_claims(chain: s.Chain, clauses: s.Clauses, value: Value | None, here: Here) -> Value | None:
    before = here.naming.position
    result = run_chain(chain, value, here)
    if clauses.expects and not (here.network and here.nested):
        path = claimed_path(chain, before, here)
        here.e.claims += claims_of("expect", path, clauses.expects, here.place(value), result)
    return result


def claimed_path(chain: s.Chain, before: int, here: Here) -> str | None:
    """The path whose layers a statement's claims count; None where several unlabelled elements have no common one."""
    first = chain.links[0]
    if first.label is not None:
        return here.naming.join(label_text(first.label, here.place(None)))
    alone = len(chain.links) == 1 and isinstance(first.element, s.Call)
    placed = here.naming.position > before  # the name of a tensor takes no position
    return here.naming.join(str(before)) if alone and placed else None


# Chains and labels ----------------------------------------------------------------------------------------------------


def run_chain(chain: s.Chain, value: Value | None, here: Here) -> Value | None:
    """A label before a chain names all of it; a label inside names one element."""
    first, *rest = chain.links
    if first.label is not None:
        return run_labelled(first.label, [first, *rest], value, here)
    value = run_element(first.element, value, here)
    return _run_rest(rest, _named(first, value, here), here)


def _run_rest(links: list[s.Link], value: Value | None, here: Here) -> Value | None:
    for link in links:
        if link.label is None:
            value = _named(link, run_element(link.element, value, here), here)
        else:
            value = run_labelled(link.label, [link], value, here)
    return value


def _named(link: s.Link, result: Value | None, here: Here) -> Value | None:
    if link.results is not None:
        name_results(link.results, result, here)
    return result


def run_labelled(label: s.LabelName, links: list[s.Link], value: Value | None, here: Here) -> Value | None:
    """The label names a single call itself, or the layer with weights before weight-free ones, or a scope."""
    name = label_text(label, here.place(None))
    path = here.naming.label(name, label.span)
    if here.network and not here.naming.path and name in here.e.output_spans:
        first = Label(here.e.output_spans[name], "the output")
        raise error("duplicate-label", f"`{name}` is an output and another stage as well", label.span, labels=(first,))
    try:
        return _labelled(path, label, links, value, here)
    except (ArchError, Poisoned):
        here.e.results.lose(path)  # so that what refers to it is not reported too
        raise


def _labelled(path: str, label: s.LabelName, links: list[s.Link], value: Value | None, here: Here) -> Value | None:
    layers_before = here.e.layers
    first = _chosen(links[0].element, value, here)
    if isinstance(first, s.Call) and (len(links) == 1 or _is_head(first, links[1:], here)):
        result: Value | None = run_call(first, value, here, path)
        tail = here.inner(naming=Naming(path, position=1))
    else:
        here.e.scopes[path] = Scope(path, label.span)
        tail = here.inner(naming=Naming(path))
        result = run_element(first, value, tail)
    result = _run_rest(links[1:], _named(links[0], result, here), tail)
    if result is None:
        raise error("not-a-tensor", "nothing flows in here", label.span)
    here.e.results[path] = result
    if isinstance(result, Tensor) and here.e.layers > layers_before:
        here.e.stages[path] = Stage(path, result.ref, result.type, label.span, here.training)
    return result


def _is_head(first: s.Call, rest: list[s.Link], here: Here) -> bool:
    """Whether the label belongs to the first layer: it has weights, and all that follows has none."""
    op = OPS.get(first.name)
    if op is None or not op.weighted:
        return False
    return all(_is_tail(link, here) for link in rest)


def _is_tail(link: s.Link, here: Here) -> bool:
    """Whether a link needs no name of its own: a number is none."""
    number = link.label is not None and str(link.label.parts[0]).isdigit()
    if number and isinstance(link.element, s.Braces):
        return all(_weight_free(call, here) for call in calls_in(link.element.body))
    return (number or link.label is None) and _weight_free(link.element, here)


def _weight_free(element: s.Element, here: Here) -> bool:
    if not isinstance(element, s.Call):
        return False
    if element.name in OPS:
        return not OPS[element.name].weighted
    block = here.e.program.blocks.get(element.name)
    calls = calls_in(block.body) if block else iter(())
    return block is not None and all(_weight_free(call, here) for call in calls)


# Elements -------------------------------------------------------------------------------------------------------------


def run_element(element: s.Element, value: Value | None, here: Here) -> Value | None:
    return _ELEMENTS[type(element)](element, value, here)


def _chosen(element: s.Element, value: Value | None, here: Here) -> s.Element:
    """The element that `a if c else b` comes to."""
    while isinstance(element, s.ChosenElement):
        place = here.place(value)
        options = (option for option, condition in element.options if truth(condition, place))
        element = next(options, element.otherwise)
    return element


def run_chosen(element: s.ChosenElement, value: Value | None, here: Here) -> Value | None:
    return run_element(_chosen(element, value, here), value, here)


def run_call(call: s.Call, value: Value | None, here: Here, path: str | None = None) -> Value:
    """An op, a block instance, a use of a module, or a tensor by its name; the last takes no position."""
    found = here.local(call.name) if call.name not in OPS and call.name not in here.e.program.blocks else None
    if found is not None and not isinstance(found, Module):
        return _bare(call, found)
    path = here.naming.number() if path is None else path
    try:
        return _run_at(path, found, call, value, here)
    except (ArchError, Poisoned):
        here.e.results.lose(path)
        raise


def _run_at(path: str, module: Module | None, call: s.Call, value: Value | None, here: Here) -> Value:
    if module is not None:
        return _use_module(module, call, value, here, path)
    if call.name in here.e.program.networks and call.name not in (*OPS, *here.e.program.blocks):
        from archdsl.graph.nested import run_network

        return run_network(call, value, here, path)
    if call.name in OPS and not OPS[call.name].combinator:
        return _run_op(OPS[call.name], call, value, here, path)
    if value is None:
        raise error(
            "no-input", f"nothing flows into `{call.name}`", call.name_span, help="declare an `input` before it"
        )
    if call.name in here.e.program.blocks:
        return _run_block(here.e.program.blocks[call.name], call, value, here, path)
    raise _unknown(call, here)


def _unknown(call: s.Call, here: Here) -> ArchError:
    known = [*here.e.program.blocks, *here.e.program.networks, *(name for name, op in OPS.items() if not op.combinator)]
    stage = stage_named(call.name, call.span, here.place(None))
    guess = stage or did_you_mean(call.name, known, call.name_span)
    return error("unknown-op", f"there is no op or block `{call.name}`", call.name_span, **guess)


def _bare(call: s.Call, found: Value) -> Value:
    if call.arguments is not None and found is not POISON:
        raise error("too-many-arguments", f"`{call.name}` is a tensor and takes no arguments", call.arguments.span)
    return found


def _use_module(module: Module, call: s.Call, value: Value | None, here: Here, path: str) -> Value:
    """The module's chain, with names as where it was declared, and its layers under the path of this use."""
    if call.arguments is not None:
        message = f"`{call.name}` is a module: its arguments are given where it is declared"
        raise error("too-many-arguments", message, call.arguments.span)
    here.e.uses[path] = module.path
    statement = module.statement
    stack = (*here.stack, Frame(path, call.name_span))
    inside = module.here.inner(stack=stack, training=here.training, use=path, loop=here.loop)
    label = s.LabelName(call.name_span, (call.name,))
    result = _labelled(path, label, list(statement.chain.links), value, inside)
    assert result is not None
    return result


def _run_op(cls: type[Op], call: s.Call, value: Value | None, here: Here, path: str) -> Value:
    try:
        arguments, inputs = operands_of(cls, call, value, here.place(value))
        op, bound = bind_op(cls, replace(call, arguments=arguments), here.place(value), _initial(cls, here))
    except (ArchError, Poisoned) as failure:
        here.e.results[path] = POISON
        if isinstance(failure, ArchError):
            here.e.reject(failure, here.stack)
        return POISON
    return apply(op, bound, call, inputs, path, here)


def _initial(cls: type[Op], here: Here) -> dict[str, Init]:
    """What the network's `initialize` says for this op's weight and bias."""
    initial = here.e.initial
    weight = initial.get(cls.name, initial.get("weight"))
    bias = initial.get("bias")
    return {name: init for name, init in (("init", weight), ("bias_init", bias)) if init is not None}


def _run_block(block: s.Block, call: s.Call, value: Value, here: Here, path: str) -> Value:
    frame = Frame(path, call.name_span)
    if len(here.stack) >= here.e.limits.nesting:
        raise error("limit-nesting", f"blocks are nested more than {here.e.limits.nesting} deep", call.name_span)
    env = Env({}, here.e.globals(block))
    inside = here.inner(
        env=env, naming=Naming(path), entry=value, root=path, stack=(*here.stack, frame), network=False
    )  # fmt: skip
    bound = bind_block(
        block.name, block.parameters, call.arguments, call.name_span, here.place(value), inside.place(value)
    )  # fmt: skip
    shown = tuple((name, bound.values[name]) for name in bound.values)
    here.e.scopes[path] = Scope(path, call.span, block.name, shown, block.body.docstring)
    layers_before = here.e.layers
    result = run_body(block.body, value, inside)
    assert result is not None
    here.e.results[path] = result
    if isinstance(result, Tensor) and here.e.layers > layers_before:
        here.e.stages[path] = Stage(path, result.ref, result.type, call.name_span, here.training)
    return result


def run_reference(element: s.ReferenceElement, value: Value | None, here: Here) -> Value:
    found = here.resolve(spelled(element.path, here.place(None)))
    assert isinstance(found, Tensor) or found is POISON
    return found


def run_incoming(element: s.IncomingElement, value: Value | None, here: Here) -> Value | None:
    if here.entry is None:
        raise error("not-a-tensor", "`in` is what flows into a block; a network has its inputs", element.span)
    return here.entry


def run_skip(element: s.Skip, value: Value | None, here: Here) -> Value | None:
    return value


def run_braces(element: s.Braces, value: Value | None, here: Here) -> Value | None:
    return run_body(element.body, value, here)


_ELEMENTS: dict[type[s.Element], Rule] = {
    s.Call: run_call,
    s.ChosenElement: run_chosen,
    s.ReferenceElement: run_reference,
    s.IncomingElement: run_incoming,
    s.Skip: run_skip,
    s.Braces: run_braces,
}
_STATEMENTS: dict[type[s.Statement], Rule] = {s.Let: run_let, s.Stage: run_stage}


def register_element(kind: type[s.Element], rule: Rule) -> None:
    """Enter the rule of an element that contains bodies of its own (see `archdsl.graph.branching`)."""
    assert kind not in _ELEMENTS
    _ELEMENTS[kind] = rule


def register_statement(kind: type[s.Statement], rule: Rule) -> None:
    """Enter the rule of a statement that only a network's body has (see `archdsl.graph.network`)."""
    assert kind not in _STATEMENTS
    _STATEMENTS[kind] = rule
