"""A network of a program, its parameters bound, to a graph."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from archdsl.graph import branching, modules, recurrence
from archdsl.graph.bind import check_domain, initialization, match, missing
from archdsl.graph.claims import claims_of, units_of
from archdsl.graph.dimensions import Asked, input_shape
from archdsl.graph.elaborate import claimed_path, register_statement, run_body, run_chain, tensor_of
from archdsl.graph.evaluate import evaluate, label_text
from archdsl.graph.graph import Graph, Input, Output, Scope, TensorRef
from archdsl.graph.lint import refuse_recursion
from archdsl.graph.preprocess import preprocessing
from archdsl.graph.recipe import recipe_of
from archdsl.graph.renames import rename
from archdsl.graph.state import Elaboration, Here, Naming, Stop, Value
from archdsl.graph.values import Env, Poisoned, Tensor, all_of, show
from archdsl.language import syntax as s
from archdsl.language.diagnostics import ArchError, Frame, Label, error
from archdsl.language.limits import Limits
from archdsl.language.program import Program
from archdsl.language.similar import did_you_mean
from archdsl.language.source import Span
from archdsl.ops import OPS
from archdsl.ops.base import DTYPE_BYTES, TensorType


@dataclass(frozen=True)
class Request:
    """What is asked of a program: which network, and what is changed from outside."""

    network: str | None = None
    parameters: Mapping[str, object] = field(default_factory=dict)
    inputs: Mapping[str, Asked] = field(default_factory=dict)
    limits: Limits = Limits()
    sizes: Mapping[str, int] = field(default_factory=dict)  # symbols that are taken as plain numbers


@dataclass(frozen=True)
class Resolved:
    """A network with the variants that led to it, the asked-for one first."""

    name: str
    network: s.Network
    variants: tuple[s.Variant, ...]


def elaborate(program: Program, request: Request) -> tuple[Graph | None, Elaboration]:
    """The graph (None where something was rejected) and all that was found; raises `ArchError` for a bad request."""
    refuse_recursion(program)
    found = resolve(program, request.network)
    e = Elaboration(program, request.limits, input_override=dict(request.inputs), sizes=request.sizes)
    try:
        graph = _elaborate(found, request, e)
    except Stop as stop:
        e.reject(stop, stop.diagnostics[0].stack)
        return None, e
    except ArchError as failure:
        e.reject(failure, ())
        return None, e
    except Poisoned:
        return None, e
    rejected = any(diagnostic.severity == "error" for diagnostic in e.diagnostics.values())
    return (None if rejected else graph), e


def resolve(program: Program, name: str | None) -> Resolved:
    """The network of that name; the first of the file where none is asked for."""
    own = program.main.networks
    if name is None and not own:
        message = f"`{program.main.source.name}` declares no network"
        raise error("no-network", message, help="a file needs `network NAME { ... }`")
    if name is None:
        name = own[0].name
    if name not in program.networks:
        guess = did_you_mean(name, program.networks, own[0].name_span) if own else {}
        known = ", ".join(network.name for network in own)
        message = f"`{program.main.source.name}` has no network `{name}`"
        raise error("unknown-network", message, notes=(f"it has {known}",), help=guess.get("help"))
    return _resolve(program, program.networks[name])


def _resolve(program: Program, node: s.Network | s.Variant) -> Resolved:
    name, variants = node.name, []
    while isinstance(node, s.Variant):
        if node in variants:
            raise error("recursive-block", f"`{node.name}` is a variant of itself", node.name_span)
        variants.append(node)
        if node.base not in program.networks:
            guess = did_you_mean(node.base, program.networks, node.base_span)
            raise error("unknown-network", f"there is no network `{node.base}`", node.base_span, **guess)
        node = program.networks[node.base]
    return Resolved(name, node, tuple(variants))


def _elaborate(found: Resolved, request: Request, e: Elaboration) -> Graph:
    network = found.network
    env = Env({}, e.globals(network))
    here = Here(e, env, Naming(""), None, network=True)
    parameters = bind_parameters(found, request, here)
    for name in request.inputs:
        declared = [item.name for item in network.body.statements if isinstance(item, s.InputStatement)]
        if name not in declared:
            notes = (f"it has {', '.join(declared)}",)
            raise error("unknown-parameter", f"`{found.name}` has no input `{name}`", notes=notes)
    node = found.variants[0] if found.variants else network
    e.network = Frame(found.name, node.name_span)
    e.variant = bool(found.variants)
    e.scopes[""] = Scope("", network.span, docstring=network.body.docstring)
    result = run_body(network.body, None, here)
    _last_output(result, network, e)
    _header_claims(found, e)
    digest, title = e.program.digest, e.program.file_of(network).docstring
    return Graph(
        found.name, e.program.main.source.name, e.nodes, tuple(e.outputs), e.scopes, e.stages, tuple(e.claims),
        parameters, tuple(e.overridden), title, network.body.docstring, e.recipe, digest,
        tuple(e.renames),
        uses=e.uses, names=e.names, symbols=tuple(e.symbols.values()),
    )  # fmt: skip


def bind_parameters(found: Resolved, request: Request, here: Here, call: Span | None = None) -> dict[str, object]:
    """Parameters from outside, else from the variant, else their defaults, each checked against its domain.

    `call` is where another network uses it.
    """
    declared = found.network.parameters
    names = tuple(parameter.name for parameter in declared)
    for name in request.parameters:
        if name not in names:
            guess = did_you_mean(name, names, found.network.name_span)
            notes = (f"it has {', '.join(names)}",) if names else ("it has no parameters",)
            message = f"`{found.name}` has no parameter `{name}`"
            raise error("unknown-parameter", message, notes=notes, help=guess.get("help"))
    given: dict[str, tuple[s.Expression, s.Variant]] = {}
    for variant in reversed(found.variants):
        matched = match(variant.base, names, variant.arguments)
        given |= {name: (node, variant) for name, node in matched.items()}
    missing(
        found.name,
        (p.name for p in declared if p.default is None and p.name not in given and p.name not in request.parameters),
        call or found.network.name_span,
        names,
        None if call else f"give it with `--set NAME=VALUE`, or in a variant: `network OTHER = {found.name}(...)`",
    )
    values: dict[str, object] = {}
    for parameter in declared:
        value, span = _declared_value(parameter, given, here)
        if parameter.name in request.parameters:
            asked = request.parameters[parameter.name]
            if asked != value or isinstance(asked, bool) != isinstance(value, bool):
                here.e.overridden.append(f"`{parameter.name} = {show(asked)}`")
            value, span = asked, parameter.span
        check_domain(parameter, value, span, here.place(None))
        here.env.names[parameter.name] = values[parameter.name] = value
    return values


def _declared_value(
    parameter: s.Parameter, given: dict[str, tuple[s.Expression, s.Variant]], here: Here
) -> tuple[object, Span]:
    if parameter.name in given:
        node, variant = given[parameter.name]
        return evaluate(node, Here(here.e, here.e.globals(variant), here.naming, None).place(None)), node.span
    if parameter.default is None:
        return None, parameter.span
    return evaluate(parameter.default, here.place(None)), parameter.default.span


def _last_output(result: Value | None, network: s.Network, e: Elaboration) -> None:
    """The last value is the output where none is declared."""
    if not e.layers and not e.diagnostics:
        raise error("empty-body", f"`{network.name}` has no layers", network.name_span)
    if any(not output.training_only for output in e.outputs) or not isinstance(result, Tensor):
        return
    e.outputs.append(Output("output", result.ref, result.type))


def _header_claims(found: Resolved, e: Elaboration) -> None:
    """Claims on the whole network, and the published tables about it; only the asked-for name's own."""
    node = found.variants[0] if found.variants else found.network
    place = Here(e, e.globals(node), Naming(""), None).place(None)
    _refuse_clauses(node.clauses)
    e.claims += claims_of("expect", "", node.clauses.expects, place)
    for table in e.program.published:
        if table.network not in e.program.networks:
            guess = did_you_mean(table.network, e.program.networks, table.network_span)
            raise error("unknown-network", f"there is no network `{table.network}`", table.network_span, **guess)
        if table.network != found.name:
            continue
        units = units_of(table.settings, place)
        for row in table.rows:
            path = "" if row.path.text == "total" and "total" not in e.stages else row.path.text
            e.claims += claims_of(
                "published", path, row.claims, place, None, table.title, row.because, units
            )  # fmt: skip


