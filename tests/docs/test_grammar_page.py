"""docs/grammar.md and its pictures: current, well-formed, and without a word of the language left out."""

from __future__ import annotations

import runpy
from pathlib import Path
from xml.etree import ElementTree

import pytest

from archdsl.language.words import KEYWORDS

ROOT = Path(__file__).parents[2]
PICTURES = sorted((ROOT / "docs" / "grammar").glob("*.svg"))


def words_of(picture: Path) -> set[str]:
    """What stands in the boxes of a picture."""
    return {text.text or "" for text in ElementTree.parse(picture).iter("{http://www.w3.org/2000/svg}text")}


def test_pictures_are_current(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("railroad")
    module = runpy.run_path(str(ROOT / "tools" / "grammar.py"))
    assert module["main"](["--check"]) == 0, capsys.readouterr().err


def test_pictures_have_every_word_of_the_language() -> None:
    assert set[str]().union(*map(words_of, PICTURES)) >= KEYWORDS


def test_every_picture_is_on_the_page() -> None:
    page = (ROOT / "docs" / "grammar.md").read_text("utf-8")
    assert [path.name for path in PICTURES if f"](grammar/{path.name})" not in page] == []
