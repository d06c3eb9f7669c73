"""Axis numbers as PyTorch and ONNX count them (0 is the batch), against shapes that leave the batch out."""

from __future__ import annotations

from archdsl.ops.base import GLOBAL, Global, ShapeError, TensorType, axis_names
from archdsl.ops.dims import factor


def position(value: TensorType, axis: int, argument: str = "axis") -> int:
    """Index into `value.shape` of axis number `axis`; raises `ShapeError` for the batch and for no axis at all."""
    rank = len(value.shape)
    if 1 <= axis <= rank:
        return axis - 1
    if -rank <= axis <= -1:
        return rank + axis
    if rank == 0:
        raise _no_axis(f"axis {axis} does not exist: {value} is one number for each sample", "axis-range", argument)
    names = ", ".join(f"{number} is {name}" for number, name in enumerate(axis_names(rank), 1))
    if axis in (0, -rank - 1):
        raise ShapeError(
            "axis-range",
            f"axis {axis} is the batch",
            argument=argument,
            notes=(f"of {value}, {names}",),
            help="samples of a batch never meet; axis 1 is the first axis after the batch",
            replacements=("1",),
        )
    raise ShapeError(
        "axis-range",
        f"axis {axis} does not exist: {value} has axes 1 to {rank}, or -{rank} to -1 from the end",
        argument=argument,
        notes=(f"of {value}, {names}",),
    )


def need_channels(name: str, value: TensorType) -> None:
    """Refuse a single number for each sample, which has no axis that could be the channels."""
    if not value.shape:
        raise _no_axis(f"`{name}` needs channels or features, but its input is {value}", "rank-mismatch")


def _no_axis(message: str, code: str, argument: str | None = None) -> ShapeError:
    return ShapeError(code, message, argument=argument, help="put `reshape([1])` before it: [N] becomes [N, 1]")


def across(first: int) -> Global | None:
    """Receptive window of an op that mixes positions along the axes from index `first` on.

    Index 0 is the channel axis: mixing channels alone stays at one position.
    """
    return GLOBAL if first > 0 else None


def product(shape: tuple[int, ...]) -> str:
    """The sizes multiplied, as text: `512*7*7`."""
    return "*".join(map(factor, shape))
