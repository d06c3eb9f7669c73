"""What the compiler says about wrong files, word for word and column for column.

Each `tests/diagnostics/CODE.arch` (or `CODE_more.arch`, or a folder with a `main.arch`) triggers CODE. What is expected
stands in comments below the offending line, with carets under the first line of the primary span:

    conv1: conv(64, 7, strde = 2)
    #                  ^^^^^ error[unknown-argument]: `conv` has no argument `strde`

A span at column 1, or behind a tab or a wide character, is written `#@1+5 error...` (column and length), a finding
without a place `#@file error...`. Both directions are checked: what is expected is reported, and what is reported is
expected. The text that `archdsl check` prints is in `tests/golden/diagnostics`. `--update-golden` rewrites both; read
the difference before you keep it.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from archdsl.cli.app import app
from archdsl.language.explain import CODES, page

FOLDER = Path(__file__).parent.parent / "diagnostics"
CASES = sorted(
    [path.relative_to(FOLDER).as_posix() for path in FOLDER.glob("*.arch")]
    + [path.relative_to(FOLDER).as_posix() for path in FOLDER.glob("*/main.arch")]
)
EXPECTATION = re.compile(
    r"^\s*#(?:\s*(?P<carets>\^+)|@(?P<column>\d+)\+(?P<length>\d+)|@(?P<file>file)) "
    r"(?P<severity>error|warning|note)\[(?P<code>[a-z-]+)\]: (?P<message>.+)$"
)


@dataclass(frozen=True, order=True)
class Finding:
    """A diagnostic as the tests see it; line 0 where it has no place."""

    file: str
    line: int
    column: int
    length: int
    severity: str
    code: str
    message: str


@pytest.fixture(autouse=True)
def in_the_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are named as a user would name them there."""
    monkeypatch.chdir(FOLDER)


def run(*arguments: str) -> Result:
    """A command of the command line; an exception that it lets through fails the test."""
    result = CliRunner().invoke(app, arguments, env={"COLUMNS": "100"}, standalone_mode=False)
    if result.exception is not None:
        raise result.exception
    return result


