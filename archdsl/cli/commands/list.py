"""`archdsl list`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from archdsl.catalogue import Entry


@click.command()
@click.argument("file", required=False)
@click.option("--format", "form", type=click.Choice(["table", "json"]), default="table")
def command(file: str | None, form: str) -> None:
    """List the networks of a file, or of the whole library, and how their papers' figures came out.

    \b
    Example: archdsl list specs/lessons.arch
    """
    from archdsl import catalogue
    from archdsl.library import find

    if file is None:
        entries = catalogue.read() if catalogue.stored().exists() else catalogue.compute()
    else:
        path, name, _ = find(file, None)
        entries = catalogue.entries_of(path, name)
    if form == "json":
        click.echo(catalogue.to_json(entries).rstrip("\n"))
    else:
        _print(entries)


def _print(entries: list[Entry]) -> None:
    from rich.table import Table

    from archdsl.cli.show import console

    table = Table(box=None, header_style="bold")
    for column in ("network", "source", "year"):
        table.add_column(column, no_wrap=column == "network", overflow="fold")
    for column in ("input", "params", "MACs", "held", "explained", "open"):
        table.add_column(column, justify="right")
    for row in entries:
        shapes = ", ".join("x".join(map(str, shape)) for shape in row.inputs.values())
        counts = (str(number or "") for number in (row.held, row.explained, row.open))
        table.add_row(
            row.network,
            row.source.removesuffix(".arch"),
            str(row.year or ""),
            shapes,
            f"{row.params:,}",
            f"{row.macs:,}",
            *counts,
        )
    console().print(table)