def _refuse_clauses(clauses: s.Clauses) -> None:
    if clauses.origin is None and clauses.training is None and not clauses.preprocess:
        return
    raise error("syntax-error", "only `expect` can follow the head of a network", clauses.span)


# Statements of a network's body ---------------------------------------------------------------------------------------


def run_input(statement: s.InputStatement, value: Value | None, here: Here) -> Value:
    _only_in_network("input", statement, here)
    dtype = statement.dtype.name if statement.dtype else "float32"
    if statement.dtype and dtype not in DTYPE_BYTES:
        guess = did_you_mean(dtype, DTYPE_BYTES, statement.dtype.span)
        message = f"there is no element type `{dtype}`"
        notes = (f"known: {', '.join(DTYPE_BYTES)}",)
        raise error("unknown-name", message, statement.dtype.span, notes=notes, **guess)
    if here.nested is not None:
        from archdsl.graph.nested import feed

        return feed(statement, dtype, here)
    shape = input_shape(statement, here)
    path = here.naming.label(statement.name, statement.name_span)
    here.naming.position -= 1  # an input is no layer, so it takes no position
    clauses = statement.clauses
    if clauses.expects or clauses.origin or clauses.training is not None:
        raise error("syntax-error", "only `preprocess` can follow an `input`", clauses.span)
    settings = preprocessing(clauses.preprocess, shape, here.place(None))
    node = Input(path, TensorType(shape, dtype), statement.name_span, settings)
    here.e.nodes[path] = node
    tensor = Tensor(TensorRef(path), node.type)
    here.e.results[path] = tensor
    return tensor


