"""Where the field of output position `o` begins or ends on the input: an exact function of `o`."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from itertools import chain
from typing import NamedTuple

#: `o -> floor((o * [0] + [1]) / [2])`
Stage = tuple[int, int, int]

#: Floors that cannot be merged and edges that no other one covers; beyond, which takes branches of very many
#: different strides, a constant bounds them from outside.
MAX_STAGES = 4
MAX_EDGES = 16
#: Positions looked at from either end; longer periods come only from resampling to odd sizes above this.
MAX_PERIOD = 4096


class Edge(NamedTuple):
    """Input position `offset + jump * s` for output position `o`; `s` is `o` after the `stages`, the last one first."""

    offset: int
    jump: int = 0
    stages: tuple[Stage, ...] = ()

    def at(self, o: int) -> int:
        """The input position."""
        for factor, shift, divisor in reversed(self.stages):
            o = (o * factor + shift) // divisor
        return self.offset + self.jump * o


def compose(edge: Edge, factor: int, shift: int, divisor: int) -> Edge:
    """The edge at `floor((o * factor + shift) / divisor)` as an edge at `o`."""
    offset, jump, stages = edge
    if divisor == 1 and not stages:
        return Edge(offset + jump * shift, jump * factor)
    chained = [*stages, _reduced(factor, shift, divisor)]
    while len(chained) > 1 and (merged := _merged(*chained[-2:])):
        chained[-2:] = [merged]
    return _absorbed(offset, jump, chained)


def _reduced(factor: int, shift: int, divisor: int) -> Stage:
    common = math.gcd(factor, divisor)
    return factor // common, shift // common, divisor // common


def _merged(outer: Stage, inner: Stage) -> Stage | None:
    """One stage for two: floor(floor(x / m) / n) = floor(x / mn), but a factor in between keeps them apart."""
    if outer[0] == 1:
        return _reduced(inner[0], inner[1] + outer[1] * inner[2], outer[2] * inner[2])
    if inner[2] == 1:
        return _reduced(outer[0] * inner[0], outer[0] * inner[1] + outer[1], outer[2])
    return None


def _absorbed(offset: int, jump: int, stages: list[Stage]) -> Edge:
    """The outermost stage's whole steps move into offset and jump, so that equal functions are equal edges."""
    factor, shift, divisor = stages[0]
    offset += jump * (shift // divisor)
    if divisor == 1 and len(stages) == 1:
        return Edge(offset, jump * factor)
    return Edge(offset, jump, ((factor, shift % divisor, divisor), *stages[1:]))


def lowest(edges: Iterable[Edge]) -> tuple[Edge, ...]:
    """Edges enough to give the lowest at every position from 0 on."""
    bounded = [edge if len(edge.stages) <= MAX_STAGES else Edge(edge.at(0)) for edge in edges]
    kept = _without(bounded, lambda edge, other: _below(other, edge))
    return kept if len(kept) <= MAX_EDGES else (Edge(min(edge.at(0) for edge in kept)),)


def highest(edges: Iterable[Edge], count: int) -> tuple[Edge, ...]:
    """Edges enough to give the highest at every position below `count`."""
    bounded = [edge if len(edge.stages) <= MAX_STAGES else Edge(edge.at(count - 1)) for edge in edges]
    kept = _without(bounded, _below)
    return kept if len(kept) <= MAX_EDGES else (Edge(max(edge.at(count - 1) for edge in kept)),)


def _without(edges: list[Edge], covered: Callable[[Edge, Edge], bool]) -> tuple[Edge, ...]:
    """Edges that no other one covers, each once."""
    if len(edges) == 1:
        return (edges[0],)
    distinct = list(dict.fromkeys(edges))
    return tuple(edge for edge in distinct if not any(covered(edge, other) for other in distinct if other != edge))


def _below(one: Edge, other: Edge) -> bool:
    """`one` is nowhere above `other`, as offsets and shifts of the same steps tell; the two differ."""
    if one.jump != other.jump or len(one.stages) != len(other.stages):
        return False
    steps = zip(one.stages, other.stages, strict=True)
    return one.offset <= other.offset and all(a[0] == b[0] and a[1] <= b[1] and a[2] == b[2] for a, b in steps)


def sample_positions(edges: Iterable[Edge], count: int) -> Iterable[int]:
    """Positions of 0 to `count - 1` among which the distance between two of the edges, or hulls of them, is largest.

    Over positions that are a period apart every edge is a straight line, so that a hull's width is
    convex and largest at one end: a period at either end is enough.
    """
    periods = (math.prod(divisor for _, _, divisor in edge.stages) for edge in edges)
    period = min(math.lcm(*periods), MAX_PERIOD)
    if count <= 2 * period:
        return range(count)
    return chain(range(period), range(count - period, count))
