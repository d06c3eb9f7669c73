"""`archdsl list`."""

from __future__ import annotations

import json

import click

from archdsl.language.limits import Limits


@click.command()
@click.argument("file", required=False)
@click.option("--format", "form", type=click.Choice(["table", "json"]), default="table")
def command(file: str | None, form: str) -> None:
    """List the networks of a file, or of the whole library.

    \b
    Example: archdsl list specs/lessons.arch
    """
    rows = [row for path, name in _files(file) for row in _networks(path, name)]
    if form == "json":
        click.echo(json.dumps({"networks": rows}, indent=2))
        return
    from rich.table import Table

    from archdsl.cli.show import console

    table = Table()
    for column in ("network", "source", "parameters"):
        table.add_column(column, overflow="fold")
    for row in rows:
        parameters = row["parameters"]
        assert isinstance(parameters, dict)
        table.add_row(str(row["network"]), str(row["source"]), ", ".join(f"{k} = {v}" for k, v in parameters.items()))
    console().print(table)


def _files(file: str | None) -> list[tuple[object, str]]:
    from archdsl.library import family, find, shipped

    if file is not None:
        path, name, _ = find(file, None)
        return [(path, name)]
    return [(path, f"{family(path)}.arch") for path in shipped()]


def _networks(path: object, name: str) -> list[dict[str, object]]:
    from pathlib import Path

    from archdsl.graph.network import declared_parameters
    from archdsl.language.program import read_program

    assert isinstance(path, Path)
    program = read_program(path, name, Limits())
    return [
        {"network": network.name, "source": name, "parameters": declared_parameters(program, network.name)}
        for network in program.main.networks
    ]
