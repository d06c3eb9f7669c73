"""`archdsl check` on files whose networks are there for each other."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from archdsl.cli.app import app

BASE = "network base(depth) { input x: [8]\n repeat depth { linear(8) } }\n"


def check(text: str, folder: Path, *options: str) -> tuple[int, str, str]:
    """Exit status, what is printed, and the findings."""
    file = folder / "t.arch"
    file.write_text(text, "utf-8")
    result = CliRunner().invoke(app, ["check", str(file), *options], standalone_mode=False)
    assert result.exception is None
    return result.return_value, result.stdout.replace(str(file), "t.arch"), result.stderr


@pytest.mark.parametrize(
    ("rest", "line"),
    [
        ("network base4 = base(4)", "1 network checked, 0 claims; `base` left out: it needs arguments"),
        ("network u { input x: [8]\n base(2) }", "1 network checked, 0 claims; `base` left out: it needs arguments"),
        (
            "block b { base(2) }\nnetwork u { input x: [8]\n b }",
            "1 network checked, 0 claims; `base` left out: it needs arguments",
        ),
        # a variant may need arguments as well
        (
            "network wide(width, depth = 1) { input x: [8]\n repeat depth { linear(width) } }\n"
            "network deep = wide(depth = 3)\nnetwork deep9 = deep(width = 9)\nnetwork base1 = base(1)",
            "2 networks checked, 0 claims; `base`, `wide`, `deep` left out: they need arguments",
        ),
    ],
)
def test_a_network_that_others_give_arguments_is_checked_with_theirs(rest: str, line: str, tmp_path: Path) -> None:
    assert check(BASE + rest, tmp_path, "--strict") == (0, f"t.arch: {line}\n", "")


def test_its_mistakes_are_found_through_the_others(tmp_path: Path) -> None:
    status, out, findings = check(BASE.replace("linear(8)", "linear(0)") + "network base4 = base(4)", tmp_path)
    assert (status, out) == (1, "")
    assert "`out` of `linear` must be a whole number of at least 1, but is 0" in findings


@pytest.mark.parametrize("rest", ["", "network other { input x: [8]\n linear(8) }"])
def test_one_that_nothing_uses_is_an_error_with_the_remedy(rest: str, tmp_path: Path) -> None:
    status, _, findings = check(BASE + rest, tmp_path)
    assert status == 1
    assert "error[missing-argument]: `base` needs the argument `depth`" in findings
    assert "help: give it with `--set NAME=VALUE`, or in a variant: `network OTHER = base(...)`" in findings
    assert check(BASE, tmp_path, "--set", "depth=3") == (0, "t.arch: 1 network checked, 0 claims\n", "")


def test_one_that_is_asked_for_is_checked(tmp_path: Path) -> None:
    text = BASE + "network base4 = base(4)"
    assert check(text, tmp_path, "--network", "base")[0] == 1
    assert check(text, tmp_path, "--set", "depth=3") == (0, "t.arch: 2 networks checked, 0 claims\n", "")


def test_an_argument_that_a_call_leaves_out_is_missing_at_the_call(tmp_path: Path) -> None:
    status, _, findings = check(BASE + "network u { input x: [8]\n base }", tmp_path)
    assert status == 1
    assert "t.arch:4:2\n" in findings
    assert "help" not in findings


def test_a_variant_that_cannot_be_made_out_is_an_error_of_its_own(tmp_path: Path) -> None:
    status, _, findings = check(BASE + "network base4 = base(4, 5)\nnetwork more = base4(1)", tmp_path)
    assert status == 1
    assert "`base` takes 1 argument, but 2 are given" in findings
