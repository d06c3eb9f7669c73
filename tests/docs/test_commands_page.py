"""docs/commands.md against the command line: its examples are run, its tables list every option.

A ```console block holds a command after `$ ` and what it prints, where `...` stands for anything. `<!-- exit: N -->` on
the line before it gives the exit code, 0 without it. The ```arch blocks marked `<!-- file: NAME -->` are the files that
the commands find. The ```python blocks are run before them, in the order of the page.
"""

from __future__ import annotations

import doctest
import io
import re
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import click
import pytest
from PIL import Image

from archdsl.cli.app import COMMANDS, app, run
from archdsl.cli.commands.check import command as check_command

PAGE = (Path(__file__).parents[2] / "docs" / "commands.md").read_text("utf-8")
BLOCK = re.compile(
    r"(?P<marks>(?:^<!-- [^\n]* -->\n)*)^```(?P<kind>console|python|arch)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)
OPTION = re.compile(r"`(--?[a-z]+(?:-[a-z]+)*)\b")


@dataclass(frozen=True)
class Example:
    """A block of the page; `line` is where its text begins."""

    kind: str
    marks: dict[str, str]
    text: str
    line: int


def examples() -> list[Example]:
    return [
        Example(
            match["kind"],
            dict(re.findall(r"<!-- (\w+): (.*?) -->", match["marks"])),
            match["text"],
            PAGE.count("\n", 0, match.start("text")) + 1,
        )
        for match in BLOCK.finditer(PAGE)
    ]


def section(command: str) -> str:
    return PAGE.partition(f"\n## {command}\n")[2].partition("\n## ")[0]


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


def test_examples_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("NO_COLOR", "1")
    Image.new("RGB", (64, 48), (200, 80, 40)).save("photo.jpg")
    Path("photos").mkdir()
    for i in range(8):
        Image.effect_noise((48, 48), 40 + 20 * i).save(f"photos/{i}.png")
    blocks = examples()
    for block in blocks:
        if "file" in block.marks:
            Path(block.marks["file"]).write_text(block.text, "utf-8")
    # files that later examples read are made by Python further down the page
    for block in sorted(blocks, key=lambda block: block.kind != "python"):
        if block.kind == "python":
            exec(compile(block.text, f"commands.md:{block.line}", "exec"), {})  # noqa: S102
        if block.kind == "console":
            check_console(block, monkeypatch)


def check_console(block: Example, monkeypatch: pytest.MonkeyPatch) -> None:
    (command, _, expected) = block.text.partition("\n")
    status, printed = execute(command, monkeypatch)
    assert status == int(block.marks.get("exit", 0)), f"commands.md:{block.line}: {command}\n{printed}"
    agree = doctest.OutputChecker().check_output(expected, printed, doctest.ELLIPSIS)
    assert agree, f"commands.md:{block.line}: {command}\nprinted\n{printed}"


def test_every_command_has_a_section() -> None:
    headings = re.findall(r"^## (\w+)$", PAGE, re.MULTILINE)
    assert [heading for heading in headings if heading in COMMANDS] == list(COMMANDS)


SHARED = set(OPTION.findall(PAGE.partition("take these options:")[2].partition("\n`-h`")[0]))


@pytest.mark.parametrize("name", COMMANDS)
def test_options_are_listed(name: str) -> None:
    command = app.get_command(click.Context(app), name)
    assert command is not None
    actual = {text for option in command.params if isinstance(option, click.Option) for text in option.opts}
    stated = set(OPTION.findall(re.sub(r"```.*?```", "", section(name), flags=re.DOTALL)))
    # sections list an option of their own, or one that works in another way here
    assert stated <= actual
    assert actual - stated <= SHARED


def test_shared_options_are_those_of_most_commands() -> None:
    words = "--input --limit --map --network --partial --quiet --seed --set --verbose --weights -q -v".split()
    assert sorted(SHARED) == words


def test_check_formats_are_described() -> None:
    (form,) = [option for option in check_command.params if option.name == "form"]
    assert isinstance(form.type, click.Choice)
    row = next(line for line in section("check").splitlines() if line.startswith("| `--format"))
    assert re.findall(r"`(\w+)`", row.split("|")[2]) == list(form.type.choices)


def test_values_in_the_python_example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import archdsl

    monkeypatch.chdir(tmp_path)
    (text,) = [block.text for block in examples() if block.marks.get("file") == "net.arch"]
    Path("net.arch").write_text(text, "utf-8")
    (stated,) = re.findall(r"totals\.params +# (\d+)", PAGE)
    assert archdsl.load("net.arch", network="small_wide", classes=5).report().totals.params == int(stated)
