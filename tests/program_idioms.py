"""Short chains around ops that read several tensors, or numbers of a certain range: text, and the type that results.

Each takes a function that gives new names (`as t1`) and returns None where it does not fit the value.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from program_ops import LARGEST, Draw, Value, chance, pick

from archdsl.ops.base import TensorType

Text = tuple[str, Value] | None


@dataclass(frozen=True)
class Site:
    """Where an idiom stands: choices, a source of new names, and what flows in."""

    draw: Draw
    name: Callable[[], str]
    value: Value
    labels: bool = True  # whether a label may stand here

    def of(self, *shape: int, dtype: str = "float32") -> Value:
        return Value(TensorType(shape, dtype))


def binary(site: Site) -> Text:
    op = pick(site.draw, ("sub", "minimum"))
    name, function = site.name(), pick(site.draw, ("tanh", "scale(0.5, 1)", "abs", "relu"))
    return f"skip as {name} -> {function} -> {op}({name})", Value(site.value.type)


def division(site: Site) -> Text:
    name = site.name()
    return f"sigmoid -> scale(1, 0.5) as {name} -> tanh -> div({name})", Value(site.value.type)


def positive(site: Site) -> Text:
    op = pick(site.draw, ("log", "sqrt", "pow(-1)", "pow(0.5)", "pow(1.5)"))
    return f"abs -> scale(1, 0.25) -> {op}", Value(site.value.type)


def bounded(site: Site) -> Text:
    op = pick(site.draw, ("exp", "pow(2)", "pow(3)"))
    return f"tanh -> {op}", Value(site.value.type)


def choice(site: Site) -> Text:
    a, b = site.name(), site.name()
    op = pick(site.draw, ("greater", "less"))
    flow = f"{op}({a}, {b}) -> where({a}, {b})"
    return f"skip as {a} -> scale(1, -0.5) -> neg as {b} -> {flow}", Value(site.value.type)


def masked(site: Site) -> Text:
    a, c = site.name(), site.name()
    return f"relu as {a} -> equal({a}, {a}) as {c} -> where({c}, {a}, {a})", Value(site.value.type)


def gram(site: Site) -> Text:
    """A matrix times itself turned."""
    if len(site.value.shape) < 2:
        return None
    *stack, rows, _ = site.value.shape
    if math.prod(stack) * rows * rows > LARGEST:
        return None
    order = [*range(1, len(stack) + 1), len(stack) + 2, len(stack) + 1]
    a, b = site.name(), site.name()
    text = f"scale(0.5) as {a} -> transpose({order}) as {b} -> matmul({a}, {b})"
    return text, site.of(*stack, rows, rows)


def attention(site: Site) -> Text:
    if len(site.value.shape) != 2:
        return None
    steps, features = site.value.shape
    q, k = site.name(), site.name()
    heads = pick(site.draw, [n for n in (1, 2, 3) if features % n == 0])
    kind = pick(
        site.draw,
        (
            f"attention({q}, {k}, {q}, heads = {heads})",
            f"attention({k}, {q}, causal = true)",
            f"multihead_attention({q}, {k}, {heads})",
            f"multihead_attention({q}, heads = {heads}, causal = true)",
        ),
    )
    return f"linear({features}) as {q} -> tanh as {k} -> {kind}", site.of(steps, features)


def mask(site: Site) -> Text:
    if len(site.value.shape) != 2 or site.value.shape[0] > 12:
        return None
    q, m = site.name(), site.name()
    text = f"tanh as {q} -> linear({site.value.shape[0]}) as {m} -> attention({q}, {q}, {q}, mask = {m})"
    if chance(site.draw, 0.5):  # the same for all queries
        text = text.replace(f" as {m}", f" -> slice(0, 1, axis = 1) as {m}")
    return text, site.of(*site.value.shape)


def stateful(site: Site) -> Text:
    """A recurrent layer that begins with a state of zeros, or ends with one."""
    if len(site.value.shape) != 2:
        return None
    steps = site.value.shape[0]
    kind, hidden = pick(site.draw, ("rnn", "gru", "lstm")), pick(site.draw, (1, 2, 3))
    x, h = site.name(), site.name()
    if chance(site.draw, 0.5):
        return f"skip as {x} -> zeros([1, {hidden}]) as {h} -> {kind}({x}, {hidden}, h0 = {h})", site.of(steps, hidden)
    return f"{kind}({hidden}, bidirectional = true) as {x}, {h} -> tanh({h})", site.of(2, hidden)


def unpooled(site: Site) -> Text:
    shape = site.value.shape
    if len(shape) not in (2, 3) or any(size % 2 for size in shape[1:]):
        return None
    values, places = site.name(), site.name()
    return f"maxpool(2, indices = true) as {values}, {places} -> unpool(2, indices = {places})", site.of(*shape)


def learned(site: Site) -> Text:
    if not site.labels:  # PyTorch's name of a bare parameter is its label
        return None
    x, p = site.name(), site.name()
    merge = pick(site.draw, ("add", "mul", "max"))
    axis = pick(site.draw, ("", ", batch_axis = true", ", init = normal(std = 0.02)"))
    shape = list(site.value.shape)
    return f"skip as {x} -> p{p}: parameter({shape}{axis}) as {p} -> {merge} {{ {x}; {p} }}", Value(site.value.type)


def halves(site: Site) -> Text:
    shape = site.value.shape
    if shape[0] % 2:
        return None
    a, b = site.name(), site.name()
    return f"split(2) as {a}, {b} -> mul {{ {a}; sigmoid({b}) }}", site.of(shape[0] // 2, *shape[1:])


def returned(site: Site) -> Text:
    """Elements come back to where they were."""
    name = site.name()
    return f"skip as {name} -> flatten -> relu -> reshape_as({name})", Value(site.value.type)


def positions(site: Site) -> Text:
    if len(site.value.shape) != 2:
        return None
    return "linear(4) -> positional_encoding", site.of(site.value.shape[0], 4)


def connected(site: Site) -> Text:
    """A convolution whose output channels see some input channels each."""
    if len(site.value.shape) not in (2, 3, 4):
        return None
    channels, *spatial = site.value.shape
    table = [[pick(site.draw, range(channels))] for _ in range(2)] + [list(range(channels))]
    return f"conv(3, 1, table = {table})", site.of(3, *spatial)


def best(site: Site) -> Text:
    """The largest of each row and where they stand; only numbers that are all different have an order."""
    if not site.value.fresh or not site.value.shape:
        return None
    size = site.value.shape[-1]
    count = pick(site.draw, range(1, min(size, 4) + 1))
    return f"topk({count})", site.of(*site.value.shape[:-1], count)


IDIOMS = (
    binary,
    division,
    positive,
    bounded,
    choice,
    masked,
    gram,
    attention,
    mask,
    stateful,
    unpooled,
    learned,
    halves,
    returned,
    positions,
    connected,
    best,
)
POINTWISE = (binary, division, positive, bounded, choice, masked, returned)
