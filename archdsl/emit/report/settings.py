"""A layer's arguments in a few words, resolved: `7x7 /2 pad 3`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import MISSING, Field
from typing import Any

from archdsl.graph.graph import Layer
from archdsl.ops.base import Window, parameters
from archdsl.ops.dims import factor
from archdsl.ops.transposed import Deconv, Unpool

#: Said by the window, by the output shape, or not a matter of shape at all.
LEFT_OUT = {"kernel", "stride", "pad", "dilation", "out", "init", "bias_init"}
#: Said even where it is the default: defaults differ between frameworks.
ALWAYS = {"eps", "size", "rate"}


def settings(layer: Layer) -> str:
    """Window with resolved padding, then what differs from the defaults."""
    fields = parameters(type(layer.op))
    windowed = any(field.name == "kernel" for field in fields) and not isinstance(layer.op, Deconv | Unpool)
    words = [_window(layer)] if windowed else []
    for field in fields:
        value = getattr(layer.op, field.name)
        if not (windowed and field.name in LEFT_OUT) and field.name not in ("init", "bias_init", "out"):
            words.append(_word(field, value))
    return " ".join(filter(None, words))


def _window(layer: Layer) -> str:
    window = layer.op.window(layer.input_types)
    if not isinstance(window, Window):
        return "global"
    words = [times(window.kernel)]
    if set(window.stride) != {1}:
        words.append(f"/{_one_or_all(window.stride)}")
    if any(begin or end for begin, end in window.padding):
        words.append(f"pad {_padding(window)}")
    if set(window.dilation) != {1}:
        words.append(f"dilation {_one_or_all(window.dilation)}")
    return " ".join(words)


def _padding(window: Window) -> str:
    """One number, one for each axis, or all begins and then all ends: [top, left, bottom, right]."""
    begins, ends = zip(*window.padding, strict=True)
    return _one_or_all(begins) if begins == ends else f"[{','.join(map(str, begins + ends))}]"


def _one_or_all(numbers: Sequence[object]) -> str:
    return str(numbers[0]) if len(set(numbers)) == 1 else f"[{','.join(map(str, numbers))}]"


def times(numbers: Sequence[object]) -> str:
    """Sizes as papers print them: `3x3`."""
    return "x".join(factor(number).replace(" ", "") for number in numbers)


def plain_arguments(arguments: Sequence[tuple[str, object]]) -> str:
    """A block's arguments in order, `64,96,128`, as tables print them; tensors are left out."""
    return ",".join(_argument(value) for _, value in arguments if isinstance(value, bool | int | float | str))


def _argument(value: bool | int | float | str) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _word(field: Field[Any], value: Any) -> str:
    """Nothing for a default, `ceil` or `no bias` for a flag, else name and value."""
    if value == field.default and field.name not in ALWAYS:
        return ""
    name = field.name.replace("_", " ")
    if isinstance(value, bool):
        return name if value else f"no {name}"
    if field.metadata["kind"] == "table":
        return f"{sum(map(len, value))} connections"
    text = f"[{','.join(map(str, value))}]" if isinstance(value, tuple) else str(value)
    return text if field.default is MISSING and field.metadata["kind"] == "integers" else f"{name} {text}"
