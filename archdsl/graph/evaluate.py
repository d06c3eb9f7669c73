"""Expressions to values. Total: no recursion, no loops but over finished lists, bounded numbers and lists."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, TypeVar

from archdsl.graph.functions import FUNCTIONS, TooLong
from archdsl.graph.instead import instead
from archdsl.graph.values import POISON, Env, Poisoned, Tensor, kind_of, show
from archdsl.language import syntax as s
from archdsl.language.diagnostics import ArchError, Fix, error
from archdsl.language.limits import Limits
from archdsl.language.similar import did_you_mean, nearest
from archdsl.language.source import Span
from archdsl.ops.base import Init
from archdsl.ops.dims import symbolic
from archdsl.ops.schemes import SCHEMES

NAME_PART = re.compile(r"[A-Za-z0-9_]+")
#: what one may ask of a tensor
PROPERTIES = ("shape", "rank", "channels", "depth", "height", "width", "length", "features")


@dataclass(frozen=True, slots=True)
class Place:
    """What an expression can see: names, the incoming value, stages (through `resolve`), and the limits."""

    env: Env
    incoming: object  # Tensor, POISON, or None where nothing flows in
    resolve: Callable[[s.Path], object]  # raises ArchError for an unknown path
    limits: Limits


Value = TypeVar("Value")


def evaluate(node: s.Expression, place: Place) -> Any:
    """The value; raises `ArchError`, or `Poisoned` where the cause is already reported."""
    value = _RULES[type(node)](node, place)
    if value is POISON:
        raise Poisoned
    return value


def _number(node: s.Number, place: Place) -> object:
    return _bounded(node.value, node.span, place.limits)


def _name(node: s.Name, place: Place) -> object:
    try:
        return place.env.lookup(node.name)
    except KeyError:
        stage = stage_named(node.name, node.span, place)
        guess = stage or did_you_mean(node.name, place.env.known(), node.span)
        raise error("unknown-name", f"there is no `{node.name}` here", node.span, **guess) from None


def stage_named(name: str, span: Span, place: Place) -> dict[str, Any]:
    """Help and fix where the name of a stage stands in place of a reference to it; empty where there is none."""
    try:
        found = place.resolve(s.Path(span, (name,)))
    except ArchError:
        return {}
    help = f"`{name}` is a stage: did you mean `@{name}`?"
    return {"help": help, "fix": Fix(help, span, f"@{name}")} if isinstance(found, Tensor) else {}


def _function(node: s.Function, place: Place) -> object:
    function = FUNCTIONS.get(node.name)
    if function is None:
        guess = did_you_mean(node.name, FUNCTIONS, node.name_span)
        raise error("unknown-name", f"there is no function `{node.name}`", node.name_span, **guess)
    positional = [evaluate(argument, place) for argument in node.arguments.positional]
    named = {argument.name: evaluate(argument.value, place) for argument in node.arguments.named}
    if named and node.name not in SCHEMES:
        extra = node.arguments.named[0]
        raise error("unknown-argument", f"`{node.name}` takes no named arguments", extra.name_span)
    try:
        return _bounded(function(place.limits, *positional, **named), node.span, place.limits)
    except TooLong as long:
        raise _too_long(long.items, node.span, place.limits) from None
    except (TypeError, ValueError) as refusal:
        # ValueError is Python's word for a value of the right kind that makes no sense
        code = "argument-value" if isinstance(refusal, ValueError) else "argument-type"
        raise error(code, f"`{node.name}`: {refusal}", node.span) from None


def _incoming(node: s.Incoming, place: Place) -> object:
    if place.incoming is None:
        raise error("not-a-tensor", "nothing flows in here, so `in` means nothing", node.span)
    return place.incoming


def _reference(node: s.Reference, place: Place) -> object:
    """A tensor; or a number of one, `@a.channels`, where no stage has that path."""
    path = spelled(node.path, place)
    *first, last = path.parts
    try:
        return place.resolve(path)
    except ArchError:
        if not any(first) or not nearest(str(last), PROPERTIES):
            raise
    whole = place.resolve(replace(path, parts=tuple(first)))
    span = Span(node.span.source, node.span.end - len(str(last)), node.span.end)
    return property_of(whole, s.Property(span, str(last))) if whole is not POISON else POISON


def spelled(path: s.Path, place: Place) -> s.Path:
    """The path of a reference with its `{expressions}` put in."""
    parts = tuple(part if isinstance(part, str) else label_text(part, place) for part in path.parts)
    return path if parts == path.parts else replace(path, parts=parts)


def label_text(label: s.LabelName, place: Place) -> str:
    """The label, or part of a path, with its `{expressions}` put in."""
    return "".join(part if isinstance(part, str) else _interpolated(part, place) for part in label.parts)


def _interpolated(node: s.Expression, place: Place) -> str:
    value = evaluate(node, place)
    text = str(value)
    if isinstance(value, bool | float | tuple | dict | Tensor | Init) or not NAME_PART.fullmatch(text):
        message = f"a label can contain a whole number or a name, not {kind_of(value)}"
        raise error("argument-type", message, node.span)
    return text


def _list(node: s.ListLiteral, place: Place) -> object:
    return tuple(evaluate(item, place) for item in node.items)


def _map(node: s.MapLiteral, place: Place) -> object:
    found: dict[object, object] = {}
    for key_node, value_node in node.items:
        key = evaluate(key_node, place)
        if isinstance(key, Tensor | dict):
            raise error("argument-type", f"a key of a map cannot be {kind_of(key)}", key_node.span)
        if key in found:
            raise error("duplicate-argument", f"the key {show(key)} appears twice in this map", key_node.span)
        found[key] = evaluate(value_node, place)
    return found


def _postfix(node: s.Postfix, place: Place) -> object:
    value = evaluate(node.base, place)
    for trailer in node.trailers:
        value = _index(value, trailer, place) if isinstance(trailer, s.Index) else property_of(value, trailer)
        if value is POISON:
            raise Poisoned
    return value


def _index(value: object, trailer: s.Index, place: Place) -> object:
    key = evaluate(trailer.index, place)
    if isinstance(value, dict):
        if key in value:
            return value[key]
        known = ", ".join(show(k) for k in value)
        raise error("index-error", f"the map has no key {show(key)}", trailer.index.span, label=f"it has {known}")
    if not isinstance(value, tuple | str):
        raise error("operand-type", f"{kind_of(value)} cannot be indexed", trailer.span)
    if not isinstance(key, int) or isinstance(key, bool):
        raise error("argument-type", f"an index is an integer, not {kind_of(key)}", trailer.index.span)
    if not -len(value) <= key < len(value):
        known = f"it has {len(value)} items, 0 to {len(value) - 1}" if value else "it is empty"
        message = f"index {key} is outside the list: {known}"
        raise error("index-error", message, trailer.index.span)
    return value[key]


def property_of(value: object, node: s.Property) -> object:
    """`channels`, `height`, `width`, `depth`, `length`, `features` or `shape` of a tensor."""
    if not isinstance(value, Tensor):
        raise error(
            "not-a-tensor", f"`.{node.name}` asks for a tensor's shape, but this is {kind_of(value)}", node.span
        )
    shape = value.type.shape
    known = {"shape": shape, "rank": len(shape), **_axes(shape)}
    if node.name in known:
        return known[node.name]
    guess = did_you_mean(node.name, known, node.span)
    message = f"a tensor {value.type} has no `{node.name}`"
    raise error("unknown-property", message, node.span, notes=(f"it has {', '.join(known)}",), **guess)


def _axes(shape: tuple[int, ...]) -> dict[str, int]:
    names = {
        1: ("features",),
        2: ("channels", "length"),
        3: ("channels", "height", "width"),
        4: ("channels", "depth", "height", "width"),
    }
    return dict(zip(names.get(len(shape), ("channels",)), shape, strict=False))


def _choice(node: s.Choice, place: Place) -> object:
    return evaluate(chosen(node, place), place)


def chosen(node: s.Expression, place: Place) -> s.Expression:
    """Which expression `a if c else b` stands for; all others stand for themselves."""
    if not isinstance(node, s.Choice):
        return node
    *pairs, last = node.operands
    taken = (value for value, condition in zip(pairs[::2], pairs[1::2], strict=True) if truth(condition, place))
    return next(taken, last)


def truth(node: s.Expression, place: Place) -> bool:
    """A condition's value; only true and false will do."""
    value = evaluate(node, place)
    if not isinstance(value, bool):
        raise error("condition-type", f"a condition is true or false, not {kind_of(value)}", node.span)
    return value


