"""Initialization schemes of the language: their names, arguments and which numbers make sense.

How each is drawn stands in `archdsl.weights.initialize`; a declaration is checked without NumPy.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

Numbers = dict[str, float]
#: standard deviations beyond which a normal distribution has nothing: its tail is less than the least float
FARTHEST = 38


def _always(numbers: Numbers) -> str:
    return ""


@dataclass(frozen=True, slots=True)
class Scheme:
    """Arguments in positional order with their defaults (None: required); `check` says what is wrong, or "".

    Only weights of `axes` or more axes can be drawn so.
    """

    arguments: dict[str, float | None]
    check: Callable[[Numbers], str] = _always
    axes: int = 0

    def misfit(self, shape: tuple[int, ...]) -> str:
        """Why no weight of that shape can be drawn so, or ""."""
        return f"it needs {_COUNTS[self.axes]} axes or more" if len(shape) < self.axes else ""


_COUNTS = {2: "two", 3: "three"}


def _check_normal(numbers: Numbers) -> str:
    return "" if numbers["std"] >= 0 else f"`std` = {numbers['std']:g} is negative"


def _check_uniform(numbers: Numbers) -> str:
    low, high = numbers["low"], numbers["high"]
    return "" if low <= high else f"`low` = {low} is above `high` = {high}"


def _check_truncated(numbers: Numbers) -> str:
    if not numbers["std"] > 0:
        return f"`std` = {numbers['std']:g} is not positive"
    mean, std, a, b = (numbers[name] for name in ("mean", "std", "a", "b"))
    if not a < b:
        return f"`a` = {a} is not below `b` = {b}"
    distance = max(a - mean, mean - b) / std
    if distance > FARTHEST:
        return (
            f"from {a} to {b} there is nothing of a normal distribution around {mean}: it is {distance:.3g} `std` away"
        )
    return "" if all(map(math.isfinite, (mean, std, a, b))) else "a number is not finite"


#: `he_*` scale by fan_in unless they say otherwise, with the gain sqrt(2) of ReLU.
SCHEMES: dict[str, Scheme] = {
    "default": Scheme({}),
    "zeros": Scheme({}),
    "ones": Scheme({}),
    "constant": Scheme({"value": None}),
    "uniform": Scheme({"low": 0.0, "high": 1.0}, _check_uniform),
    "normal": Scheme({"mean": 0.0, "std": 1.0}, _check_normal),
    "truncated_normal": Scheme({"mean": 0.0, "std": 1.0, "a": -2.0, "b": 2.0}, _check_truncated),
    "xavier_uniform": Scheme({"gain": 1.0}),
    "xavier_normal": Scheme({"gain": 1.0}),
    "he_uniform": Scheme({}),
    "he_uniform_fan_out": Scheme({}),
    "he_normal": Scheme({}),
    "he_normal_fan_out": Scheme({}),
    "orthogonal": Scheme({"gain": 1.0}, axes=2),
    "bilinear": Scheme({}, axes=3),
    "signs": Scheme({}),
}