def check(file: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(run("check", file, "--format", "json").stdout)["diagnostics"]
    return found


def as_finding(diagnostic: dict[str, Any]) -> Finding:
    fields = (diagnostic["severity"], diagnostic["code"], diagnostic["message"])
    if diagnostic["line"] is None:
        return Finding("", 0, 0, 0, *fields)
    line = Path(diagnostic["file"]).read_text("utf-8").split("\n")[diagnostic["line"] - 1]
    same_line = diagnostic["line"] == diagnostic["end_line"]
    end = diagnostic["end_column"] if same_line else len(line.rstrip()) + 1
    length = max(1, end - diagnostic["column"])
    return Finding(diagnostic["file"], diagnostic["line"], diagnostic["column"], length, *fields)


def reported(case: str) -> list[Finding]:
    return sorted(set(map(as_finding, check(case))))


def files_of(case: str) -> list[str]:
    """The files of a case: one, or all of a folder."""
    if "/" not in case:
        return [case]
    return sorted(path.relative_to(FOLDER).as_posix() for path in (FOLDER / case).parent.glob("*.arch"))


def expectations(file: str) -> list[Finding]:
    found, target = [], 0
    for number, line in enumerate(Path(file).read_text("utf-8").split("\n"), 1):
        match = EXPECTATION.match(line)
        if match is None:
            target = number
        elif match["file"]:
            found.append(Finding("", 0, 0, 0, match["severity"], match["code"], match["message"]))
        else:
            column = int(match["column"] or match.start("carets") + 1)
            length = int(match["length"] or len(match["carets"]))
            found.append(Finding(file, target, column, length, match["severity"], match["code"], match["message"]))
    return found


def annotate(case: str) -> None:
    """Write the expectations anew from what is reported."""
    for file in files_of(case):
        kept = [line for line in Path(file).read_text("utf-8").split("\n") if not EXPECTATION.match(line)]
        Path(file).write_text("\n".join(kept), "utf-8")
    found = reported(case)
    for file in files_of(case):
        lines = Path(file).read_text("utf-8").split("\n")
        for finding in reversed([finding for finding in found if finding.file == file]):
            lines.insert(finding.line, expectation(finding, lines[finding.line - 1]))
        lines[-1:] = [expectation(f, "") for f in found if not f.file and file == case] + lines[-1:]
        Path(file).write_text("\n".join(lines), "utf-8")


def expectation(finding: Finding, line: str) -> str:
    """The comment that expects a finding."""
    text = f" {finding.severity}[{finding.code}]: {shortened(finding.message)}"
    if finding.line == 0:
        return f"#@file{text}"
    before = line[: finding.column]
    if finding.column == 1 or "\t" in before or not before.isascii():  # where carets cannot stand, or not be aligned
        return f"#@{finding.column}+{finding.length}{text}"
    indent = min(len(line) - len(line.lstrip()), finding.column - 2)
    return " " * indent + "#" + " " * (finding.column - indent - 2) + "^" * finding.length + text


def shortened(message: str) -> str:
    """What a comment can hold of a message: not the quotes that would end an open docstring."""
    return message.partition(' `"""')[0]


@pytest.mark.parametrize("case", CASES)
def test_reported_is_expected_and_expected_is_reported(case, golden, request):
    if request.config.getoption("--update-golden"):
        annotate(case)
    expected = sorted(finding for file in files_of(case) for finding in expectations(file))
    assert [replace(finding, message=shortened(finding.message)) for finding in reported(case)] == expected
    assert code_of(case) in {finding.code for finding in expected}


@pytest.mark.parametrize("case", CASES)
def test_text_is_golden(case, golden):
    result = run("check", case, "--quiet")
    golden(f"diagnostics/{case.removesuffix('/main.arch').removesuffix('.arch')}.txt", result.stderr)
    assert result.return_value == int("error[" in result.stderr)


def code_of(case: str) -> str:
    return case.partition("/")[0].removesuffix(".arch").partition("_")[0]


@pytest.mark.parametrize("case", CASES)
def test_fixes_do_what_they_say(case, tmp_path, monkeypatch):
    """The edited file no longer has the error, and no other one instead."""
    before = check(case)
    for diagnostic in before:
        if diagnostic["fix"] is None:
            continue
        monkeypatch.chdir(FOLDER)
        (edit,) = diagnostic["fix"]["edits"]
        for file in files_of(case):
            (tmp_path / file).parent.mkdir(exist_ok=True)
            (tmp_path / file).write_text(
                apply(edit) if file == edit["file"] else Path(file).read_text("utf-8"), "utf-8"
            )
        monkeypatch.chdir(tmp_path)
        after = {(d["code"], d["message"]) for d in check(case) if d["severity"] == "error"}
        assert after <= {(d["code"], d["message"]) for d in before if d is not diagnostic}


def apply(edit: dict[str, Any]) -> str:
    """A file's text after a JSON edit."""
    lines = Path(edit["file"]).read_text("utf-8").split("\n")
    head = [*lines[: edit["line"] - 1], lines[edit["line"] - 1][: edit["column"] - 1]]
    tail = [lines[edit["end_line"] - 1][edit["end_column"] - 1 :], *lines[edit["end_line"] :]]
    return "\n".join(head) + edit["replacement"] + "\n".join(tail)


def test_every_code_with_an_example_has_a_case():
    examples = {code for code in CODES if "```arch" in page(code).partition("## Why")[0]}
    assert examples - {code_of(case) for case in CASES} == set()


def test_every_reported_code_has_a_page():
    assert {finding.code for case in CASES for file in files_of(case) for finding in expectations(file)} <= set(CODES)


@pytest.mark.parametrize("form", ["github", "sarif", "json"])
def test_machine_formats_report_the_same(form):
    case = "unknown-argument.arch"
    text = run("check", case, "--format", form).stdout
    assert text.count("has no argument `strde`") == 1
    if form != "github":
        json.loads(text)


def test_golden_folder_has_no_strays():
    cases = {case.removesuffix("/main.arch").removesuffix(".arch") + ".txt" for case in CASES}
    assert {path.name for path in (FOLDER.parent / "golden" / "diagnostics").iterdir()} == cases
