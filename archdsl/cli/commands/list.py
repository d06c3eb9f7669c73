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


NAMES = ("network", "source", "year", "input", "params", "MACs", "held", "explained", "open")
LEAST = 24  # columns below which a citation says nothing


def _print(entries: list[Entry]) -> None:
    from rich.table import Table

    from archdsl.cli.show import console

    rows = [_cells(row) for row in entries]
    out = console()
    table = Table(box=None, header_style="bold", pad_edge=False)
    room = out.width
    for number, name in enumerate(NAMES):
        width = max(len(cells[number]) for cells in ([name] * len(NAMES), *rows))
        table.add_column(name, justify="left" if number < 3 else "right", min_width=width, no_wrap=True)
        room -= width + 2
    if room >= LEAST:
        table.add_column("paper", no_wrap=True, overflow="ellipsis", max_width=room)
    for row, cells in zip(entries, rows, strict=True):
        table.add_row(*cells, *([row.title] if room >= LEAST else []))
    out.print(table)


def _cells(row: Entry) -> list[str]:
    shapes = ", ".join("x".join(map(str, shape)) for shape in row.inputs.values())
    counts = [str(number or "") for number in (row.held, row.explained, row.open)]
    source = row.source.removesuffix(".arch")
    return [row.network, source, str(row.year or ""), shapes, f"{row.params:,}", f"{row.macs:,}", *counts]
