"""`archdsl report`."""

from __future__ import annotations

import click

from archdsl.cli import options
from archdsl.language.limits import Limits


@click.command()
@options.network_options
@click.option("--format", "form", type=click.Choice(["table", "json", "csv", "md", "html"]), default="table")
@click.option("--depth", type=click.IntRange(min=0), default=1, show_default=True,
              help="Levels of nesting in the table; 0 shows totals only.")  # fmt: skip
@click.option("--all", "every", is_flag=True, help="Every layer in the table.")
@click.option("--batch", type=click.IntRange(min=1), default=1, show_default=True, help="Samples to count for.")
@click.option("-o", "--output", metavar="F", help="Write to a file instead of the terminal.")
def command(
    file: str, network: str | None, parameters: dict[str, object], inputs: dict[str, tuple[int, ...]], limits: Limits,
    form: str, depth: int, every: bool, batch: int, output: str | None,
) -> None:  # fmt: skip
    """Shapes, parameters, MACs, FLOPs, memory and receptive fields.

    \b
    Example: archdsl report googlenet --depth 2
    """
    from archdsl.emit.report import text

    report = options.load_network(file, network, parameters, inputs, limits).report(batch)
    if form == "table" and output is None:
        from archdsl.cli.show import console
        from archdsl.emit.report.table import render_table

        render_table(report, console(), None if every else depth)
        return
    rendered = _table(report, None if every else depth) if form == "table" else text.FORMATS[form](report)
    if output is None:
        click.echo(rendered.rstrip("\n"))
        return
    from archdsl.language.output import write_atomic

    options.spare_inputs(output)
    write_atomic(output, rendered.encode())


def _table(report: object, depth: int | None) -> str:
    """The table as plain text, for a file."""
    from io import StringIO

    from rich.console import Console

    from archdsl.emit.report.model import Report
    from archdsl.emit.report.table import render_table

    assert isinstance(report, Report)
    buffer = StringIO()
    render_table(report, Console(file=buffer, width=120), depth)
    return buffer.getvalue()
