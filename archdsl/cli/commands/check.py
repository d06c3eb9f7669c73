"""`archdsl check`."""

from __future__ import annotations

from dataclasses import replace

import click

from archdsl.cli import options
from archdsl.language.diagnostics import ArchError, Diagnostic
from archdsl.language.limits import Limits


@click.command()
@click.argument("files", nargs=-1, required=True)
@click.option("--network", metavar="NAME", help="Only this network; every network of the files without it.")
@click.option("--format", "form", type=click.Choice(["text", "json", "github", "sarif"]), default="text")
@click.option("--strict", is_flag=True, help="Warnings count as errors.")
@click.option("--set", "parameters", multiple=True, metavar="NAME=VALUE", callback=options.parameters,
              help="Override a parameter (repeatable).")  # fmt: skip
@click.option("--input", "inputs", multiple=True, metavar="NAME=CxHxW", callback=options.shapes,
              help="Override an input's shape.")  # fmt: skip
@click.option("--limit", "limits", multiple=True, metavar="NAME=N", callback=options.limits, help="Raise a limit.")
@options.verbosity_options
def command(
    files: tuple[str, ...], network: str | None, form: str, strict: bool, parameters: dict[str, object],
    inputs: dict[str, tuple[int, ...]], limits: Limits,
) -> int:  # fmt: skip
    """Check every network of the files: shapes, names and claims.

    \b
    Example: archdsl check specs/*.arch --strict
    """
    found: dict[object, Diagnostic] = {}
    lines = []
    for file in files:
        diagnostics, line = _check_file(file, network, parameters, inputs, limits)
        lines.append(line)
        for diagnostic in diagnostics:
            found.setdefault(diagnostic.key, _strict(diagnostic) if strict else diagnostic)
    rejected = any(diagnostic.severity == "error" for diagnostic in found.values())
    _show(list(found.values()), form)
    if form == "text" and not options.said("quiet"):
        for line in filter(None, lines):
            click.echo(line)
    return int(rejected)


def _strict(diagnostic: Diagnostic) -> Diagnostic:
    return replace(diagnostic, severity="error") if diagnostic.severity == "warning" else diagnostic


def _check_file(
    file: str, network: str | None, parameters: dict[str, object], inputs: dict[str, tuple[int, ...]], limits: Limits
) -> tuple[list[Diagnostic], str]:
    """Findings about a file's networks, and a line about those that are fine.

    One that needs arguments is left out if others of the file use it, for then it is checked with theirs.
    """
    from archdsl.graph.check import check
    from archdsl.graph.lint import refuse_recursion
    from archdsl.graph.network import Request
    from archdsl.graph.templates import templates
    from archdsl.language.program import read_program
    from archdsl.library import find

    try:
        path, name, network = find(file, network)
        program = read_program(path, name, limits)
        refuse_recursion(program)
    except ArchError as failure:
        return failure.diagnostics, ""
    left_out = [] if network else templates(program, parameters)
    own: list[str | None] = [item.name for item in program.main.networks if item.name not in left_out]
    names = [network] if network else own
    found: list[Diagnostic] = []
    fine = claims = 0
    # a file of blocks for others to use declares no network; an empty one is a mistake
    for wanted in names or ([] if program.main.blocks else [None]):
        try:
            checked = check(program, Request(wanted, parameters, inputs, limits), path)
        except ArchError as failure:
            found += failure.diagnostics
            continue
        found += checked.diagnostics
        fine += 1
        claims += len(checked.graph.verdicts)
    plural = "" if fine == 1 else "s"
    rejected = any(diagnostic.severity == "error" for diagnostic in found)
    return found, "" if rejected else f"{name}: {fine} network{plural} checked, {claims} claims{_unchecked(left_out)}"


def _unchecked(names: list[str]) -> str:
    """Which networks are checked through others only."""
    if not names:
        return ""
    need = "it needs" if len(names) == 1 else "they need"
    return f"; {', '.join(f'`{name}`' for name in names)} left out: {need} arguments"


def _show(diagnostics: list[Diagnostic], form: str) -> None:
    from archdsl.cli.show import show_diagnostics
    from archdsl.language import render_data

    if form == "text":
        if diagnostics:
            show_diagnostics(diagnostics)
        return
    render = {
        "json": render_data.render_json,
        "github": render_data.render_github,
        "sarif": render_data.render_sarif,
    }[form]
    text = render(diagnostics)
    if text:
        click.echo(text.rstrip("\n"))