def _either(node: s.Either, place: Place) -> object:
    return any(truth(operand, place) for operand in node.operands)


def _both(node: s.Both, place: Place) -> object:
    return all(truth(operand, place) for operand in node.operands)


def _negation(node: s.Negation, place: Place) -> object:
    return truth(node.operand, place) ^ bool(node.count % 2)


def _unary(node: s.Unary, place: Place) -> object:
    value = evaluate(node.operand, place)
    if not _is_number(value):
        raise error("operand-type", f"`{node.signs[-1]}` needs a number, not {kind_of(value)}", node.operand.span)
    return -value if node.signs.count("-") % 2 else value


def _power(node: s.Power, place: Place) -> object:
    *bases, exponent = (evaluate(operand, place) for operand in node.operands)
    for base in reversed(bases):
        exponent = _raise(base, exponent, node.span, place.limits)
    return exponent


def _raise(base: object, exponent: object, span: Span, limits: Limits) -> int | float:
    if not (_is_number(base) and _is_number(exponent)):
        raise error("operand-type", f"`**` needs numbers, not {kind_of(base)} and {kind_of(exponent)}", span)
    assert isinstance(base, int | float)
    assert isinstance(exponent, int | float)
    # judged before it is computed: 10 ** 10 ** 10 would never end
    if (abs(base) > 1 and abs(exponent) > 64) or abs(base) > limits.number:
        raise _too_big(span, limits)
    try:
        value = base**exponent
    except ZeroDivisionError:
        raise error("division-by-zero", f"0 has no power {exponent}", span) from None
    if isinstance(value, complex):
        raise error("operand-type", f"{base} ** {exponent} is not a real number", span)
    return _bounded(value, span, limits)


