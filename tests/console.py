"""Pages whose examples are run: files, commands with what they print, and Python, as a reader meets them.

A ```console block has a command after `$ ` and what it prints, where `...` stands for anything. `<!-- exit: N -->`
on the line before it gives the exit code, 0 without it. An ```arch block marked `<!-- file: NAME -->` is a file that
commands find; a ```python block is executed.
"""

from __future__ import annotations

import doctest
import io
import re
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from archdsl.cli.app import app, run

BLOCK = re.compile(
    r"(?P<marks>(?:^<!-- [^\n]* -->\n)*)^```(?P<kind>console|python|arch)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)


@dataclass(frozen=True)
class Example:
    """A block of a page; `where` is the page and the line on which its text begins."""

    kind: str
    marks: dict[str, str]
    text: str
    where: str


def examples(page: Path) -> list[Example]:
    """The blocks of a page, in order."""
    text = page.read_text("utf-8")
    return [
        Example(
            match["kind"],
            dict(re.findall(r"<!-- (\w+): (.*?) -->", match["marks"])),
            match["text"],
            f"{page.name}:{text.count(chr(10), 0, match.start('text')) + 1}",
        )
        for match in BLOCK.finditer(text)
    ]


def run_example(block: Example, monkeypatch: pytest.MonkeyPatch) -> None:
    """Write a file, execute Python, or hold a command against what it prints."""
    if "file" in block.marks:
        Path(block.marks["file"]).write_text(block.text, "utf-8")
    if block.kind == "python":
        exec(compile(block.text, block.where, "exec"), {})  # noqa: S102
    if block.kind == "console":
        check_console(block, monkeypatch)


def check_console(block: Example, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a command prints and returns is what its block says."""
    (command, _, expected) = block.text.partition("\n")
    status, printed = execute(command, monkeypatch)
    assert status == int(block.marks.get("exit", 0)), f"{block.where}: {command}\n{printed}"
    agree = doctest.OutputChecker().check_output(expected, printed, doctest.ELLIPSIS)
    assert agree, f"{block.where}: {command}\nprinted\n{printed}"


def execute(line: str, monkeypatch: pytest.MonkeyPatch) -> tuple[int, str]:
    """Exit code and everything printed, as on a terminal that shows both streams."""
    output = io.StringIO()
    with monkeypatch.context() as patch:
        patch.setattr(sys, "argv", line.removeprefix("$ ").split())
        patch.setattr(sys, "stdout", output)
        patch.setattr(sys, "stderr", output)
        patch.setattr(app, "main", partial(app.main, prog_name="archdsl"))
        status = run()
    return status, "".join(f"{text.rstrip()}\n" for text in output.getvalue().splitlines())
