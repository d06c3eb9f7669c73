"""A network used inside another as if it were a block: `features: alexnet(@image)`.

Its inputs are bound to tensors, its outputs are results. What belongs to it alone stays behind: training parts, its
recipe, preprocessing, and the claims of its own body, which hold for the sizes that its file declares.
"""

from __future__ import annotations

from archdsl.graph.bind import check_domain, match
from archdsl.graph.elaborate import run_body
from archdsl.graph.evaluate import evaluate
from archdsl.graph.graph import Scope, Stage
from archdsl.graph.lint import walk
from archdsl.graph.network import Request, bind_parameters, resolve
from archdsl.graph.operands import Reader, operands_of
from archdsl.graph.state import Here, Naming, Nested, Value
from archdsl.graph.values import POISON, Env, Tensor
from archdsl.language import syntax as s
from archdsl.language.diagnostics import Frame, error


def run_network(call: s.Call, value: Value | None, here: Here, path: str) -> Value:
    """The first output, with all of them as its siblings; the last value where none is declared."""
    found = resolve(here.e.program, call.name)
    body = found.network.body
    if len(here.stack) >= here.e.limits.nesting:
        raise error("limit-nesting", f"networks are nested more than {here.e.limits.nesting} deep", call.name_span)
    names = tuple(node.name for node in walk(body) if isinstance(node, s.InputStatement))
    arguments, fed = operands_of(Reader(call.name, names), call, value, here.place(value))
    nested = Nested(dict(zip(names, fed, strict=True)), here.e.layers)
    inside = here.inner(
        env=Env({}, here.e.globals(found.network)), naming=Naming(path), entry=None, root=path, network=True,
        stack=(*here.stack, Frame(path, call.name_span)), nested=nested,
    )  # fmt: skip
    bound = _parameters(call, arguments, value, here, inside)
    here.e.scopes[path] = Scope(path, call.span, call.name, tuple(bound.items()), body.docstring, True)
    outer, here.e.initial = here.e.initial, {}
    last = run_body(body, None, inside)
    here.e.initial = outer
    return _result(call, path, list(nested.outputs.values()) or [last], here)


def _parameters(
    call: s.Call, arguments: s.Arguments | None, value: Value | None, here: Here, inside: Here
) -> dict[str, object]:
    """As bound by the call, else by the variant, else by default."""
    found = resolve(here.e.program, call.name)
    declared = {parameter.name: parameter for parameter in found.network.parameters}
    given = match(call.name, tuple(declared), arguments)
    asked = {name: evaluate(node, here.place(value)) for name, node in given.items()}
    for name, node in given.items():
        check_domain(declared[name], asked[name], node.span, inside.place(None))
    before = list(here.e.overridden)
    bound = bind_parameters(found, Request(parameters=asked), inside, call.name_span)
    here.e.overridden[:] = before  # nothing was changed from outside the file
    return bound


def _result(call: s.Call, path: str, results: list[Value | None], here: Here) -> Value:
    siblings = tuple(result for result in results if isinstance(result, Tensor))
    if len(siblings) < len(results):
        here.e.results[path] = POISON
        return POISON
    first = siblings[0]
    result = Tensor(first.ref, first.type, first.training_only, siblings if len(siblings) > 1 else ())
    here.e.results[path] = result
    here.e.stages[path] = Stage(path, result.ref, result.type, call.name_span, here.training)
    return result


def feed(statement: s.InputStatement, dtype: str, here: Here) -> Value:
    """The tensor that a nested network's input is bound to; raises `ArchError` where it is none of its kind."""
    assert here.nested is not None
    value = here.nested.inputs[statement.name]
    path = here.naming.label(statement.name, statement.name_span)
    here.naming.position -= 1
    items = statement.shape.items
    if not isinstance(value, Tensor):
        here.env.names.update({item.name: POISON for item in items if isinstance(item, s.Dimension | s.Name)})
        here.e.results[path] = value
        return value
    here.e.results[path] = POISON  # until it is known to fit
    if len(value.type.shape) != len(items) or value.type.dtype != dtype:
        declared = f"{dtype} {statement.shape.span.text}"
        message = f"input `{statement.name}` is declared as {declared}, but is given {value.type.dtype} {value.type}"
        raise error("nested-input", message, here.stack[-1].span)
    for item, size in zip(items, value.type.shape, strict=True):
        if isinstance(item, s.Dimension) or (isinstance(item, s.Name) and item.name not in here.env.known()):
            here.env.names[item.name] = size
    here.e.results[path] = value
    return value
