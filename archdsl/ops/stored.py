"""Weights that are stored in another form than they are used in: normalized ones, and those of a connection table.

Normalized ones have the names and meaning of `torch.nn.utils.parametrizations`.
"""

from __future__ import annotations

from dataclasses import replace

from archdsl.ops.base import Init, ShapeError, Weight

#: What `norm` can be.
NORMS = ("none", "weight", "spectral")
NORM_DOC = "the weight is `v * g / |v|` (`weight`) or divided by its largest singular value (`spectral`)"
Table = tuple[tuple[int, ...], ...]


def normalized(weight: Weight, norm: str, axis: int = 0) -> tuple[Weight, ...]:
    """What is stored in place of a weight; `axis` is that of the rows of the matrix whose singular value is taken.

    `weight` (Salimans and Kingma, 2016): a length for each index of the first axis, and the direction `v`. `spectral`
    (Miyato et al., 2018): the weight, and its first singular vectors as training has followed them.
    """
    if norm == "none":
        return (weight,)
    place = f"parametrizations.{weight.name}"
    if norm == "weight":
        lengths = (weight.shape[0], *(1,) * (len(weight.shape) - 1))
        length = Weight(f"{place}.original0", lengths, Init("norm"), weight.trainable)
        return length, replace(weight, name=f"{place}.original1")
    rows = weight.shape[axis]
    left = Weight(f"{place}.0._u", (rows,), Init("left_singular"), trainable=False)
    right = Weight(f"{place}.0._v", (weight.elements // rows,), Init("right_singular"), trainable=False)
    return replace(weight, name=f"{place}.original"), left, right


def weights_of(weight: Weight, bias: Weight | None, norm: str, axis: int = 0) -> tuple[Weight, ...]:
    """A layer's weights in `state_dict` order: PyTorch puts what a parametrization stores behind the bias."""
    biases = () if bias is None else (bias,)
    stored = normalized(weight, norm, axis)
    return (*stored, *biases) if norm == "none" else (*biases, *stored)


def connections(table: Table) -> int:
    """Pairs of an output and an input channel that are connected."""
    return sum(map(len, table))


def check_table(table: Table, channels: int, out: int, groups: int, norm: str) -> None:
    """Refuse a table that does not name, for each output channel, different input channels in order."""
    for name, other in (("groups", groups != 1), ("norm", norm != "none")):
        if other:
            message = f"`table` says which channels are connected, so there can be no `{name}`"
            raise ShapeError("argument-value", message, argument=name)
    if len(table) != out:
        message = f"`table` has {len(table)} row{'s' * (len(table) != 1)} for {out} output channels"
        raise ShapeError("argument-length", message, argument="table")
    for number, row in enumerate(table):
        if not row or list(row) != sorted(set(row)) or row[-1] >= channels:  # no number is below 0
            message = f"row {number} of `table` is {list(row)}: it lists input channels, 0 to {channels - 1}, in order"
            raise ShapeError("argument-value", message, argument="table")
