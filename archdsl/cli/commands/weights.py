"""`archdsl weights`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from archdsl.cli import options
from archdsl.language.limits import Limits
from archdsl.language.snippet import escape

if TYPE_CHECKING:
    from collections.abc import Iterator

    from archdsl.api import Network
    from archdsl.weights.fit import Fit


@click.command()
@options.network_options
@options.weight_file_options
@click.option("--init", "--seed", "seed", type=click.IntRange(min=0), default=0, show_default=True, metavar="SEED",
              help="Seed of what is initialized.")  # fmt: skip
@click.option("--against", metavar="F", help="Compare the names and shapes in F with the network's; write nothing.")
@click.option("-o", "--output", metavar="W", help="The file to write: .safetensors or .npz.")
def command(
    file: str, network: str | None, parameters: dict[str, object], inputs: dict[str, tuple[int, ...]], limits: Limits,
    weights: str | None, seed: int, against: str | None, output: str | None,
) -> int:  # fmt: skip
    """Write initialized or converted weights, or compare a file of weights with a network.

    \b
    Examples:
      archdsl weights googlenet --init 1 -o googlenet.safetensors
      archdsl weights googlenet --against checkpoint.pth
    """
    if (output is None) == (against is None) or (against and weights):
        raise click.UsageError("either `-o W` writes weights, or `--against F` compares")
    _refuse_needless(weights, against)
    loaded = options.load_network(file, network, parameters, inputs, limits)
    if against is not None:
        return _compare(loaded, against)
    assert output is not None
    _write(loaded, weights, seed, output)
    return 0


def _refuse_needless(weights: str | None, against: str | None) -> None:
    """Options that would do nothing are mistakes."""
    context = click.get_current_context()
    for option in ("map", "partial"):
        asked = context.meta.get(f"archdsl.{option}") not in (None, False)
        if asked and weights is None and against is None:
            raise click.UsageError(f"`--{option}` needs `--weights F`, whose arrays it is about")
    if against and context.get_parameter_source("seed") == click.core.ParameterSource.COMMANDLINE:
        raise click.UsageError("`--against F` compares names and shapes, so it takes no `--init`")


def _write(loaded: Network, weights: str | None, seed: int, output: str) -> None:
    from archdsl.weights.fit import weights_of
    from archdsl.weights.write import save_weights

    graph = loaded.checked
    declared = weights_of(graph)
    metadata = {"format": "pt", "archdsl.network": graph.name, "archdsl.source_digest": graph.digest}
    save_weights(output, options.load_weights(loaded, weights, seed), declared, metadata)
    if not options.said("quiet"):
        numbers = sum(weight.elements for weight in declared.values())
        _print([f"wrote {output} ({len(declared)} arrays, {numbers:,} numbers)"])


def _compare(loaded: Network, path: str) -> int:
    """Print how the file's names and shapes meet the network's; 1 where they do not."""
    from archdsl.weights.fit import fit, headers_of
    from archdsl.weights.maps import mapped
    from archdsl.weights.read import read_weights

    graph = loaded.checked
    checkpoint = mapped(graph, read_weights(path), click.get_current_context().meta.get("archdsl.map"))
    found = fit(graph, headers_of(checkpoint))
    first = f"{len(found.fitting)} of {len(found.wanted)} arrays of `{graph.name}` fit `{path}`"
    _print([first, *(f"  {remark.message}" for remark in checkpoint.remarks), *_lines(loaded, found)])
    return 0 if found.complete else 1


def _lines(loaded: Network, found: Fit) -> Iterator[str]:
    """What does not fit, why, and what to do about it."""
    from archdsl.weights.causes import advice, causes
    from archdsl.weights.fit import grouped, listed

    yield from (f"  {line}" for line in found.lines())
    if found.spared:
        yield f"  not there, read in training only: {listed(grouped(found.spared, found.wanted))}"
    if found.complete:
        return
    likely = causes(loaded.checked, found)
    for cause in likely:
        yield f"cause: {cause.text}"
        yield from [f"  {cause.help}"] if cause.help else []
    help = advice(found, likely)
    if help and help not in [cause.help for cause in likely]:
        yield f"help: {help}"


def _print(lines: list[str]) -> None:
    """Lines with names from files and paths: whatever these hold, a line stays one, and the terminal can show it."""
    encoding = sys.stdout.encoding or "utf-8"
    text = "\n".join(map(escape, lines))
    click.echo(text.encode(encoding, "backslashreplace").decode(encoding))
