"""`archdsl bench`."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import click

from archdsl.cli import options
from archdsl.language.limits import Limits

if TYPE_CHECKING:
    from archdsl.runtime.bench import Bench, Candidate, Timing


@click.command()
@click.argument("files", nargs=-1, required=True)
@click.option("--batch", type=options.BATCH, help="Samples of one run; 1, or what a file fixes, without it.")
@click.option(
    "--threads",
    type=options.THREADS,
    help="Threads within one operation, at most four for each core; one for each without.",
)
@click.option("--device", type=click.Choice(["cpu", "cuda"]), default="cpu", show_default=True,
              help="cuda fails where there is none; it never falls back.")  # fmt: skip
@click.option("--runs", type=click.IntRange(min=1), default=30, show_default=True, help="Timed runs of each file.")
@click.option("--warm-up", type=click.IntRange(min=0), default=3, show_default=True, help="Runs before them.")
@click.option("--format", "form", type=click.Choice(["table", "json"]), default="table")
@click.option("--network", metavar="NAME", help="Network of the specs; their first where none is named.")
@click.option("--set", "parameters", multiple=True, metavar="NAME=VALUE", callback=options.parameters,
              help="Override a parameter of the specs (repeatable).")  # fmt: skip
@click.option("--input", "inputs", multiple=True, metavar="NAME=CxHxW", callback=options.shapes,
              help="An input's shape, without the batch.")  # fmt: skip
@click.option("--limit", "limits", multiple=True, metavar="NAME=N", callback=options.limits, help="Raise a limit.")
@options.quiet_option
def command(
    files: tuple[str, ...], batch: int | None, threads: int | None, device: str, runs: int, warm_up: int, form: str,
    network: str | None, parameters: dict[str, object], inputs: dict[str, tuple[int, ...]], limits: Limits,
) -> None:  # fmt: skip
    """Latency and throughput on onnxruntime, and the share of the machine's own rate that is reached.

    FILE is a spec or any .onnx file. Several are measured in turns.

    \b
    Example: archdsl bench googlenet resnet50 --threads 2
    """
    from archdsl.cli.models import is_onnx, refuse_spec_options
    from archdsl.cli.show import steps
    from archdsl.runtime.bench import bench

    if all(map(is_onnx, files)):
        refuse_spec_options()
    with ExitStack() as stack, steps(["checking and exporting", "measuring"], options.said("quiet")) as step:
        next(step)
        found = [_candidate(stack, file, network, parameters, inputs, limits) for file in files]
        next(step)
        result = bench(found, batch, device=device, threads=threads or 0, runs=runs, warm_up=warm_up)  # type: ignore[arg-type]
        next(step)
    if form == "json":
        import json

        click.echo(json.dumps(result.to_dict(), indent=2))
    else:
        _print(result)


def _candidate(
    stack: ExitStack, file: str, network: str | None, parameters: dict[str, object],
    inputs: dict[str, tuple[int, ...]], limits: Limits,
) -> Candidate:  # fmt: skip
    """An ONNX file as it is; a spec exported, its MACs from the report."""
    from pathlib import Path

    from archdsl.cli.models import exported, is_onnx, open_inputs
    from archdsl.runtime.bench import Candidate

    if is_onnx(file):
        return Candidate(file, Path(file), inputs=inputs)
    loaded = options.load_network(file, network, parameters, inputs, limits)
    path = stack.enter_context(exported(loaded, loaded.initialize()))
    return Candidate(file, path, loaded.report().totals.macs, open_inputs(loaded))


def _print(result: Bench) -> None:
    from rich.table import Table

    from archdsl.cli.show import console

    out = console()
    table = Table(title="latency of one run", box=None, header_style="bold", pad_edge=False, title_justify="left")
    for name in ("file", "batch", "median", "p90", "samples/s", "ratio", "MACs", "of GEMM rate"):
        table.add_column(name, justify="left" if name == "file" else "right", overflow="fold")
    for row in result.timings:
        table.add_row(*_cells(row))
    out.print(table)
    out.print()
    for row in result.timings:
        if row.note:
            out.print(f"{row.name}: MACs are not known, since {row.note}", markup=False, highlight=False)
    for line in _conditions(result):
        out.print(line, markup=False, highlight=False, soft_wrap=True)


def _cells(row: Timing) -> list[str]:
    macs = "" if row.macs is None else f"{row.macs:,}"
    share = "" if row.share is None else f"{row.share:.1%}"
    return [
        row.name, str(row.batch), f"{row.median_ms:.2f} ms", f"{row.p90_ms:.2f} ms", f"{row.throughput:,.1f}",
        f"{row.ratio:.2f}", macs, share,
    ]  # fmt: skip


def _conditions(result: Bench) -> list[str]:
    """How and on what it was measured."""
    on, size = result.machine, result.gemm.size
    threads = f"{on.threads} thread{'s' if on.threads > 1 else ''}" if on.threads else "a thread for each core"
    return [
        f"{result.runs} runs each in turns, after {result.warm_up}; {threads}, {on.provider}",
        f"GEMM rate: {result.gemm.flops / 1e9:,.1f} GFLOP/s, {size}x{size} by {size}x{size} float32 in the same turns",
        f"onnxruntime {on.onnxruntime}, archdsl {on.archdsl}, Python {on.python}, {on.system}",
        f"{on.cpu}, {on.cores} core{'s' if on.cores > 1 else ''}",
    ]
