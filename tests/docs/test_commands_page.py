"""docs/commands.md against the command line: its examples are run, its tables list every option.

The form of the examples is that of tests/console.py. Files are written first, then Python is run, then the commands,
each in the order of the page.
"""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest
from console import examples, run_example
from PIL import Image

from archdsl.cli.app import COMMANDS, app
from archdsl.cli.commands.check import command as check_command

COMMANDS_PAGE = Path(__file__).parents[2] / "docs" / "commands.md"
PAGE = COMMANDS_PAGE.read_text("utf-8")
OPTION = re.compile(r"`(--?[a-z]+(?:-[a-z]+)*)\b")


def section(command: str) -> str:
    return PAGE.partition(f"\n## {command}\n")[2].partition("\n## ")[0]


def test_examples_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("NO_COLOR", "1")
    Image.new("RGB", (64, 48), (200, 80, 40)).save("photo.jpg")
    Path("photos").mkdir()
    for i in range(8):
        Image.effect_noise((48, 48), 40 + 20 * i).save(f"photos/{i}.png")
    # files that later examples read are made by Python further down the page
    order = ("arch", "python", "console")
    for block in sorted(examples(COMMANDS_PAGE), key=lambda block: order.index(block.kind)):
        run_example(block, monkeypatch)


def test_every_command_has_a_section() -> None:
    headings = re.findall(r"^## (\w+)$", PAGE, re.MULTILINE)
    assert [heading for heading in headings if heading in COMMANDS] == list(COMMANDS)


def test_readme_lists_every_command() -> None:
    text = (COMMANDS_PAGE.parents[1] / "README.md").read_text("utf-8")
    assert set(re.findall(r"^\| `archdsl (\w+)", text, re.MULTILINE)) == set(COMMANDS)


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
    (text,) = [block.text for block in examples(COMMANDS_PAGE) if block.marks.get("file") == "net.arch"]
    Path("net.arch").write_text(text, "utf-8")
    (stated,) = re.findall(r"totals\.params +# (\d+)", PAGE)
    assert archdsl.load("net.arch", network="small_wide", classes=5).report().totals.params == int(stated)
