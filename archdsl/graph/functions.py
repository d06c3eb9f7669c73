"""Functions of the expression language, and the words it knows without a `let`."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from archdsl.graph.values import Word, kind_of
from archdsl.language.limits import Limits
from archdsl.ops.base import Init
from archdsl.ops.schemes import SCHEMES

Function = Callable[..., Any]


class TooLong(Exception):
    """A list would have this many items."""

    def __init__(self, items: int) -> None:
        super().__init__(items)
        self.items = items


def _numbers(values: tuple[object, ...]) -> list[int | float]:
    """The arguments, or the items of a single list argument."""
    items = values[0] if len(values) == 1 and isinstance(values[0], tuple) else values
    assert isinstance(items, tuple)
    for item in items:
        if not isinstance(item, int | float) or isinstance(item, bool):
            raise TypeError(f"needs numbers, not {kind_of(item)}")
    if not items:
        raise TypeError("needs at least one number")
    return list(items)


def _number(value: object) -> int | float:
    if isinstance(value, tuple):
        raise TypeError("needs a number, not a list")
    return _numbers((value,))[0]


def _integer(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"needs integers, not {kind_of(value)}")
    return value


def _range(limits: Limits, *bounds: object) -> tuple[int, ...]:
    if not 1 <= len(bounds) <= 3:
        raise TypeError("takes one to three integers: end, or start and end, or start, end and step")
    numbers = range(*(_integer(bound) for bound in bounds))  # ValueError where the step is 0
    if len(numbers) > limits.list:
        raise TooLong(len(numbers))
    return tuple(numbers)


def _one(function: Callable[[Any], Any]) -> Function:
    """A function of exactly one value."""

    def call(limits: Limits, *values: object) -> Any:
        if len(values) != 1:
            raise TypeError(f"takes one value, not {len(values)}")
        return function(values[0])

    return call


def _len(value: object) -> int:
    if not isinstance(value, tuple | dict | str):
        raise TypeError(f"needs a list, a map or a string, not {kind_of(value)}")
    return len(value)


def _sqrt(value: object) -> float:
    number = _number(value)
    if number < 0:
        raise ValueError(f"needs a number of at least 0, not {number}")
    return math.sqrt(number)


def _sum(limits: Limits, *values: object) -> int | float:
    return sum(_numbers(values)) if values != ((),) else 0


def _round(value: object) -> int:
    """To the nearest integer, halves to even (IEEE 754, as Python)."""
    return round(_number(value))


def _scheme(name: str, limits: Limits, *positional: object, **named: object) -> Init:
    arguments = SCHEMES[name].arguments
    if len(positional) > len(arguments):
        raise TypeError(f"takes at most {len(arguments)} numbers ({', '.join(arguments)})")
    given = dict(zip(arguments, positional, strict=False))
    for key, value in named.items():
        if key not in arguments:
            raise TypeError(f"has no argument `{key}`; it takes {', '.join(arguments) or 'none'}")
        if key in given:
            raise TypeError(f"got `{key}` twice")
        given[key] = value
    numbers = {key: float(_number(value)) for key, value in given.items()}
    complete = {key: numbers.get(key, default) for key, default in arguments.items()}
    missing = [key for key, value in complete.items() if value is None]
    if missing:
        raise TypeError(f"`{missing[0]}` is missing")
    wrong = SCHEMES[name].check(complete)  # type: ignore[arg-type]
    if wrong:
        raise ValueError(wrong)
    return Init(name, tuple(sorted(numbers.items())))


FUNCTIONS: Mapping[str, Function] = {
    "min": lambda limits, *values: min(_numbers(values)),
    "max": lambda limits, *values: max(_numbers(values)),
    "floor": _one(lambda value: math.floor(_number(value))),
    "ceil": _one(lambda value: math.ceil(_number(value))),
    "round": _one(_round),
    "abs": _one(lambda value: abs(_number(value))),
    "sqrt": _one(_sqrt),
    "len": _one(_len),
    "sum": _sum,
    "range": _range,
    **{name: partial(_scheme, name) for name in SCHEMES},
}

PADDING_WORDS = ("same", "same_tf", "valid")
WORDS = (
    *PADDING_WORDS,
    *"global none tanh relu zero reflect replicate nearest bilinear bicubic weight spectral".split(),
    *SCHEMES,
)
BUILTINS: Mapping[str, object] = {"true": True, "false": False, **{word: Word(word) for word in WORDS}}
