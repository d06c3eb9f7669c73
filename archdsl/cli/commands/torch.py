"""`archdsl torch`."""

from __future__ import annotations

import click

from archdsl.cli import options
from archdsl.language.limits import Limits


@click.command()
@options.network_options
@click.option("-o", "--output", metavar="X.py", help="The file to write; the terminal without it.")
def command(
    file: str, network: str | None, parameters: dict[str, object], inputs: dict[str, tuple[int, ...]], limits: Limits,
    output: str | None,
) -> None:  # fmt: skip
    """Readable PyTorch source, self-contained; its state_dict keys are the spec's paths.

    \b
    Example: archdsl torch googlenet -o googlenet.py
    """
    from archdsl.emit.torch.source import torch_source
    from archdsl.language.output import write_atomic

    source = torch_source(options.load_network(file, network, parameters, inputs, limits).checked)
    if output is None:
        click.echo(source.rstrip("\n"))
        return
    options.spare_inputs(output)
    write_atomic(output, source.encode())
    if not options.said("quiet"):
        click.echo(f"wrote {output}")