def _operation(node: s.Operation, place: Place) -> object:
    if node.rest[0][0] in _COMPARISONS:
        return _compare(node, place)
    value = evaluate(node.first, place)
    for sign, operand in node.rest:
        value = _binary(sign, value, evaluate(operand, place), node.span, operand.span, place.limits)
    return value


def _compare(node: s.Operation, place: Place) -> bool:
    """Comparisons chain as in mathematics: `0 < x < 1`."""
    left = evaluate(node.first, place)
    for sign, operand in node.rest:
        right = evaluate(operand, place)
        if not _holds(sign, left, right, node.span):
            return False
        left = right
    return True


def _holds(sign: str, left: object, right: object, span: Span) -> bool:
    if isinstance(left, Tensor) or isinstance(right, Tensor):
        raise error("not-a-tensor", "tensors are not known while compiling and cannot be compared", span)
    if sign in ("==", "!="):
        return (left == right) == (sign == "==")
    if sign == "in":
        if not isinstance(right, tuple | dict):
            raise error("operand-type", f"`in` needs a list or a map on its right, not {kind_of(right)}", span)
        return left in right
    if not (_is_number(left) and _is_number(right)):
        raise error("operand-type", f"`{sign}` compares numbers, not {kind_of(left)} and {kind_of(right)}", span)
    return bool(_COMPARISONS[sign](left, right))


def _binary(sign: str, left: object, right: object, span: Span, right_span: Span, limits: Limits) -> object:
    if sign == "+" and ((isinstance(left, tuple) and isinstance(right, tuple)) or _strings(left, right)):
        return _bounded(left + right, span, limits)  # type: ignore[operator]
    if not (_is_number(left) and _is_number(right)):
        message = f"`{sign}` cannot combine {kind_of(left)} and {kind_of(right)}"
        raise error("operand-type", message, span, help=instead(sign, left, right))
    try:
        return _bounded(_ARITHMETIC[sign](left, right), span, limits)
    except ZeroDivisionError:
        raise error("division-by-zero", f"division by zero in `{span.text}`", right_span) from None
    except OverflowError:
        raise _too_big(span, limits) from None


def _strings(left: object, right: object) -> bool:
    return isinstance(left, str) and isinstance(right, str)


def _divide(left: int | float, right: int | float) -> int | float:
    """Division that stays an integer where it comes out even, so that `channels / 2` can be a width."""
    if (symbolic(left) or symbolic(right)) and int(left) % int(right) == 0:
        return left // right  # at sizes where it is not even, checking them finds a fraction
    if isinstance(left, int) and isinstance(right, int):
        exact = Fraction(left, right)
        return exact.numerator if exact.denominator == 1 else left / right
    return left / right


def _bounded(value: Value, span: Span, limits: Limits) -> Value:
    if isinstance(value, int | float) and not isinstance(value, bool) and not abs(value) <= limits.number:
        raise _too_big(span, limits)
    if isinstance(value, tuple | str) and len(value) > limits.list:
        raise _too_long(len(value), span, limits)
    return value


def _too_long(items: int, span: Span, limits: Limits) -> Exception:
    message = f"a list of {items:,} items is too long; the limit is {limits.list:,}"
    return error("limit-list", message, span, help="raise it with `--limit list=...` if this is meant")


def _too_big(span: Span, limits: Limits) -> Exception:
    message = f"the value of `{_short(span.text)}` is beyond {limits.number:,}"
    return error("limit-number", message, span, help="raise it with `--limit number=...` if this is meant")


def _short(text: str) -> str:
    return text if len(text) <= 40 else text[:37] + "..."


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


_ARITHMETIC: Mapping[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": _divide,
    "//": operator.floordiv,
    "%": operator.mod,
}
_COMPARISONS: Mapping[str, Callable[[Any, Any], Any]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "in": operator.contains,
}
_RULES: Mapping[type, Callable[[Any, Place], object]] = {
    s.Number: _number,
    s.String: lambda node, _: node.value,
    s.Name: _name,
    s.Function: _function,
    s.Incoming: _incoming,
    s.Reference: _reference,
    s.ListLiteral: _list,
    s.MapLiteral: _map,
    s.Postfix: _postfix,
    s.Choice: _choice,
    s.Either: _either,
    s.Both: _both,
    s.Negation: _negation,
    s.Unary: _unary,
    s.Power: _power,
    s.Operation: _operation,
}