def run_initialize(statement: s.Initialize, value: Value | None, here: Here) -> Value | None:
    """How weights begin where a layer does not say: by op name, or `weight` and `bias` for all."""
    _only_in_network("initialize", statement, here)
    known = ("weight", "bias", *(name for name, op in OPS.items() if hasattr(op, "init")))
    if here.e.layers > (here.nested.layers if here.nested else 0):
        help = "put it before the first layer: it says how all of them begin"
        raise error("syntax-error", "`initialize` stands after a layer", statement.span, help=help)
    all_of(statement.settings, lambda setting: _initialize(setting, known, here))
    return value


def _initialize(setting: s.Named, known: tuple[str, ...], here: Here) -> None:
    if setting.name in here.e.initial:
        raise error("duplicate-argument", f"`{setting.name}` is initialized twice", setting.name_span)
    if setting.name not in known:
        guess = did_you_mean(setting.name, known, setting.name_span)
        message = f"`initialize` does not know `{setting.name}`"
        notes = (f"it takes {', '.join(known)}",)
        raise error("unknown-argument", message, setting.name_span, notes=notes, **guess)
    here.e.initial[setting.name] = initialization("initialize", setting.name, setting.value, here.place(None))


def run_output(statement: s.OutputStatement, value: Value | None, here: Here) -> Value | None:
    _only_in_network("output", statement, here)
    name = label_text(statement.name, here.place(None))
    if here.nested is None and name in here.e.output_spans:
        labels = (Label(here.e.output_spans[name], "first declared here"),)
        raise error("duplicate-label", f"there are two outputs `{name}`", statement.name.span, labels=labels)
    clauses = statement.clauses
    if clauses.training is not None or clauses.preprocess:
        help = "a training part is a statement of its own: `loss1: ... training weight = 0.3`"
        raise error("syntax-error", "only `expect` and `from` can follow an `output`", clauses.span, help=help)
    start = value if clauses.origin is None else tensor_of(clauses.origin, value, here)
    before = here.naming.position
    result = run_chain(statement.chain, start, here)
    if result is None:
        raise error("not-a-tensor", "nothing flows in here", statement.name.span)
    if not isinstance(result, Tensor):
        raise Poisoned
    if result.training_only and not here.training:  # a network inside a training part has outputs there
        message = f"output `{name}` is a tensor that exists in training only"
        help = "a training part is an output by itself, in train mode only"
        raise error("training-only", message, statement.name.span, help=help)
    if here.nested is not None:
        return _nested_output(statement, name, result, here)
    path = claimed_path(statement.chain, before, here)
    here.e.claims += claims_of("expect", path, clauses.expects, here.place(start), result)
    if name in here.e.results and here.e.results[name] != result:
        message = f"`{name}` is an output and another stage as well"
        raise error(
            "duplicate-label", message, statement.name.span, help="an output may only have its own stage's name"
        )
    here.e.outputs.append(Output(name, result.ref, result.type))
    here.e.output_spans[name] = statement.name.span
    here.e.results.setdefault(name, result)
    return result


def _nested_output(statement: s.OutputStatement, name: str, result: Tensor, here: Here) -> Value:
    assert here.nested is not None
    path = here.naming.join(name)
    if here.e.results.get(path, result) != result or name in here.nested.outputs:
        raise error("duplicate-label", f"`{name}` is an output and another stage as well", statement.name.span)
    here.e.results[path] = here.nested.outputs[name] = result
    return result


def run_train(statement: s.Train, value: Value | None, here: Here) -> Value | None:
    """The recipe: recorded and checked for form."""
    _only_in_network("train", statement, here)
    if here.nested is not None:
        return value
    here.e.recipe |= recipe_of(statement.settings, here.e.recipe, here.place(None))
    return value


def run_weights(statement: s.Weights, value: Value | None, here: Here) -> Value | None:
    """How the names of a checkpoint become those of this network: checked, and applied when weights are loaded."""
    _only_in_network("weights", statement, here)
    if here.nested is not None:
        return value
    for rule in statement.rules:
        here.e.renames.append(rename(rule.kind, rule.text, rule.to, rule.text_span, rule.kind_span))
    return value


def _only_in_network(word: str, statement: s.Statement, here: Here) -> None:
    if not here.network:
        message = f"`{word}` belongs into a network, not into a block"
        raise error("syntax-error", message, statement.span)


branching.register()
modules.register()
recurrence.register()
register_statement(s.InputStatement, run_input)
register_statement(s.Initialize, run_initialize)
register_statement(s.OutputStatement, run_output)
register_statement(s.Train, run_train)
register_statement(s.Weights, run_weights)


def declared_parameters(program: Program, name: str) -> dict[str, object]:
    """A network's parameters with the values its file gives them; nothing is elaborated."""
    found = resolve(program, name)
    e = Elaboration(program, Limits())
    here = Here(e, Env({}, e.globals(found.network)), Naming(""), None)
    return bind_parameters(found, Request(), here)
