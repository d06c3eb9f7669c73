"""What the files of the benchmark share: fresh processes, their cost, and lines of the result."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
ARCHDSL = (sys.executable, "-m", "archdsl")
ENVIRONMENT = {"PYTHONPATH": str(ROOT), "COLUMNS": "120"}
MIB = 2**20

#: The generated module's last class is the network.
LOAD = """
import runpy, sys, torch
names = runpy.run_path(sys.argv[1])
network = [value for value in names.values() if isinstance(value, type) and value.__module__ == "<run_path>"][-1]
model = network().eval()
x = torch.zeros(1, *map(int, sys.argv[2].split("x")))
"""
TORCHINFO = LOAD + "import torchinfo; print(torchinfo.summary(model, input_data=x, verbose=0))"
DYNAMO = LOAD + "torch.onnx.export(model, (x,), sys.argv[3], dynamo=True, verbose=False)"
TORCHSCRIPT = LOAD + "torch.onnx.export(model, (x,), sys.argv[3], dynamo=False)"


@dataclass(frozen=True)
class Cost:
    """Wall seconds, processor seconds and peak MiB of a process."""

    seconds: float
    processor: float
    mib: float


@dataclass(frozen=True)
class Line:
    """One row of the result; `met` None is for information."""

    what: str
    ours: str
    theirs: str
    ratio: str
    target: str
    met: bool | None


def compile_bytecode() -> None:
    """As an installer does; an environment that forbids byte code would time the compiler of Python instead."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    run([sys.executable, "-m", "compileall", "-q", ROOT / "archdsl"], times=1)


def run(*commands: Sequence[object], times: int) -> list[Cost]:
    """Median cost of each command over `times` rounds, so that what else the machine does meets all alike.

    A command's failure ends the benchmark with its own words.
    """
    rounds = [[_run_once([str(word) for word in command]) for command in commands] for _ in range(times)]
    return [
        Cost(*(statistics.median(figures) for figures in zip(*map(astuple, costs), strict=True)))
        for costs in zip(*rounds, strict=True)
    ]


def _run_once(command: list[str]) -> Cost:
    with tempfile.TemporaryFile() as output:
        start = time.perf_counter()
        child = subprocess.Popen(command, stdout=output, stderr=output, cwd=ROOT, env={**os.environ, **ENVIRONMENT})
        _, status, usage = os.wait4(child.pid, 0)
        seconds = time.perf_counter() - start
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            output.seek(0)
            sys.exit(f"{' '.join(command)}\nended with status {child.returncode}:\n{output.read().decode()[-2000:]}")
    # Linux counts in KiB, macOS in bytes
    return Cost(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / (MIB if sys.platform == "darwin" else 1024))


def module(spec: object, path: Path) -> Path:
    """The generated PyTorch module of a network."""
    if not path.exists():
        run([*ARCHDSL, "torch", spec, "-o", path], times=1)
    return path


def at_least(what: str, ours: float, theirs: float, times: float) -> Line:
    faster = theirs / ours
    return Line(what, seconds(ours), seconds(theirs), ratio(faster), f">= {times:g}x faster", faster >= times)


def at_most(what: str, ours: float, theirs: float, times: float) -> Line:
    longer = ours / theirs
    return Line(what, seconds(ours), seconds(theirs), f"{longer:.1f}x", f"<= {times:g}x", longer <= times)


def seconds(seconds: float) -> str:
    return f"{1000 * seconds:.0f} ms" if seconds < 1 else f"{seconds:.2f} s"


def mib(cost: Cost) -> str:
    return f"{cost.mib:.0f} MiB"


def ratio(ratio: float) -> str:
    return f"{ratio:.1f}x"
