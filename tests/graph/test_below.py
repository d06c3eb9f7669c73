"""References to stages that stand further down."""

from __future__ import annotations

from pathlib import Path

import pytest

from archdsl.graph.below import stands_below
from archdsl.graph.lint import walk
from archdsl.language import syntax as s
from archdsl.language.limits import Limits
from archdsl.language.program import read_program


def marked(text: str, folder: Path) -> str:
    """The line of what is marked for the first reference of the text, or nothing."""
    file = folder / "t.arch"
    file.write_text(text, "utf-8")
    program = read_program(file, "t.arch", Limits())
    (path, *_) = (node for node in walk((program.main.blocks, program.main.networks)) if isinstance(node, s.Path))
    found = stands_below(path, program)
    return f"{found['labels'][0].span.line}: {found['labels'][0].message}" if found else ""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("network n { input x: [4]\n relu from @b\n b: relu }", "3: `b` stands below"),
        ("network n { input x: [4]\n relu from @b.c\n b: { c: relu } }", "3: `b` stands below"),
        ("network n { input x: [4]\n add { skip; @b }\n if true { b: relu } }", "3: `b` stands below"),
        ("network n { relu from @x\n input x: [4] }", "2: `x` stands below"),
        ("network n { input x: [4]\n relu from @u\n output u: relu }", "3: `u` stands below"),
        ("block k { relu from @.b\n b: relu }", "2: `b` stands below"),
        # the first of several
        ("network n { input x: [4]\n relu from @b\n if true { b: relu }\n b: relu }", "3: `b` stands below"),
        # what stands before it, around it, or in another item is not below
        ("network n { input x: [4]\n c: { b: relu }\n relu from @b }", ""),
        ("network n { input x: [4]\n b: relu from @b }", ""),
        ("network n { input x: [4]\n relu from @b }\nnetwork m { input x: [4]\n b: relu }", ""),
    ],
)
def test_a_stage_of_that_name_further_down(text: str, expected: str, tmp_path: Path) -> None:
    assert marked(text, tmp_path) == expected
