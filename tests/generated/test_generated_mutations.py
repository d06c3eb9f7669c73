"""Random damage to random programs and shipped specs: it ends in diagnostics that lie in the text, or in a network."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from program_mutations import mutations, outcome, shipped
from program_strategy import programs

SECONDS = 5
CALM = settings(
    max_examples=300,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.generate, Phase.shrink],
)


@contextmanager
def at_most(seconds: int) -> Iterator[None]:
    def stop(*_: object) -> None:
        raise TimeoutError(f"more than {seconds} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@CALM
@given(mutations(programs().map(lambda program: program.text)))
def test_damaged_programs(text: str | bytes) -> None:
    with at_most(SECONDS):
        outcome(text)


@CALM
@given(mutations(st.sampled_from(shipped())))
def test_damaged_specs(text: str | bytes) -> None:
    with at_most(SECONDS):
        outcome(text)


@pytest.mark.parametrize("text", [b"\xff\xfe\x00", b"", b"\0", "network main { input x: [2]; relu }\ufeff"])
def test_bytes_that_are_no_program(text: str | bytes) -> None:
    assert outcome(text) == "refused"
