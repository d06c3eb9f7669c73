"""Several calls timed in turns, so that what else the machine does meets all of them alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np

Call = Callable[[], object]
Clock = Callable[[], int]  # nanoseconds

#: timed calls of one turn. The one before them is not timed: it brings back the caches.
#: Single calls in turns took 1.3 times as long as a network alone.
BURST = 5


def in_turns(calls: Sequence[Call], runs: int, warm_up: int, clock: Clock = time.perf_counter_ns) -> list[list[int]]:
    """Nanoseconds of `runs` calls of each, measured round after round in bursts."""
    for call in calls:
        for _ in range(warm_up):
            call()
    found: list[list[int]] = [[] for _ in calls]
    for done in range(0, runs, BURST):
        for call, times in zip(calls, found, strict=True):
            times += burst(call, min(BURST, runs - done), clock)
    return found


def burst(call: Call, count: int, clock: Clock = time.perf_counter_ns) -> list[int]:
    """Nanoseconds of each of `count` calls after one that is not timed."""
    stamps = [0] * (count + 1)
    call()
    stamps[0] = clock()
    for number in range(1, count + 1):
        call()
        stamps[number] = clock()
    return [after - before for before, after in pairwise(stamps)]


def median(times: Sequence[int]) -> float:
    return float(np.median(times))


def relative(times: Sequence[int], others: Sequence[int]) -> float:
    """How many times longer than the others, both from one `in_turns`: the median over the rounds of it.

    Machines have slow spells of seconds (a neighbour, a clock): a round lies in one of them, medians of all runs
    may lie in two.
    """
    rounds = range(0, len(times), BURST)
    return float(np.median([median(times[i : i + BURST]) / median(others[i : i + BURST]) for i in rounds]))


def p90(times: Sequence[int]) -> float:
    """What nine of ten calls stay below, interpolated between neighbours."""
    return float(np.percentile(times, 90))
