"""What a network costs as it is written and as it is deployed, side by side."""

from __future__ import annotations

from dataclasses import dataclass

from archdsl.graph.costs import Totals


@dataclass(frozen=True, slots=True)
class Comparison:
    """One quantity of the logical network and of the deployed one, for one sample."""

    quantity: str
    logical: int
    deployed: int


def compare_counts(before: Totals, after: Totals) -> tuple[Comparison, ...]:
    """`layers`, `params` (trained numbers; stored statistics are none), `macs` and `flops` of both."""
    names = ("layers", "params", "macs", "flops")
    return tuple(Comparison(name, getattr(before, name), getattr(after, name)) for name in names)
