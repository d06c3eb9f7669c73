"""Arithmetic of folding: what a map of channels does, and weights with which another layer does it as well.

Everything is computed in double precision and rounded once, when a weight is made.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from archdsl.graph.graph import Layer
from archdsl.ops.channels import Affine
from archdsl.ops.convolution import Conv, Depthwise
from archdsl.ops.linear import Linear
from archdsl.ops.normalization import BatchNorm
from archdsl.ops.shaping import Scale
from archdsl.ops.transposed import Deconv
from archdsl.passes.draft import Draft
from archdsl.weights.lazy import Make

Host = Conv | Depthwise | Deconv | Linear | BatchNorm | Affine
#: makes numbers in double precision, of shape [C], or [] for the same one everywhere
Numbers = Callable[[], np.ndarray]


@dataclass(frozen=True, slots=True)
class Map:
    """`factor * x + offset` with numbers for each channel, or one for all where it is `uniform`.

    `shifts` is False where the offset is 0 whatever the weights are.
    """

    factor: Numbers
    offset: Numbers
    uniform: bool = False
    shifts: bool = True


def map_of(draft: Draft, layer: Layer) -> Map:
    """What a batch norm (with its stored statistics), an affine or a scale does to each channel."""
    op = layer.op
    if isinstance(op, Scale):
        factor, offset = np.float64(op.factor), np.float64(op.offset)
        return Map(lambda: np.asarray(factor), lambda: np.asarray(offset), uniform=True, shifts=op.offset != 0)
    if isinstance(op, Affine):
        return Map(_numbers(draft, layer, "weight"), _numbers(draft, layer, "bias"))
    gain, mean, bias = _gain(draft, layer), _numbers(draft, layer, "running_mean"), _numbers(draft, layer, "bias")
    return Map(gain, lambda: bias() - mean() * gain())


def follow(draft: Draft, host: Layer, does: Map) -> None:
    """The host does the map's work on its result: weight * factor, and bias * factor + offset, whatever it is."""
    op = _opened(host, does.shifts)
    shapes = {weight.name: weight.shape for weight in op.weights(host.input_types)}
    weight, bias = _stored(draft, host, shapes["weight"]), _numbers(draft, host, "bias")
    made: dict[str, Make] = {"weight": lambda: _times(weight(), _outward(does.factor(), host, shapes["weight"]))}
    if "bias" in shapes:
        made["bias"] = lambda: _single(bias() * does.factor() + does.offset(), shapes["bias"])
    draft.rewrite(host, op, made)


def precede(draft: Draft, host: Layer, does: Map) -> None:
    """The host does the map's work on its input; if the map shifts, the host has to see that input and nothing else."""
    if isinstance(host.op, BatchNorm):
        return _precede_norm(draft, host, does)
    op, groups = _opened(host, does.shifts), _groups(host)
    shapes = {weight.name: weight.shape for weight in op.weights(host.input_types)}
    weight, bias = _stored(draft, host, shapes["weight"]), _numbers(draft, host, "bias")
    made: dict[str, Make] = {"weight": lambda: _times(weight(), _inward(does.factor(), shapes["weight"], groups))}
    if does.shifts:
        made["bias"] = lambda: _single(bias() + _sums(weight(), does.offset(), groups), shapes["bias"])
    return draft.rewrite(host, op, made)


def _precede_norm(draft: Draft, host: Layer, does: Map) -> None:
    """norm(f x + o) = weight f (x - mean) / s + bias + weight / s (o + (f - 1) mean), so its statistics stay."""
    op, shape, gain = _opened(host, True), host.input_types[0].shape[:1], _gain(draft, host)
    weight, bias = _stored(draft, host, shape), _numbers(draft, host, "bias")
    mean = _numbers(draft, host, "running_mean")

    def offset() -> np.ndarray:
        return _single(bias() + gain() * (does.offset() + (does.factor() - 1) * mean()), shape)

    draft.rewrite(host, op, {"weight": lambda: _times(weight(), does.factor()), "bias": offset})


def _gain(draft: Draft, layer: Layer) -> Numbers:
    """weight / sqrt(running_var + eps) (Ioffe and Szegedy, 2015, algorithm 2), eps as it is written."""
    assert isinstance(layer.op, BatchNorm), layer.path
    eps, variance = float(layer.op.eps), _numbers(draft, layer, "running_var")
    weight = _numbers(draft, layer, "weight", absent=1.0)

    def gain() -> np.ndarray:
        with np.errstate(invalid="ignore", divide="ignore"):  # a variance below 0 gives NaN, as it does in the network
            return np.asarray(weight() / np.sqrt(variance() + eps))

    return gain


def _numbers(draft: Draft, layer: Layer, name: str, absent: float = 0.0) -> Numbers:
    """A weight as it is now, in double precision; the number `absent` where the layer has none of that name."""
    make = draft.maker(layer, name)
    return lambda: np.asarray(absent) if make is None else make().astype(np.float64)


def _stored(draft: Draft, host: Layer, shape: tuple[int, ...]) -> Make:
    """The host's `weight` as it is now, in its own precision; ones where it has none."""
    return draft.maker(host, "weight") or (lambda: np.ones(shape, np.float32))


def _opened(host: Layer, shifts: bool) -> Host:
    """The op with the weights that the work needs: a batch norm's own factor and offset, otherwise a bias."""
    op = host.op
    assert isinstance(op, Host), op.name
    if isinstance(op, BatchNorm):
        return replace(op, affine=True)
    return op if isinstance(op, Affine) or not shifts else replace(op, bias=True)


def _groups(host: Layer) -> int:
    """Groups of channels that do not see each other; an affine is a depthwise convolution of one element."""
    if isinstance(host.op, Conv | Deconv):
        return host.op.groups
    return 1 if isinstance(host.op, Linear) else host.input_types[0].shape[0]


def _outward(numbers: np.ndarray, host: Layer, shape: tuple[int, ...]) -> np.ndarray:
    """Numbers for the output channels as a weight [out, ...] of this shape has them."""
    if isinstance(host.op, Deconv):  # its weight is [in, out / groups, ...]
        return _inward(numbers, shape, host.op.groups)
    return numbers.reshape(-1, *(1,) * (len(shape) - 1)) if numbers.ndim else numbers


def _inward(numbers: np.ndarray, shape: tuple[int, ...], groups: int) -> np.ndarray:
    """Numbers for the input channels as a weight [out, in / groups, ...] of this shape sees them."""
    if not numbers.ndim:
        return numbers
    seen = np.repeat(numbers.reshape(groups, -1), shape[0] // groups, axis=0)
    return seen.reshape(*shape[:2], *(1,) * (len(shape) - 2))


def _sums(weight: np.ndarray, numbers: np.ndarray, groups: int) -> np.ndarray:
    """[out]: what the weight makes of an input that holds these numbers everywhere."""
    kernels = weight.reshape(*weight.shape[:2], -1).sum(axis=-1, dtype=np.float64)
    products: np.ndarray = kernels * _inward(numbers, kernels.shape, groups)
    return np.asarray(products.reshape(len(products), -1).sum(axis=1))


def _times(weight: np.ndarray, factor: np.ndarray) -> np.ndarray:
    """The product, in double precision a buffer at a time, so that a large weight is held twice and not three times."""
    product = np.empty(weight.shape, weight.dtype)
    with np.errstate(over="ignore", invalid="ignore"):
        np.multiply(weight, factor, out=product, dtype=np.float64, casting="same_kind")
    return product


def _single(numbers: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Rounded to what weights are stored in."""
    with np.errstate(over="ignore"):
        return np.broadcast_to(numbers, shape).astype(np.float32)
