"""`archdsl profile`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from archdsl.cli import options
from archdsl.language.limits import Limits

if TYPE_CHECKING:
    from archdsl.graph.graph import CheckedGraph
    from archdsl.runtime.profile import Profile


@click.command()
@options.network_options
@options.weight_options
@click.option("--batch", type=options.BATCH, help="Samples of one run; 1, or what a file fixes, without it.")
@click.option(
    "--threads",
    type=options.THREADS,
    help="Threads within one operation, at most four for each core; one for each without.",
)
@click.option("--runs", type=click.IntRange(min=1), default=20, show_default=True, help="Runs after warming up.")
@click.option("--format", "form", type=click.Choice(["table", "json", "source"]), default="table")
def command(
    file: str, network: str | None, parameters: dict[str, object], inputs: dict[str, tuple[int, ...]], limits: Limits,
    weights: str | None, seed: int, batch: int | None, threads: int | None, runs: int, form: str,
) -> None:  # fmt: skip
    """Which line of a spec, or which node of an .onnx file, costs what: time, MACs and memory.

    \b
    Example: archdsl profile googlenet --format source
    """
    from archdsl.cli.models import exported, is_onnx, open_inputs, refuse_spec_options
    from archdsl.runtime.profile import profile

    if not is_onnx(file):
        loaded = options.load_network(file, network, parameters, inputs, limits)
        with exported(loaded, options.load_weights(loaded, weights, seed)) as path:
            found = profile(path, file, batch, open_inputs(loaded), threads=threads or 0, runs=runs)
        return _print(found, loaded.checked, form)
    refuse_spec_options()
    if form == "source":
        raise click.UsageError("an .onnx file has no source to annotate; give the spec")
    return _print(profile(Path(file), file, batch, inputs, threads=threads or 0, runs=runs), None, form)


def _print(found: Profile, graph: CheckedGraph | None, form: str) -> None:
    from archdsl.cli import costs
    from archdsl.cli.show import console
    from archdsl.runtime.lines import attributed, to_dict

    shares = attributed(found, graph) if graph is not None else None
    if form == "json":
        click.echo(json.dumps(to_dict(found, shares), indent=2))
    elif form == "source":
        assert shares is not None
        click.echo(costs.annotated(found, shares))
    else:
        out = console()
        for table in costs.by_line(found, shares, out.width) if shares else costs.by_node(found, out.width):
            out.print(table)
            out.print()
        note = [f"MACs are not known, since {found.note}"] if found.note and shares is None else []
        for line in [*note, *costs.conditions(found)]:
            out.print(line, markup=False, highlight=False, soft_wrap=True)
