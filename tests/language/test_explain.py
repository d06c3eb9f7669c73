"""Explain pages: each has its form, and its example triggers exactly its diagnostic."""

from __future__ import annotations

import re

import pytest

from archdsl.language.diagnostics import ArchError
from archdsl.language.explain import CODES, page, title


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
