"""What to write in place of arithmetic on tensors, which expressions do not have."""

from __future__ import annotations

from archdsl.graph.values import Tensor, show

#: of two tensors
LAYERS = {"+": "add { a; b }", "-": "sub(a, b)", "*": "mul { a; b }", "/": "div(a, b)"}


def instead(sign: str, left: object, right: object) -> str | None:
    """Help where an operand is a tensor; nothing where none is, or no layer computes this."""
    if isinstance(left, Tensor) and isinstance(right, Tensor):
        layer = LAYERS.get(sign)
    elif isinstance(left, Tensor) or isinstance(right, Tensor):
        number = right if isinstance(left, Tensor) else left
        layer = scale(sign, show(number), isinstance(left, Tensor)) if isinstance(number, int | float) else None
    else:
        layer = None
    return f"layers compute with tensors: `{layer}`" if layer else None


def scale(sign: str, number: str, first: bool) -> str | None:
    """The layer that does this to a tensor, which is the `first` operand or the second one."""
    opposite = number.removeprefix("-") if number.startswith("-") else f"-{number}"
    layers = {
        "*": f"scale({number})",
        "+": f"scale(1, offset = {number})",
        "-": f"scale(1, offset = {opposite})" if first else f"scale(-1, offset = {number})",
        "/": f"scale(1 / {number})" if first else None,
    }
    return layers.get(sign)
