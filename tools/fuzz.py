"""Random programs and random damage: `python tools/fuzz.py --programs 10000 --mutations 10000 --seed 1`.

Programs are valid by construction; their two forms have to agree. Damaged ones have to end in diagnostics. Prints a
summary and one shrunk example for each way to fail, and writes the examples to a folder. Exit status 1 where there is
one.
"""

from __future__ import annotations

import argparse
import os
import re
import resource
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from hypothesis import HealthCheck, Phase, Verbosity, given, seed, settings
from hypothesis import strategies as st
from hypothesis.errors import Flaky
from program_checks import check_program
from program_mutations import mutations, outcome, shipped
from program_strategy import programs

BATCH = 250  # examples between two looks at the clock
SECONDS = 5.0  # for one damaged program
SHRINKING = 60.0  # seconds that may be spent on making one example smaller
SPARE = 1 << 30  # bytes of memory that may be taken besides what is in use at the start


class Finding(Exception):
    """A program for which something does not hold; carries the program's text and how it failed."""


class TooSlow(BaseException):
    """Above `Exception`, so that nothing on the way takes it for a failure that it knows."""


def main() -> int:
    """Read the options and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--programs", type=int, default=1000, help="valid programs to draw")
    parser.add_argument("--mutations", type=int, default=1000, help="damaged programs to draw")
    parser.add_argument("--seed", type=int, default=0, help="another number draws others")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="stop each kind after this long")
    parser.add_argument("--out", type=Path, default=Path("fuzz"), help="folder for programs that fail")
    asked = parser.parse_args()
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_CACHE_HOME"] = folder  # parsed files of others stay where they are
        return run(asked)


def run(asked: argparse.Namespace) -> int:
    """Both kinds; 1 where something was found."""
    found = hunt("programs", programs(), _valid, asked.programs, asked)
    limit_memory()
    texts = st.one_of(st.sampled_from(shipped()), programs().map(lambda program: program.text))
    found += hunt("mutations", mutations(texts), _damaged, asked.mutations, asked)
    return 1 if found else 0


def _valid(program: Any) -> str:
    return within(30, lambda: check_program(program))


def _damaged(text: Any) -> str:
    return within(SECONDS, lambda: outcome(text))


def hunt(
    title: str, strategy: st.SearchStrategy[Any], check: Callable[[Any], str], count: int, asked: argparse.Namespace
) -> int:
    """Draw and check; the number of different ways to fail."""
    start, outcomes = time.monotonic(), Counter[str]()
    findings: dict[str, str] = {}
    number = written = 0
    while (drawn := sum(outcomes.values())) < count and time.monotonic() - start < asked.seconds:
        batch(strategy, check, min(BATCH, count - drawn), asked.seed * 100_003 + number, outcomes, findings)
        number += 1
        for index in range(written, len(findings)):  # as soon as it is known: somebody may be waiting for the next
            way, text = list(findings.items())[index]
            keep(asked.out / f"{title}-{asked.seed}-{index}.arch", way, text)
        written = len(findings)
    print(f"{title}: {sum(outcomes.values())} in {time.monotonic() - start:.0f} s: {dict(outcomes.most_common())}")
    return len(findings)


def keep(path: Path, way: str, text: str) -> None:
    """Write and print one way to fail."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8", errors="surrogateescape")
    print(f"\n{path}: {way}\n{text}", flush=True)


def batch(
    strategy: st.SearchStrategy[Any],
    check: Callable[[Any], str],
    count: int,
    number: int,
    outcomes: Counter[str],
    findings: dict[str, str],
) -> None:
    """Some examples. A way to fail that is known is counted and passed over, a new one is shrunk and ends the batch."""
    fresh: dict[str, str] = {}
    since: list[float] = []

    @settings(
        max_examples=count,
        deadline=None,
        database=None,
        verbosity=Verbosity.quiet,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate, Phase.shrink],
        report_multiple_bugs=False,
    )
    @seed(number)
    @given(strategy)
    def look(example: Any) -> None:
        if since and time.monotonic() - since[0] > SHRINKING:
            return
        way, result = "", ""
        try:
            result = check(example)
        except (Exception, TooSlow) as failure:  # noqa: BLE001 (whatever it is, it is a finding)
            way, tail = _way(failure), _tail(failure)
        if not way:
            outcomes[result] += not fresh
        elif way in findings:
            outcomes["failed as before"] += 1
        elif way in fresh or not fresh:  # the turn of another failure comes in another batch
            since.append(time.monotonic())
            fresh[way] = f"{_text(example)}\n# {way}\n{tail}"
            raise Finding(way)  # out here, since hypothesis tells failures apart by what they come from

    try:
        look()
    except (Finding, Flaky):  # flaky: which of several failures comes first may depend on memory or time
        outcomes["failed"] += 1
        findings.update(fresh)


def _text(example: Any) -> str:
    text = getattr(example, "text", example)
    return text.decode("utf-8", "surrogateescape") if isinstance(text, bytes) else str(text)


def _tail(failure: BaseException) -> str:
    lines = "".join(traceback.format_exception(failure)).splitlines()[-12:]
    return "".join(f"#   {line}\n" for line in lines)


def _way(failure: BaseException) -> str:
    """What failures of the same cause have in common: the kind, the place in the package, and words of the message."""
    frames = [frame for frame in traceback.extract_tb(failure.__traceback__) if "archdsl" in frame.filename]
    place = f"{Path(frames[-1].filename).name.split('_generated_')[0]}:{frames[-1].name}" if frames else ""
    words = re.sub(r"\d+|`[^`]*`|/[^ ]*", "", str(failure).split("\n")[0])[:60]
    return f"{type(failure).__name__} in {place}: {words}"


def within(seconds: float, run: Callable[[], str]) -> str:
    """The result, or `TooSlow` after so many seconds of this process' time on the clock."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        raise TooSlow(f"more than {seconds} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        return run()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def limit_memory() -> None:
    """From here on, what would take a gigabyte more than now is a `MemoryError`."""
    pages = int(Path("/proc/self/statm").read_text("utf-8").split()[0])
    most = pages * resource.getpagesize() + SPARE
    resource.setrlimit(resource.RLIMIT_AS, (most, resource.getrlimit(resource.RLIMIT_AS)[1]))


if __name__ == "__main__":
    sys.exit(main())
