"""`archdsl explain`."""

from __future__ import annotations

import sys

import click

from archdsl.language.explain import CODES, page


@click.command()
@click.argument("code", required=False)
def command(code: str | None) -> None:
    """Explain a diagnostic: what it means, an example, and what to do.

    \b
    Example: archdsl explain concat-shape
    """
    if code is None:
        click.echo("\n".join(CODES))
        return
    if not sys.stdout.isatty():
        click.echo(page(code).rstrip("\n"))
        return
    from rich.markdown import Markdown

    from archdsl.cli.show import console

    console().print(Markdown(page(code)))
