"""Seeded initialization: what each scheme of the language means, on NumPy.

Formulas as `torch.nn.init` has them; fans come from the op that owns the weight.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Collection
from functools import partial
from typing import TYPE_CHECKING

from archdsl.language.diagnostics import error
from archdsl.ops.base import Weight
from archdsl.ops.schemes import SCHEMES, Numbers
from archdsl.weights.lazy import Lazy, Make
from archdsl.weights.stored import BEGINNINGS

if TYPE_CHECKING:
    import numpy as np
    from numpy.random import Generator

    from archdsl.graph.graph import Graph, Layer
    from archdsl.language.source import Span

Draw = Callable[["Generator", Weight, Numbers], "np.ndarray"]
Propose = Callable[["Generator", int], "np.ndarray"]


def initialize(graph: Graph, seed: int = 0, without: Collection[str] = ()) -> dict[str, np.ndarray]:
    """Every parameter and buffer of the graph but those `without`, training-only parts included, by `state_dict` key.

    Each array has its own generator, seeded by (`seed`, crc32 of the key): it depends on neither order nor on other
    layers. `seed` >= 0. Raises `ArchError` (`init-argument`, `init-rank`) naming the weight.
    """
    return dict(lazy_initialize(graph, seed, without))


def lazy_initialize(graph: Graph, seed: int = 0, without: Collection[str] = ()) -> Lazy:
    """As `initialize`, each array drawn when it is read."""
    makers: dict[str, Make] = {}
    for layer in graph.layers:
        for weight in layer.weights:
            key = layer.key(weight)
            if key not in makers and key not in without:  # else a shared module, or one that is given
                stored = weight.init.scheme in BEGINNINGS
                makers[key] = partial(_begun if stored else _drawn, layer, weight, seed)
    return Lazy(makers)


def _drawn(layer: Layer, weight: Weight, seed: int) -> np.ndarray:
    key = layer.key(weight)
    return draw(weight, _generator(key, seed), key, layer.span)


def _generator(key: str, seed: int) -> Generator:
    from numpy.random import SFC64, Generator, SeedSequence

    return Generator(SFC64(SeedSequence((seed, zlib.crc32(key.encode())))))


def _begun(layer: Layer, weight: Weight, seed: int) -> np.ndarray:
    """What is stored besides a weight, made of that weight as it is drawn; one run gives both singular vectors."""
    (source,) = (other for other in layer.weights if ".original" in other.name and other.init.scheme not in BEGINNINGS)
    drawn, key = _drawn(layer, source, seed), layer.key(source)
    begin = BEGINNINGS[weight.init.scheme]
    found = begin(drawn, layer.op.rows, _generator(f"{key}/vectors", seed))  # type: ignore[attr-defined]
    return found.astype(weight.dtype)


def draw(weight: Weight, generator: Generator, key: str, span: Span | None = None) -> np.ndarray:
    """One array of the weight's shape and element type; errors are shown at `span`."""
    scheme = SCHEMES[weight.init.scheme]
    numbers = {**scheme.arguments, **dict(weight.init.arguments)}
    complete = {name: value for name, value in numbers.items() if value is not None}
    missing = [name for name in numbers if name not in complete]
    wrong = f"`{missing[0]}` is missing" if missing else scheme.check(complete)
    if wrong:
        raise error("init-argument", f"`{weight.init.scheme}` cannot initialize `{key}`: {wrong}", span)
    misfit = scheme.misfit(weight.shape)
    if misfit:
        raise error("init-rank", f"`{weight.init.scheme}` cannot initialize `{key}`: {misfit}", span)
    return DRAWS[weight.init.scheme](generator, weight, complete).astype(weight.dtype, copy=False)


def _full(weight: Weight, value: float) -> np.ndarray:
    import numpy as np

    return np.full(weight.shape, value, dtype=weight.dtype)


def _uniform(generator: Generator, weight: Weight, low: float, high: float) -> np.ndarray:
    """U(low, high), drawn as float32 and scaled in place."""
    values = generator.random(weight.shape, dtype="float32")
    values *= high - low
    values += low
    return values


def _normal(generator: Generator, weight: Weight, mean: float, std: float) -> np.ndarray:
    values = generator.standard_normal(weight.shape, dtype="float32")
    values *= std
    values += mean
    return values


def _symmetric(generator: Generator, weight: Weight, variance: float) -> np.ndarray:
    """U(-b, b) of the given variance: b = sqrt(3 variance)."""
    bound = math.sqrt(3 * variance)
    return _uniform(generator, weight, -bound, bound)


def _signs(generator: Generator, weight: Weight) -> np.ndarray:
    """+1 and -1, equally often."""
    values = generator.integers(0, 2, weight.shape).astype("float32")
    values *= 2
    values -= 1
    return values


def _reciprocal(fan: int) -> float:
    """1 / fan; a weight without fans is left at zero, as PyTorch leaves a bias of fan 0."""
    return 1 / fan if fan > 0 else 0.0


def _xavier(weight: Weight, gain: float) -> float:
    """Variance of Glorot and Bengio, AISTATS 2010: 2 gain^2 / (fan_in + fan_out)."""
    return 2 * gain**2 * _reciprocal(weight.fan_in + weight.fan_out)


