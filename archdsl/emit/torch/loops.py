"""Runs of lines that differ only in the numbers of the modules they name, to be written as `for` loops.

A part whose children are numbered but not all one chain has a line for each of them in `__init__` and in `forward`:
`repeat 2048 { conv(8, 3, pad = 1) -> relu }` before a labelled layer would make 4096 lines.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

#: `self["12"]`: how `spelling.attribute` names a numbered module.
NUMBERED = re.compile(r'self\["(\d+)"\]')
LONGEST_PERIOD = 8
FEWEST_REPEATS = 3


@dataclass(frozen=True, slots=True)
class Loop:
    """Lines `start` to `start + period * count`: the first `period` of them, `count` times, numbers up by `step`."""

    start: int
    period: int
    count: int
    first: int
    step: int


def loops(texts: Sequence[str]) -> list[Loop]:
    """Runs worth a loop, in order and apart; linear in the number of lines."""
    words = [NUMBERED.sub("#", text) for text in texts]
    numbers = [tuple(map(int, NUMBERED.findall(text))) for text in texts]
    longest = min(LONGEST_PERIOD, len(texts) // FEWEST_REPEATS)
    ahead = {period: _ahead(words, numbers, period) for period in range(1, longest + 1)}
    found: list[Loop] = []
    position = 0
    while position < len(texts):
        loop = _longest(ahead, numbers, position)
        position += loop.period * loop.count if loop else 1
        found += [loop] if loop else []
    return found


def _ahead(words: Sequence[str], numbers: Sequence[tuple[int, ...]], period: int) -> list[tuple[int, int | None]]:
    """For each line, how many from there on are the one `period` later but for the numbers, and by how much those rise.

    The rise is None where no line has a number.
    """
    result: list[tuple[int, int | None]] = [(0, None)] * (len(words) + 1)
    for position in range(len(words) - period - 1, -1, -1):
        later = position + period
        rises = {b - a for a, b in zip(numbers[position], numbers[later], strict=False)}
        if words[position] != words[later] or len(rises) > 1:
            continue
        length, step = result[position + 1]
        rise = rises.pop() if rises else step
        result[position] = (length + 1, rise) if step in (None, rise) else (1, rise)
    return result


def _longest(
    ahead: dict[int, list[tuple[int, int | None]]], numbers: Sequence[tuple[int, ...]], position: int
) -> Loop | None:
    """The loop that covers most lines from here, the shorter period of equals."""
    best: Loop | None = None
    for period, lines in ahead.items():
        length, step = lines[position]
        count = length // period + 1
        named = [number for line in numbers[position : position + period] for number in line]
        if count < FEWEST_REPEATS or not step or step < 0 or not named:
            continue
        if best is None or period * count > best.period * best.count:
            best = Loop(position, period, count, min(named), step)
    return best


def renumbered(loop: Loop, variable: str) -> Callable[[str], str]:
    """Changes the text of a loop's body: `self["12"]` becomes `self[str(i)]` or `self[str(i + 1)]`."""

    def written(match: re.Match[str]) -> str:
        offset = int(match[1]) - loop.first
        return f"self[str({variable}{f' + {offset}' if offset else ''})]"

    return lambda text: NUMBERED.sub(written, text)


def header(loop: Loop, variable: str) -> str:
    """`for i in range(0, 4096, 2):`"""
    step = f", {loop.step}" if loop.step > 1 else ""
    return f"for {variable} in range({loop.first}, {loop.first + loop.step * loop.count}{step}):"
