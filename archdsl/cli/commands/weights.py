"""`archdsl weights`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from archdsl.cli import options
from archdsl.language.limits import Limits

if TYPE_CHECKING:
    from archdsl.api import Network


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
    loaded = options.load_network(file, network, parameters, inputs, limits)
    if against is not None:
        return _compare(loaded, against)
    assert output is not None
    _write(loaded, weights, seed, output)
    return 0


def _write(loaded: Network, weights: str | None, seed: int, output: str) -> None:
    from archdsl.weights.fit import weights_of
    from archdsl.weights.write import save_weights

    graph = loaded.checked
    declared = weights_of(graph)
    metadata = {"format": "pt", "archdsl.network": graph.name, "archdsl.source_digest": graph.digest}
    save_weights(output, options.load_weights(loaded, weights, seed), declared, metadata)
    if not options.said("quiet"):
        numbers = sum(weight.elements for weight in declared.values())
        click.echo(f"wrote {output} ({len(declared)} arrays, {numbers:,} numbers)")


def _compare(loaded: Network, path: str) -> int:
    """Print how the file's names and shapes meet the network's; 1 where they do not."""
    from archdsl.weights.causes import causes
    from archdsl.weights.fit import fit, grouped, headers_of, listed
    from archdsl.weights.maps import mapped
    from archdsl.weights.read import read_weights

    graph = loaded.checked
    checkpoint = mapped(graph, read_weights(path), click.get_current_context().meta.get("archdsl.map"))
    found = fit(graph, headers_of(checkpoint))
    lines = [f"{len(found.fitting)} of {len(found.wanted)} arrays of `{graph.name}` fit `{path}`"]
    lines += [f"  {remark.message}" for remark in checkpoint.remarks]
    lines += [f"  {line}" for line in found.lines()]
    if found.spared:
        lines.append(f"  not there, read in training only: {listed(grouped(found.spared, found.wanted))}")
    for cause in [] if found.complete else causes(graph, found):
        lines.append(f"cause: {cause.text}")
        lines += [f"  {cause.help}"] if cause.help else []
    click.echo("\n".join(lines))
    return 0 if found.complete else 1
