"""`archdsl expand`."""

from __future__ import annotations

import click

from archdsl.cli import options
from archdsl.language.limits import Limits


@click.command()
@options.network_options
@click.option("-o", "--output", metavar="F", help="Write to a file instead of the terminal.")
def command(
    file: str, network: str | None, parameters: dict[str, object], inputs: dict[str, tuple[int, ...]], limits: Limits,
    output: str | None,
) -> None:  # fmt: skip
    """One flat network: no blocks, loops, conditions and parameters, every argument written out.

    \b
    Example: archdsl expand resnet18 -o resnet18.arch
    """
    text = options.load_network(file, network, parameters, inputs, limits).arch_source()
    if output is None:
        click.echo(text, nl=False)
        return
    from archdsl.language.output import write_atomic

    options.spare_inputs(output)
    write_atomic(output, text.encode())
