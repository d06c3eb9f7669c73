"""Random calls of single ops on a tensor of known type: text, and the type that results.

Arguments are drawn by the `kind` of each field of the op's record, so that an op that is new takes part by itself. The
op's own `infer` says what comes out, and whether what was drawn fits.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import MISSING, Field, dataclass
from typing import Any

from hypothesis import strategies as st

from archdsl.ops.base import OPS, Op, ShapeError, TensorType, parameters
from archdsl.ops.dims import OpenSizeError, symbolic

Draw = Callable[[st.SearchStrategy[Any]], Any]

LARGEST = 500  # elements of one sample's tensor
HEAVIEST = 4000  # numbers in one layer's weights

#: What needs more than one tensor, or numbers in a range: `archdsl` calls of these stand in `program_idioms`.
BY_IDIOM = frozenset(
    """
    concat add mul max sub div minimum greater less equal where exp log sqrt pow matmul attention take nms roi_align
    roi_pool box_decode anchors unpool embedding parameter zeros argmax topk reshape_as
    """.split()
)
UNARY = tuple(sorted(OPS.keys() - BY_IDIOM))
#: What takes images whose height and width are open, whatever they are.
OPEN = tuple(
    """
    conv depthwise batchnorm relu relu6 leaky_relu prelu elu gelu silu sigmoid tanh softplus hardswish scale dropout
    instancenorm groupnorm maxpool avgpool upsample pad affine abs neg clamp mish pixel_shuffle deconv drop_path
    """.split()
)
MOVES = tuple(sorted(name for name in UNARY if OPS[name].any_dtype))
#: Ops after which numbers are still all different, and the same on every backend, if they were before.
FRESH = frozenset({"flatten", "reshape", "transpose", "slice", "neg", "dropout", "dropout2d", "drop_path", "crop"})

WEIGHT_INITS = ("he_normal", "normal(std = 0.02)", "xavier_uniform(gain = 0.5)", "truncated_normal(std = 0.1)", "ones")
BIAS_INITS = ("zeros", "constant(0.1)", "uniform(-0.1, 0.1)")

#: An odd `p` has no root of a negative sum; what comes of NaN later is every backend's own.
NUMBERS: dict[str, tuple[float, ...]] = {
    "eps": (1e-5, 1e-3), "momentum": (0.1, 0.01), "rate": (0.0, 0.5), "dropout": (0.0,), "alpha": (0.1, 1.0),
    "slope": (0.01, 0.2), "beta": (0.75, 1.0), "k": (1.0, 2), "p": (1, 2, 4), "start": (0.25, -0.5), "value": (0, 0.5),
    "factor": (0.5, 2, -1), "offset": (0, 1, -0.25), "min": (-1, 0, -0.5), "max": (0.5, 1, 6), "gain": (1.0,),
}  # fmt: skip
DEFAULT_NUMBERS = (0.5, 1, 2)
COUNTS: dict[tuple[str, str], tuple[int, ...]] = {
    ("lrn", "size"): (1, 3, 5), ("layernorm", "axes"): (1, 2, 3), ("depthwise", "multiplier"): (1, 2),
    ("pixel_shuffle", "block"): (1, 2), ("depth_to_space", "block"): (1, 2), ("pixel_unshuffle", "block"): (1, 2, 3),
    ("rnn", "layers"): (1, 2), ("lstm", "layers"): (1, 2), ("gru", "layers"): (1, 2),
}  # fmt: skip


@dataclass(frozen=True)
class Value:
    """A tensor while a program is written; `fresh` numbers are all different, and no rounding has touched them."""

    type: TensorType
    fresh: bool = False

    @property
    def shape(self) -> tuple[int, ...]:
        return self.type.shape

    @property
    def real(self) -> bool:
        return self.type.dtype == "float32"

    @property
    def open(self) -> bool:
        return symbolic(self.type.shape)


def pick(draw: Draw, options: Any) -> Any:
    return draw(st.sampled_from(tuple(options)))


def chance(draw: Draw, share: float) -> bool:
    """True in about this share of cases; shrinks to False."""
    return draw(st.integers(0, 99)) >= 100 - round(100 * share)


def op_call(draw: Draw, value: Value, number: Callable[[int], str]) -> tuple[str, Value]:
    """A call that fits, and its first result; `number` writes a whole number as some expression."""
    names = OPEN if value.open else UNARY if value.real else MOVES
    for _ in range(4):
        name = pick(draw, names)
        drawn = _arguments(draw, OPS[name], value)
        results = None if drawn is None else infer(OPS[name](**{key: item for key, (item, _) in drawn.items()}), value)
        if results is not None and drawn is not None:
            text = name + _written(draw, OPS[name], drawn, number)
            return text, Value(results[0], value.fresh and name in FRESH)
    return ("relu", Value(value.type)) if value.real else ("skip", value)


def infer(op: Op, *values: Value) -> tuple[TensorType, ...] | None:
    """Types of the results; None where the op refuses, or gives more than a small test should compute."""
    types = tuple(value.type for value in values)
    try:
        results, weights = op.infer(types), op.weights(types)
    except (ShapeError, OpenSizeError):
        return None
    if any(symbolic(weight.shape) for weight in weights) or sum(weight.elements for weight in weights) > HEAVIEST:
        return None
    small = all(0 < math.prod(map(int, result.shape)) <= LARGEST for result in results)
    known = all(isinstance(size, int) for result in results for size in result.shape)
    return results if small and known else None


def _arguments(draw: Draw, cls: type[Op], value: Value) -> dict[str, tuple[Any, str]] | None:
    """Value and text of each argument that is given; None where there is nothing to choose from."""
    found: dict[str, tuple[Any, str]] = {}
    for field in parameters(cls):
        if field.default is not MISSING and (field.metadata["kind"] == "table" or not chance(draw, 0.3)):
            continue  # tables stand in `program_idioms`
        if field.metadata["kind"] == "init":
            text = pick(draw, BIAS_INITS if "bias" in field.name else WEIGHT_INITS)
            found[field.name] = (field.default, text)
            continue
        item = _item(draw, cls.name, field, value)
        if item is None:
            return None
        found[field.name] = (item, literal(item))
    return found


def _item(draw: Draw, op: str, field: Field[Any], value: Value) -> Any:
    """A value for one argument, by its kind."""
    kind, rank = field.metadata["kind"], max(1, len(value.shape) - 1)
    if kind == "number":
        return pick(draw, NUMBERS.get(field.name, DEFAULT_NUMBERS))
    if kind == "count":
        return pick(draw, _counts(op, field.name, value))
    if kind == "choice":
        return pick(draw, field.metadata["choices"])
    if kind == "integers":
        return _integers(draw, op, value)
    if kind in ("axis", "axes"):
        axes = [*range(1, len(value.shape) + 1), *range(-len(value.shape), 0)]
        return pick(draw, axes) if axes else None
    if op == "split" and field.name == "parts":
        return pick(draw, (1, 2, 3))
    return draw(KINDS[kind](rank))


def _counts(op: str, field: str, value: Value) -> tuple[int, ...]:
    if field in ("groups", "heads") and value.shape:
        size = int(value.shape[-1 if field == "heads" else 0])
        return tuple(n for n in range(1, size + 1) if size % n == 0)[:4]
    return COUNTS.get((op, field), (1, 2, 3, 4))


def _integers(draw: Draw, op: str, value: Value) -> tuple[int, ...] | None:
    shape = tuple(map(int, value.shape))
    if not shape:
        return None
    if op == "transpose":
        return pick(draw, itertools.permutations(range(1, len(shape) + 1)))
    if op == "select":
        return tuple(draw(st.lists(st.integers(-shape[0], shape[0] - 1), min_size=1, max_size=3)))
    total = math.prod(shape)
    first = pick(draw, [size for size in range(1, min(total, 12) + 1) if total % size == 0])
    return pick(draw, ((first, total // first), (first, -1), (-1,), (1, first, total // first)))


def _numbers(rank: int, low: int, high: int) -> st.SearchStrategy[Any]:
    """One number for all axes, or one for each."""
    number = st.integers(low, high)
    return st.one_of(number, number, st.tuples(*[number] * rank))


KINDS: dict[str, Callable[[int], st.SearchStrategy[Any]]] = {
    "natural": lambda rank: st.integers(0, 2),
    "integer": lambda rank: st.integers(-3, 4),
    "flag": lambda rank: st.booleans(),
    "sizes": lambda rank: _numbers(rank, 1, 3),
    "naturals": lambda rank: _numbers(rank, 0, 2),
    "window": lambda rank: st.one_of(_numbers(rank, 1, 3), st.just("global")),
    "table": lambda rank: st.just(()),
    "scales": lambda rank: st.sampled_from((0.5, 1.5, 2)),
    "padding": lambda rank: st.one_of(
        _numbers(rank, 0, 2), _numbers(2 * rank, 0, 1), st.sampled_from(("same", "same_tf", "valid"))
    ),
}


def literal(item: Any) -> str:
    """A value as the language writes it."""
    if isinstance(item, bool):
        return str(item).lower()
    if isinstance(item, tuple):
        return "[" + ", ".join(map(literal, item)) + "]"
    return str(item)


def _written(draw: Draw, cls: type[Op], drawn: dict[str, tuple[Any, str]], number: Callable[[int], str]) -> str:
    """The arguments in brackets: in order while none is left out, by name after that."""
    pieces: list[str] = []
    in_order = not chance(draw, 0.2)
    for field in parameters(cls):
        if field.name not in drawn:
            in_order = False
            continue
        item, text = drawn[field.name]
        text = number(item) if type(item) is int and item > 0 and field.metadata["kind"] != "integers" else text
        in_order = in_order and field.default is MISSING
        pieces.append(text if in_order else f"{field.name} = {text}")
    return f"({', '.join(pieces)})" if pieces else pick(draw, ("", "()"))
