"""The `preprocess` clause of an input: how a photograph becomes the tensor the network was made for."""

from __future__ import annotations

from collections.abc import Callable

from archdsl.graph.evaluate import Place, evaluate
from archdsl.graph.values import kind_of
from archdsl.language import syntax as s
from archdsl.language.diagnostics import error
from archdsl.language.similar import did_you_mean


def _size(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _numbers(value: object) -> bool:
    return isinstance(value, tuple) and bool(value) and all(map(_number, value))


def _deviations(value: object) -> bool:
    return isinstance(value, tuple) and _numbers(value) and all(item > 0 for item in value)


#: setting -> (check, what it has to be); meaning in `archdsl.runtime.image`
SETTINGS: dict[str, tuple[Callable[[object], bool], str]] = {
    "resize": (_size, "the length of the shorter side in pixels"),
    "crop": (_size, "the side of the central square in pixels"),
    "channels": (lambda value: value in ("rgb", "bgr"), '"rgb" or "bgr"'),
    "scale": (lambda value: _number(value) and value > 0, "the value of white: 1 or 255"),  # type: ignore[operator]
    "mean": (_numbers, "a list of numbers, one for each channel"),
    "std": (_deviations, "a list of numbers above 0, one for each channel"),
}


def preprocessing(
    settings: tuple[s.Named, ...], shape: tuple[int, ...], place: Place
) -> tuple[tuple[str, object], ...]:
    """The settings as written, each checked for its form; `shape` is the input's."""
    found: dict[str, object] = {}
    for setting in settings:
        if setting.name not in SETTINGS:
            guess = did_you_mean(setting.name, SETTINGS, setting.name_span)
            message = f"`preprocess` has no setting `{setting.name}`"
            raise error(
                "unknown-argument", message, setting.name_span, notes=(f"it takes {', '.join(SETTINGS)}",), **guess
            )  # fmt: skip
        if setting.name in found:
            raise error("duplicate-argument", f"`{setting.name}` is set twice", setting.name_span)
        value = evaluate(setting.value, place)
        check, expected = SETTINGS[setting.name]
        if not check(value):
            message = f"`{setting.name}` is {expected}, not {kind_of(value)}"
            raise error("argument-type", message, setting.value.span)
        if isinstance(value, tuple) and len(value) not in (1, shape[0]):
            message = f"`{setting.name}` has {len(value)} numbers for {shape[0]} channels"
            raise error("argument-length", message, setting.value.span)
        found[setting.name] = value
    return tuple(found.items())
