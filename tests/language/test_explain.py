"""Explain pages: each has its form, and its example triggers exactly its diagnostic."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

import archdsl
from archdsl.cli.app import app
from archdsl.language.diagnostics import ArchError
from archdsl.language.explain import CODES, page, title

PACKAGE = Path(archdsl.__file__).parent
PROGRAMS = [code for code in CODES if "```arch" in page(code)]


def section(code: str, name: str) -> str:
    return page(code).partition(f"## {name}\n")[2].partition("\n## ")[0]


def programs(text: str) -> list[str]:
    return re.findall(r"^```arch\n(.*?)^```$", text, re.M | re.S)


def codes_of(program: str, folder: Path) -> set[str]:
    """Codes that `archdsl check` reports; where it has nothing to say, those of compiling the first network."""
    path = folder / "example.arch"
    path.write_text(program, "utf-8")
    result = CliRunner().invoke(app, ["check", str(path), "--format", "json"], standalone_mode=False)
    assert result.exception is None
    found = {diagnostic["code"] for diagnostic in json.loads(result.stdout)["diagnostics"]}
    if found:
        return found
    try:
        archdsl.load(path)
    except ArchError as failure:
        return {diagnostic.code for diagnostic in failure.diagnostics}
    return set()


@pytest.mark.parametrize("code", PROGRAMS)
def test_example_triggers_exactly_its_diagnostic(code, tmp_path):
    (program,) = programs(section(code, "Example"))
    assert codes_of(program, tmp_path) == {code}


@pytest.mark.parametrize("code", PROGRAMS)
def test_corrected_program_is_fine(code, tmp_path):
    (program,) = programs(section(code, "What to do"))
    assert codes_of(program, tmp_path) == set()


def raised_codes() -> set[str]:
    """First arguments of everything that makes a diagnostic, wherever in the package it stands."""
    makers = ("error", "Diagnostic", "ShapeError", "_outside")
    found = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(node, ast.Call) or not node.args or not isinstance(node.args[0], ast.Constant):
                continue
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if name in makers and isinstance(node.args[0].value, str):
                found.add(node.args[0].value)
    return found


def test_every_code_that_is_raised_has_a_page():
    assert len(raised_codes()) > 60
    assert raised_codes() - set(CODES) == set()


def test_every_page_is_about_a_code_that_exists():
    source = "".join(path.read_text("utf-8") for path in PACKAGE.rglob("*.py"))
    named = {code for code in CODES if f'"{code}"' in source}
    assert set(CODES) - named == {"limit-layers", "limit-statements"}
    assert 'f"limit-{what}"' in source


def test_codes_are_sorted_and_there_are_many():
    assert list(CODES) == sorted(CODES)
    assert len(CODES) > 80


@pytest.mark.parametrize("code", CODES)
def test_page_has_its_form(code):
    text = page(code)
    first, blank, paragraph = text.split("\n", 3)[:3]
    assert re.fullmatch(rf"# {code}: [^\n.]{{8,80}}", first)
    assert blank == ""
    assert paragraph
    assert not paragraph.startswith("#")
    assert re.findall(r"^## (.*)$", text, re.M) == ["Example", "Why", "What to do"]
    assert text.endswith("\n")
    assert max(map(len, text.splitlines())) <= 120
    example = text.partition("## Example\n")[2].partition("\n## ")[0]
    assert re.search(r"^```(arch|console)$", example, re.M)


def test_title():
    assert title("concat-shape") == page("concat-shape").splitlines()[0].removeprefix("# concat-shape: ")


@pytest.mark.parametrize("wrong", ["concat-shap", "concatshape", "concat_shape"])
def test_unknown_code_names_the_closest(wrong):
    with pytest.raises(ArchError) as caught:
        page(wrong)
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.code == "bad-option"
    assert "`concat-shape`" in str(diagnostic.help)


@pytest.mark.parametrize("wrong", ["", "zzzzzz", "../version", "/etc/passwd"])
def test_unknown_code_without_a_likeness(wrong):
    with pytest.raises(ArchError, match="no diagnostic"):
        page(wrong)
