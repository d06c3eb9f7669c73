"""`archdsl fmt`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from archdsl.cli import options
from archdsl.language.diagnostics import ArchError, Diagnostic
from archdsl.language.limits import Limits
from archdsl.language.source import Source


@click.command()
@click.argument("files", nargs=-1, required=True)
@click.option("--check", is_flag=True, help="Write nothing; name the files that would change, and exit with 1.")
@click.option("--diff", is_flag=True, help="Write nothing; print what would change.")
@click.option("--limit", "limits", multiple=True, metavar="NAME=N", callback=options.limits, help="Raise a limit.")
@options.quiet_option
def command(files: tuple[str, ...], check: bool, diff: bool, limits: Limits) -> int:
    """Lay out files in the one form of the language; `-` is standard input, written to standard output.

    FILE is a path, or a folder, which stands for all .arch files below it.

    \b
    Example: archdsl fmt --check specs
    """
    found: list[Diagnostic] = []
    changed = 0
    for name in _expanded(files):
        try:
            source = _read(name, limits)
            text = _formatted(source, limits)
            _deliver(name, source, text, check, diff)
        except ArchError as failure:
            found += failure.diagnostics
            continue
        changed += text != source.text
    if found:
        from archdsl.cli.show import show_diagnostics

        show_diagnostics(found)
    return int(bool(found) or (check and changed > 0))


def _expanded(files: tuple[str, ...]) -> list[str]:
    """Folders as the .arch files below them, in order."""
    names: list[str] = []
    for file in files:
        folder = file != "-" and Path(file).is_dir()
        names += [str(path) for path in sorted(Path(file).rglob("*.arch"))] if folder else [file]
    return names


def _read(name: str, limits: Limits) -> Source:
    from archdsl.language.program import read_source

    if name != "-":
        return read_source(Path(name), name, limits)
    try:
        return Source("<stdin>", sys.stdin.buffer.read().decode("utf-8-sig"))
    except UnicodeDecodeError as problem:
        from archdsl.language.diagnostics import error

        raise error("not-text", f"standard input is not text: byte {problem.start} is not UTF-8") from None


def _formatted(source: Source, limits: Limits) -> str:
    from archdsl.language.format import format_source

    return format_source(source, limits)


def _deliver(name: str, source: Source, text: str, check: bool, diff: bool) -> None:
    """Write the text, or say what would be written."""
    changed = text != source.text
    if diff and changed:
        click.echo(_difference(source, text), nl=False)
    if check or diff:
        if check and changed and not options.said("quiet"):
            click.echo(f"would reformat {source.name}", err=True)
        return
    if name == "-":
        sys.stdout.buffer.write(text.encode())
        return
    if not changed:
        return
    from archdsl.language.output import write_atomic

    write_atomic(name, text.encode())
    if not options.said("quiet"):
        click.echo(f"reformatted {name}")


def _difference(source: Source, text: str) -> str:
    """A unified diff; a last line without its end is marked as `diff` marks it."""
    from difflib import unified_diff

    lines = unified_diff(source.text.splitlines(True), text.splitlines(True), source.name, source.name)
    return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)
