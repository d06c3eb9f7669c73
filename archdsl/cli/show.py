"""What a person reads on the terminal."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

from archdsl.language.diagnostics import Diagnostic

if TYPE_CHECKING:
    from rich.console import Console


def show_diagnostics(diagnostics: Sequence[Diagnostic]) -> None:
    """Diagnostics as text on stderr."""
    from archdsl.language.render import render_text

    text = render_text(diagnostics, color=wants_color(sys.stderr), width=width())
    print(text.rstrip("\n"), file=sys.stderr)


def wants_color(stream: TextIO) -> bool:
    """Colour on a terminal, unless NO_COLOR says otherwise (no-color.org)."""
    return stream.isatty() and not os.environ.get("NO_COLOR")


def width() -> int:
    """Columns of the terminal, 100 where there is none."""
    return shutil.get_terminal_size((100, 24)).columns


def console() -> Console:
    """Rich's console on stdout, as wide as the terminal, or as 120 columns where there is none."""
    from rich.console import Console

    return Console() if sys.stdout.isatty() else Console(width=int(os.environ.get("COLUMNS", "120")))


@contextmanager
def steps(titles: Sequence[str], quiet: bool = False) -> Iterator[Iterator[None]]:
    """Progress over named steps on a terminal's stderr; call `next` when a step begins."""
    if quiet or not sys.stderr.isatty():
        yield iter(lambda: None, ...)
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description:<28}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        yield _advance(progress, titles)


def _advance(progress: object, titles: Sequence[str]) -> Iterator[None]:
    from rich.progress import Progress

    assert isinstance(progress, Progress)
    task = progress.add_task("", total=len(titles))
    for done, title in enumerate(titles):
        progress.update(task, description=title, completed=done, refresh=True)
        yield
    progress.update(task, completed=len(titles), refresh=True)
    while True:
        yield


def warn_of_still(outputs: tuple[str, ...]) -> None:
    """Say that a comparison proves little: these outputs hardly depend on the input."""
    if outputs:
        names, verb = ", ".join(f"`{name}`" for name in outputs), "is" if len(outputs) == 1 else "are"
        what = f"{names} {verb} almost the same for every input with these weights, so little is proved"
        print(f"{what}; give trained ones with `--weights`", file=sys.stderr)
