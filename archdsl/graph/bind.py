"""Arguments of a call to the parameters of an op or a block, each checked for its kind."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, Field, dataclass
from typing import Any

from archdsl.graph.evaluate import Place, evaluate
from archdsl.graph.functions import FUNCTIONS, PADDING_WORDS
from archdsl.graph.values import Tensor, Word, kind_of, show
from archdsl.language import syntax as s
from archdsl.language.diagnostics import ArchError, error
from archdsl.language.limits import Limits
from archdsl.language.similar import did_you_mean
from archdsl.language.source import Span
from archdsl.ops.base import Init, Op, parameters
from archdsl.ops.dims import openness, symbolic
from archdsl.ops.schemes import SCHEMES


@dataclass(frozen=True, slots=True)
class Bound:
    """Evaluated arguments by parameter name, with where each was written."""

    values: dict[str, Any]
    spans: dict[str, Span]


def match(what: str, names: tuple[str, ...], arguments: s.Arguments | None) -> dict[str, s.Expression]:
    """Which parameter gets which expression; refuses too many, unknown and double arguments."""
    if arguments is None:
        return {}
    if len(arguments.positional) > len(names):
        extra = arguments.positional[len(names)]
        takes = f"takes {_count(len(names), 'argument')}" if names else "takes no arguments"
        notes = (f"in this order: {', '.join(names)}",) if names else ()
        given = len(arguments.positional)
        message = f"`{what}` {takes}, but {given} {'is' if given == 1 else 'are'} given"
        raise error("too-many-arguments", message, extra.span, notes=notes)
    found = dict(zip(names, arguments.positional, strict=False))
    for argument in arguments.named:
        if argument.name not in names:
            raise _unknown_argument(what, names, argument)
        if argument.name in found:
            raise error("duplicate-argument", f"`{what}` gets `{argument.name}` twice", argument.name_span)
        found[argument.name] = argument.value
    return found


def _unknown_argument(what: str, names: tuple[str, ...], argument: s.Named) -> Exception:
    guess = did_you_mean(argument.name, names, argument.name_span)
    notes = (f"it takes {', '.join(names)}",) if names else ("it takes no arguments",)
    return error(
        "unknown-argument", f"`{what}` has no argument `{argument.name}`", argument.name_span, notes=notes, **guess
    )  # fmt: skip


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def missing(
    what: str, names: Iterable[str], span: Span, order: Iterable[str] = (), help: str | None = None
) -> None:  # fmt: skip
    """Raise for parameters that got no value; `order` are all parameters."""
    absent = [f"`{name}`" for name in names]
    if absent:
        plural = "arguments" if len(absent) > 1 else "argument"
        notes = (f"it takes {', '.join(order)}",)
        message = f"`{what}` needs the {plural} {' and '.join(absent)}"
        raise error("missing-argument", message, span, notes=notes, help=help)


def bind_op(
    cls: type[Op], call: s.Call | s.Combinator, place: Place, defaults: Mapping[str, object]
) -> tuple[Op, Bound]:
    """The op of a call. `defaults` fill fields that the call leaves out (the network's initialization)."""
    fields = {field.name: field for field in parameters(cls)}
    name_span = call.name_span if isinstance(call, s.Call) else call.word_span
    given = match(cls.name, tuple(fields), call.arguments)
    required = (f.name for f in fields.values() if f.default is MISSING and f.name not in given)
    missing(cls.name, required, name_span, fields)
    values = {name: convert(cls.name, fields[name], node, place) for name, node in given.items()}
    bound = Bound(values, {name: node.span for name, node in given.items()})
    fill = {name: value for name, value in defaults.items() if name in fields and name not in values}
    return cls(**values, **fill), bound


def convert(what: str, field: Field[Any], node: s.Expression, place: Place) -> object:
    """An argument's value in the form the op's field holds."""
    kind = field.metadata["kind"]
    check, expected = _KINDS[kind]
    value = _argument(what, field, node, place)
    if kind == "choice":
        return _choice(what, field, value, node.span)
    if kind in ("number", "scales") and symbolic(value):
        message = f"`{field.name}` of `{what}` cannot follow an open size, but {value} {openness(value)}"
        raise error("argument-value", message, node.span)
    converted = check(value, place.limits)
    if field.name == "bias_init":
        refuse_for_bias(what, converted, node.span)
    if converted is not None:
        return converted
    problem = f"`{field.name}` of `{what}` is {expected}, not {kind_of(value)}"
    if _right_type(kind, value):
        problem = f"`{field.name}` of `{what}` must be {expected}, but is {show(value)}"
        raise error("argument-value", problem, node.span)
    raise error("argument-type", problem, node.span)


def _argument(what: str, field: Field[Any], node: s.Expression, place: Place) -> object:
    """The value; for a word that nobody knows, the words that this argument takes."""
    words = field.metadata["choices"] or {"padding": PADDING_WORDS, "init": tuple(SCHEMES)}.get(field.metadata["kind"])
    try:
        return evaluate(node, place)
    except ArchError:
        if not words or not isinstance(node, s.Name):
            raise
    guess = did_you_mean(node.name, words, node.span)
    message = f"`{field.name}` of `{what}` does not know `{node.name}`"
    raise error("unknown-name", message, node.span, notes=(f"it knows {', '.join(words)}",), **guess)


def _right_type(kind: str, value: object) -> bool:
    """A number out of range is another mistake than something that is no number at all."""
    if isinstance(value, bool) or kind in ("flag", "init"):
        return False
    if kind in ("integers", "axis", "axes", "integer", "table"):
        return False
    whole = isinstance(value, int) or (isinstance(value, float) and kind in ("scales", "number"))
    return whole or (isinstance(value, tuple) and kind in ("sizes", "naturals", "window", "padding", "scales"))


def _choice(what: str, field: Field[Any], value: object, span: Span) -> str:
    choices: tuple[str, ...] = field.metadata["choices"]
    if isinstance(value, str) and value in choices:
        return str(value)
    options = ", ".join(f"`{choice}`" for choice in choices)
    raise error("argument-type", f"`{field.name}` of `{what}` is one of {options}, not {kind_of(value)}", span)


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _at_least(least: int) -> Callable[[object, Limits], int | None]:
    def check(value: object, limits: Limits) -> int | None:
        # a float that is whole (96 / 2 is already an integer; 0.5 * 96 is 48.0) counts as the integer it is
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        return value if isinstance(value, int) and _is_integer(value) and value >= least else None

    return check


_natural, _positive, _axis = _at_least(0), _at_least(1), _at_least(-8)


def _integers(value: object, least: Callable[[object, Limits], int | None], limits: Limits) -> tuple[int, ...] | None:
    if not isinstance(value, tuple) or not value:
        return None
    items = [least(item, limits) for item in value]
    return None if None in items else tuple(item for item in items if item is not None)


def _sizes(value: object, limits: Limits) -> int | tuple[int, ...] | None:
    found = _positive(value, limits)
    return found if found is not None else _integers(value, _positive, limits)


def _naturals(value: object, limits: Limits) -> int | tuple[int, ...] | None:
    found = _natural(value, limits)
    return found if found is not None else _integers(value, _natural, limits)


def _table(value: object, limits: Limits) -> object:
    """A list of lists; an empty one says nothing."""
    rows = [_integers(row, _natural, limits) for row in value] if isinstance(value, tuple) else [None]
    return None if None in rows else tuple(rows)


def _axes(value: object, limits: Limits) -> int | tuple[int, ...] | None:
    found = _axis(value, limits)
    return found if found is not None else _integers(value, _axis, limits)


def _scales(value: object, limits: Limits) -> object:
    numbers = value if isinstance(value, tuple) else (value,)
    fine = numbers and all(_number(n, limits) is not None and n > 0 for n in numbers)
    return value if fine else None


def _window(value: object, limits: Limits) -> object:
    return "global" if value == "global" else _sizes(value, limits)


def _padding(value: object, limits: Limits) -> object:
    if isinstance(value, Word) and value in PADDING_WORDS:
        return str(value)
    return _naturals(value, limits)


def _number(value: object, limits: Limits) -> float | int | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _flag(value: object, limits: Limits) -> bool | None:
    return value if isinstance(value, bool) else None


def _scheme(value: object, limits: Limits) -> Init | None:
    if isinstance(value, Init):
        return value
    if isinstance(value, Word) and value in SCHEMES and None not in SCHEMES[value].arguments.values():
        scheme: Init = FUNCTIONS[value](limits)
        return scheme
    return None


def refuse_for_bias(what: str, scheme: object, span: Span) -> None:
    """A bias is a vector, which no scheme can make orthogonal, or an interpolation."""
    if isinstance(scheme, Init) and scheme.scheme in ("orthogonal", "bilinear"):
        message = f"`{what}` cannot make a bias {scheme.scheme}: that takes a matrix"
        raise error("argument-value", message, span)


def initialization(what: str, name: str, node: s.Expression, place: Place) -> Init:
    """A scheme given outside an op's own arguments."""
    value = evaluate(node, place)
    scheme = _scheme(value, place.limits)
    if scheme is None:
        problem = f"`{name}` of `{what}` is {_KINDS['init'][1]}, not {kind_of(value)}"
        raise error("argument-type", problem, node.span)
    if name == "bias":
        refuse_for_bias(what, scheme, node.span)
    return scheme


_KINDS: dict[str, tuple[Callable[[object, Limits], object], str]] = {
    "count": (_positive, "a whole number of at least 1"),
    "natural": (_natural, "a whole number of at least 0"),
    "integer": (_at_least(-(2**63)), "a whole number"),
    "axis": (_axis, "an axis number"),
    "axes": (_axes, "an axis number, or a list of them"),
    "number": (_number, "a number"),
    "flag": (_flag, "true or false"),
    "sizes": (_sizes, "a whole number of at least 1, or a list of them"),
    "naturals": (_naturals, "a whole number of at least 0, or a list of them"),
    "window": (_window, "a whole number of at least 1, a list of them, or `global`"),
    "scales": (_scales, "a number above 0, or a list of them"),
    "padding": (_padding, "a whole number of at least 0, a list of them, or `same`, `same_tf`, `valid`"),
    "integers": (lambda value, limits: _integers(value, _at_least(-(2**63)), limits), "a list of whole numbers"),
    "table": (_table, "a list of lists of whole numbers of at least 0"),
    "choice": (lambda value, limits: value, "one of its choices"),
    "init": (_scheme, "an initialization scheme such as `he_normal` or `normal(std = 0.01)`"),
}


def bind_block(
    what: str, declared: tuple[s.Parameter, ...], arguments: s.Arguments | None, span: Span,
    outside: Place, inside: Place,
) -> Bound:  # fmt: skip
    """Parameters of a block or network: arguments seen from `outside`, defaults from `inside`, in order.

    Fills `inside.env` as it goes, so that a default may use the parameters before it.
    """
    names = tuple(p.name for p in declared)
    given = match(what, names, arguments)
    missing(what, (p.name for p in declared if p.default is None and p.name not in given), span, names)
    bound = Bound({}, {})
    for parameter in declared:
        if parameter.name in given:
            value, where = evaluate(given[parameter.name], outside), given[parameter.name].span
        else:
            assert parameter.default is not None
            value, where = evaluate(parameter.default, inside), parameter.default.span
        check_domain(parameter, value, where, inside)
        inside.env.names[parameter.name] = bound.values[parameter.name] = value
        bound.spans[parameter.name] = where
    return bound


def check_domain(parameter: s.Parameter, value: object, span: Span, place: Place) -> None:
    """Refuse a value outside the parameter's declared domain."""
    domain = parameter.domain
    if isinstance(domain, s.TensorDomain) != isinstance(value, Tensor):
        if isinstance(domain, s.TensorDomain):
            message = f"`{parameter.name}` takes a tensor such as `@conv1`, not {kind_of(value)}"
            raise error("not-a-tensor", message, span)
        help = f"declare it as `{parameter.name}: tensor`"
        raise error("not-a-tensor", f"`{parameter.name}` does not take a tensor", span, help=help)
    if isinstance(domain, s.OneOf):
        values = evaluate(domain.values, place)
        if not any(value == known and isinstance(value, bool) == isinstance(known, bool) for known in values):
            raise _outside(parameter, value, f"one of {show(values)}", span)
    if isinstance(domain, s.Interval):
        low, high = (_bound(node, place) for node in (domain.low, domain.high))
        if not isinstance(value, int | float) or isinstance(value, bool) or not low <= value <= high:
            raise _outside(parameter, value, f"between {show(low)} and {show(high)}", span)


def _bound(node: s.Expression, place: Place) -> int | float:
    value = evaluate(node, place)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise error("argument-type", f"a bound of an interval is a number, not {kind_of(value)}", node.span)
    return value


def _outside(parameter: s.Parameter, value: object, domain: str, span: Span) -> Exception:
    return error("parameter-domain", f"`{parameter.name}` must be {domain}, but is {show(value)}", span)
