"""Calls in turns, on a clock that the calls themselves move."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from archdsl.runtime.timing import BURST, burst, in_turns, median, p90, relative


@dataclass
class Clock:
    """Nanoseconds that only `call` lets pass; `log` holds who was called."""

    now: int = 0
    log: list[str] = field(default_factory=list)

    def __call__(self) -> int:
        return self.now

    def call(self, name: str, *costs: int) -> None:
        """The n-th call of a name takes the n-th cost, the last for all further ones."""
        count = self.log.count(name)
        self.log.append(name)
        self.now += costs[min(count, len(costs) - 1)]


def test_each_call_is_timed_alone_and_the_first_of_a_burst_is_not() -> None:
    clock = Clock()
    assert burst(lambda: clock.call("a", 1000, 1, 2, 3), 3, clock) == [1, 2, 3]
    assert clock.log == ["a"] * 4


def test_turns_alternate_after_warming_up() -> None:
    clock = Clock()
    runs = BURST + 2
    a, b = in_turns([lambda: clock.call("a", 10), lambda: clock.call("b", 7)], runs, 3, clock)
    assert (a, b) == ([10] * runs, [7] * runs)
    first, second = ["a"] * (BURST + 1), ["b"] * (BURST + 1)
    assert clock.log == [*"aaabbb", *first, *second, *"aaabbb"]


def test_slow_spells_meet_only_those_who_run_then() -> None:
    clock = Clock()
    costs = [5] + [5] * BURST + [5] + [50] * BURST  # the machine is slow in the second round
    (found,) = in_turns([lambda: clock.call("a", *costs)], 2 * BURST, 0, clock)
    assert found == [5] * BURST + [50] * BURST


def test_a_ratio_is_taken_within_each_round() -> None:
    slow = [2] * BURST + [4] * BURST + [40] * BURST  # twice as long in two rounds; the machine is slow in the last
    assert relative(slow, [1] * BURST + [20] * BURST + [20] * BURST) == 2
    assert relative([3] * 2, [1] * 2) == 3
    assert relative([6] * (BURST + 1), [2] * BURST + [6]) == 2


def test_median_and_ninth_tenth() -> None:
    assert median([1, 2, 3, 100]) == 2.5
    assert p90(range(1, 12)) == pytest.approx(10)
    assert p90([7]) == 7