def _truncated_normal(generator: Generator, weight: Weight, numbers: Numbers) -> np.ndarray:
    """N(mean, std) conditioned on a <= x <= b (absolute bounds, as `torch.nn.init.trunc_normal_`)."""
    import numpy as np

    a, b = numbers["a"], numbers["b"]
    propose = _proposals(numbers["mean"], numbers["std"], a, b)
    kept = np.empty(0, dtype="float32")
    with np.errstate(over="ignore"):  # bounds may be numbers that float32 does not have
        while kept.size < weight.elements:
            wanted = int((weight.elements - kept.size) * 1.1) + 16
            kept = np.concatenate([kept, propose(generator, wanted)])
        return kept[: weight.elements].reshape(weight.shape).clip(a, b)


def _proposals(mean: float, std: float, a: float, b: float) -> Propose:
    """A function that proposes so many numbers and gives those of them that follow the truncated normal.

    Normal proposals where the interval holds much of the mass; in a tail exponential ones, else uniform ones, each
    accepted with the ratio of the densities (Robert, Statistics and Computing 5, 1995). These count deviations from
    the bound that is `near` the mean, since what is far from the mean cannot be told from it.
    """
    low, high = (a - mean) / std, (b - mean) / std
    if math.erf(high / math.sqrt(2)) - math.erf(low / math.sqrt(2)) > 0.5:
        return partial(_normal_between, mean=mean, std=std, low=low, high=high)
    bound, step, near = (b, -std, -high) if high < -low else (a, std, low)
    way = _exponential if near > 1 else _uniform_beyond
    return partial(way, bound=bound, step=step, near=near, width=(b - a) / std)


def _normal_between(generator: Generator, count: int, mean: float, std: float, low: float, high: float) -> np.ndarray:
    proposals = generator.standard_normal(count, dtype="float32")
    kept = proposals[(proposals >= low) & (proposals <= high)]
    kept *= std
    kept += mean
    return kept


def _uniform_beyond(
    generator: Generator, count: int, bound: float, step: float, near: float, width: float
) -> np.ndarray:
    import numpy as np

    most = max(near, 0.0)
    distance = generator.uniform(0, min(width, most + 12 - near), count)  # beyond, less than float32 resolves
    accepted = generator.random(count) <= np.exp((most**2 - (near + distance) ** 2) / 2)
    return (bound + step * distance[accepted]).astype("float32")


def _exponential(generator: Generator, count: int, bound: float, step: float, near: float, width: float) -> np.ndarray:
    """At a distance x from the bound the density is that of an exponential of rate `near` times exp(-x^2 / 2)."""
    import numpy as np

    distance = -np.log1p(generator.random(count) * math.expm1(-near * width)) / near
    accepted = generator.random(count) <= np.exp(-(distance**2) / 2)
    return (bound + step * distance[accepted]).astype("float32")


def _orthogonal(generator: Generator, weight: Weight, gain: float) -> np.ndarray:
    """Orthonormal rows or columns of the first axis against the rest (Saxe et al., 2013), times gain."""
    import numpy as np

    rows, columns = weight.shape[0], weight.elements // weight.shape[0]
    normal = generator.standard_normal((max(rows, columns), min(rows, columns)), dtype="float32")
    q, r = np.linalg.qr(normal)
    q *= np.sign(np.diagonal(r))  # makes the distribution uniform over orthogonal matrices
    q = q if rows >= columns else q.T
    return np.ascontiguousarray(gain * q, dtype="float32").reshape(weight.shape)


def _bilinear(weight: Weight) -> np.ndarray:
    """Bilinear interpolation by a transposed convolution (Long et al., 2015), one channel to one.

    Along a kernel of k: 1 - |x - c| / f with f = (k + 1) // 2 and c the middle. Channel `i` gives channel `i mod n` of
    the `n` along the second axis, which is 1 with as many groups as channels.
    """
    import numpy as np

    rows, columns, *kernel = weight.shape
    window = np.ones(())
    for size in kernel:
        factor, centre = (size + 1) // 2, (size - 1) / 2
        window = window[..., None] * (1 - np.abs(np.arange(size) - centre) / factor)
    values = np.zeros(weight.shape, dtype="float32")
    values[np.arange(rows), np.arange(rows) % columns] = window
    return values


#: How each scheme of `archdsl.ops.schemes` is drawn.
DRAWS: dict[str, Draw] = {
    "default": lambda g, w, _: _symmetric(g, w, _reciprocal(w.fan_in) / 3),
    "zeros": lambda _g, w, _: _full(w, 0),
    "ones": lambda _g, w, _: _full(w, 1),
    "constant": lambda _g, w, n: _full(w, n["value"]),
    "uniform": lambda g, w, n: _uniform(g, w, n["low"], n["high"]),
    "normal": lambda g, w, n: _normal(g, w, n["mean"], n["std"]),
    "truncated_normal": _truncated_normal,
    "xavier_uniform": lambda g, w, n: _symmetric(g, w, _xavier(w, n["gain"])),
    "xavier_normal": lambda g, w, n: _normal(g, w, 0, math.sqrt(_xavier(w, n["gain"]))),
    "he_uniform": lambda g, w, _: _symmetric(g, w, 2 * _reciprocal(w.fan_in)),
    "he_uniform_fan_out": lambda g, w, _: _symmetric(g, w, 2 * _reciprocal(w.fan_out)),
    "he_normal": lambda g, w, _: _normal(g, w, 0, math.sqrt(2 * _reciprocal(w.fan_in))),
    "he_normal_fan_out": lambda g, w, _: _normal(g, w, 0, math.sqrt(2 * _reciprocal(w.fan_out))),
    "orthogonal": lambda g, w, n: _orthogonal(g, w, n["gain"]),
    "bilinear": lambda _g, w, _: _bilinear(w),
    "signs": lambda g, w, _: _signs(g, w),
}
assert DRAWS.keys() == SCHEMES.keys()
