"""How archdsl compares, side by side in one run: `python tools/bench.py [--quick]`.

Every figure is the median over fresh processes, byte code compiled; memory is the child's peak resident
set, growth is in processor time. The other side is given what archdsl generates: the PyTorch module of
`archdsl torch`. Needs torch, torchinfo and onnxscript. Exit status 1 if a target is missed.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass, replace
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).parents[1]
ARCHDSL = (sys.executable, "-m", "archdsl")
ENVIRONMENT = {"PYTHONPATH": str(ROOT), "COLUMNS": "120"}
MIB = 2**20
COUNTS = (512, 1024, 2048, 4096)  # repeats of two layers each

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

STACK = """
network stack {{
    input x: [8, 16, 16]
    body: repeat {count} {{ conv(8, 3, pad = 1) -> relu }}
}}
"""


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


def main() -> int:
    """Measure, print the table, and say whether every target is met."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one run each, and a stack of 256 against the exporters")
    quick = parser.parse_args().quick
    console = Console()
    lines: list[Line] = []
    with tempfile.TemporaryDirectory(prefix="archdsl-bench-") as folder:
        _compile_bytecode()
        for title, measure in MEASURES.items():
            with console.status(title):
                lines += measure(Path(folder), quick)
    console.print(_table(lines, quick))
    return int(any(line.met is False for line in lines))


def _compile_bytecode() -> None:
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


def measure_start(folder: Path, quick: bool) -> list[Line]:
    """`--version` against an empty program, and `check` of googlenet."""
    nothing, version = run([sys.executable, "-c", "pass"], [*ARCHDSL, "--version"], times=5 if quick else 21)
    (checked,) = run([*ARCHDSL, "check", "googlenet"], times=3 if quick else 9)
    return [
        _at_most("--version / python -c pass", version.seconds, nothing.seconds, 3),
        Line("check googlenet", _seconds(checked.seconds), "", "", "< 0.5 s", checked.seconds < 0.5),
    ]


def measure_report(folder: Path, quick: bool) -> list[Line]:
    """`report googlenet` against a torchinfo summary."""
    summary = [sys.executable, "-c", TORCHINFO, _module("googlenet", folder / "googlenet.py"), "3x224x224"]
    ours, theirs = run([*ARCHDSL, "report", "googlenet"], summary, times=1 if quick else 5)
    memory = theirs.mib / ours.mib
    return [
        _at_least("report googlenet / torchinfo", ours.seconds, theirs.seconds, 8),
        Line("... peak memory", _mib(ours), _mib(theirs), _ratio(memory), ">= 4x less", memory >= 4),
    ]


def measure_export(folder: Path, quick: bool) -> list[Line]:
    """`export googlenet` against the dynamo exporter."""
    module = _module("googlenet", folder / "googlenet.py")
    dynamo = [sys.executable, "-c", DYNAMO, module, "3x224x224", folder / "theirs.onnx"]
    ours, theirs = run([*ARCHDSL, "export", "googlenet", "-o", folder / "ours.onnx"], dynamo, times=1 if quick else 3)
    return [_at_least("export googlenet / torch.onnx dynamo", ours.seconds, theirs.seconds, 8)]


def measure_growth(folder: Path, quick: bool) -> list[Line]:
    """Processor time of check, report and export by the number of repeats: does a layer cost more in a longer network?

    What each of the last 2048 repeats takes over what each of the first took: 1 where time is linear,
    2.4 where it is quadratic.
    """
    lines = []
    for command, extra in (("check", []), ("report", []), ("export", ["-o", folder / "stack.onnx"])):
        commands = [[*ARCHDSL, command, _stack(folder, count), *extra] for count in COUNTS]
        seconds = [cost.processor for cost in run(*commands, times=1 if quick else 5)]
        first = (seconds[2] - seconds[0]) / (COUNTS[2] - COUNTS[0])
        last = (seconds[3] - seconds[2]) / (COUNTS[3] - COUNTS[2])
        growth = last / max(first, 1e-9)
        shown = ", ".join(f"{second:.2f}" for second in seconds) + " s"
        title = f"{command}, repeat {', '.join(map(str, COUNTS))}"
        lines.append(Line(title, shown, "", _ratio(growth), "<= 1.5x a layer", growth <= 1.5))
    return lines


def measure_stack(folder: Path, quick: bool) -> list[Line]:
    """`export` of a long chain against torch's two exporters."""
    count = 256 if quick else 2048
    spec = _stack(folder, count)
    arguments = [_module(spec, folder / "stack.py"), "8x16x16", folder / "theirs.onnx"]
    ours, script = run(
        [*ARCHDSL, "export", spec, "-o", folder / "ours.onnx"],
        [sys.executable, "-c", TORCHSCRIPT, *arguments],
        times=1 if quick else 3,
    )
    (dynamo,) = run([sys.executable, "-c", DYNAMO, *arguments], times=1)
    title = f"export / torch.onnx {{}}, repeat {count}"
    first = _at_least(title.format("dynamo"), ours.seconds, dynamo.seconds, 15)
    second = _at_least(title.format("TorchScript"), ours.seconds, script.seconds, 0)
    # the target is for 2048 repeats and the dynamo exporter: at fewer, start-up hides it
    return [first if count == 2048 else _informal(first), _informal(second)]


def _informal(line: Line) -> Line:
    return replace(line, target="", met=None)


MEASURES: dict[str, Callable[[Path, bool], list[Line]]] = {
    "start-up": measure_start,
    "report of googlenet": measure_report,
    "export of googlenet": measure_export,
    "growth with the number of layers": measure_growth,
    "export of a long chain (torch needs half a minute)": measure_stack,
}


def _module(spec: object, path: Path) -> Path:
    """The generated PyTorch module of a network."""
    if not path.exists():
        run([*ARCHDSL, "torch", spec, "-o", path], times=1)
    return path


def _stack(folder: Path, count: int) -> Path:
    path = folder / f"stack{count}.arch"
    path.write_text(STACK.format(count=count), "utf-8")
    return path


def _at_least(what: str, ours: float, theirs: float, times: float) -> Line:
    faster = theirs / ours
    return Line(what, _seconds(ours), _seconds(theirs), _ratio(faster), f">= {times:g}x faster", faster >= times)


def _at_most(what: str, ours: float, theirs: float, times: float) -> Line:
    longer = ours / theirs
    return Line(what, _seconds(ours), _seconds(theirs), f"{longer:.1f}x", f"<= {times:g}x", longer <= times)


def _seconds(seconds: float) -> str:
    return f"{1000 * seconds:.0f} ms" if seconds < 1 else f"{seconds:.2f} s"


def _mib(cost: Cost) -> str:
    return f"{cost.mib:.0f} MiB"


def _ratio(ratio: float) -> str:
    return f"{ratio:.1f}x"


def _table(lines: Sequence[Line], quick: bool) -> Table:
    title = "one run each: figures waver" if quick else "medians over fresh processes"
    table = Table(title=title, title_justify="left", title_style="dim", box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("what", overflow="fold")
    for name in ("archdsl", "other", "ratio", "target"):
        table.add_column(name, justify="right")
    table.add_column("verdict")
    verdicts = {True: "[green]met[/]", False: "[bold red]MISSED[/]", None: ""}
    for line in lines:
        table.add_row(line.what, line.ours, line.theirs, line.ratio, line.target, verdicts[line.met])
    return table


if __name__ == "__main__":
    sys.exit(main())
