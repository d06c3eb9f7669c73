"""The canonical layout: the same tree, a fixed point, and the forms that the documentation promises."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest
from format_cases import outline, program, scrambled
from hypothesis import given, settings
from hypothesis import strategies as st

from archdsl.language.diagnostics import ArchError
from archdsl.language.format import format_source
from archdsl.language.limits import Limits
from archdsl.language.parse import parse
from archdsl.language.source import Source

ROOT = Path(__file__).parents[2]
SPECS = sorted((ROOT / "specs").rglob("*.arch"))
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def formatted(text: str) -> str:
    return format_source(Source("text", text), Limits())


def tree(text: str) -> object:
    return outline(parse(Source("text", text), Limits()))


def comments(text: str) -> list[str]:
    """Comments outside strings."""
    return [found.rstrip() for found in re.findall(r'"""[\s\S]*?"""|"(?:[^"\\\n]|\\.)*"|(#[^\n]*)', text) if found]


def check(text: str) -> None:
    """The layout of a text keeps its tree and its comments, and its own layout is itself."""
    done = formatted(text)
    assert tree(done) == tree(text)
    assert comments(done) == comments(text)
    assert formatted(done) == done
    assert "\n\n\n" not in re.sub(r'"""[\s\S]*?"""', "docstring", done)


@pytest.mark.parametrize("path", SPECS, ids=lambda path: str(path.relative_to(ROOT / "specs")))
def test_shipped_specs_are_formatted(path):
    text = path.read_text("utf-8")
    assert formatted(text) == text, "run `archdsl fmt specs`"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_examples_of_the_pages_are_formatted(page):
    for mark, text in re.findall(r"^(.*)\n```arch\n((?:.|\n)*?)^```$", page.read_text("utf-8"), re.M):
        if mark == "<!-- layout: free -->":
            continue
        try:
            done = formatted(text)
        except ArchError:
            continue  # some show what the parser says
        assert done == text


def check_other_layout(path: Path, seed: int) -> None:
    text = path.read_text("utf-8")
    other = scrambled(text, random.Random(f"{path.name} {seed}").choice)
    assert tree(other) == tree(text)
    check(other)


@pytest.mark.parametrize("path", SPECS[::9], ids=lambda path: str(path.relative_to(ROOT / "specs")))
def test_spec_in_another_layout(path):
    check_other_layout(path, 0)


@pytest.mark.slow
def test_every_spec_in_other_layouts():
    for path in SPECS:
        for seed in (1, 2, 3):
            check_other_layout(path, seed)


def check_program(rng: random.Random) -> None:
    text = program(rng)
    check(text)
    check(scrambled(text, rng.choice))


@settings(max_examples=25, deadline=None)
@given(st.randoms(use_true_random=False))
def test_generated_program(rng):
    check_program(rng)


@pytest.mark.slow
def test_many_generated_programs():
    for seed in range(500):
        check_program(random.Random(seed))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("", ""),
        ("\n\n", ""),
        ("# only a comment", "# only a comment\n"),
        ("let  x=-1+ - 2**-3 ;let y = not(x==1)", "let x = -1 + -2 ** -3; let y = not (x == 1)\n"),
        ("let x = [ 1,2 , ] [0]", "let x = [1, 2][0]\n"),
        ("let x = {1:[2] , }", "let x = {1: [2]}\n"),
        ("let x = {\n1:[2] ,}", "let x = {\n    1: [2],\n}\n"),
        ("let x = (1\n+2)", "let x = (1\n    + 2)\n"),
        ("block b(k:one of[1,3]=3,r:0 ..1){relu;;}", "block b(k: one of [1, 3] = 3, r: 0 .. 1) { relu }\n"),
        ("block b{}", "block b {}\n"),
        ("block b{\n\n  relu\n\n\n\n  # why\n  tanh ; }", "block b {\n    relu\n\n    # why\n    tanh\n}\n"),
        ("block b{ c{1+1}_x :conv (1 ,3)->relu }", "block b { c{1 + 1}_x: conv(1, 3) -> relu }\n"),
        ("block b { relu; tanh # why\n}", "block b {\n    relu; tanh      # why\n}\n"),
        ("block b { @a . 0 -> relu }", "block b { @a.0 -> relu }\n"),
        ("block b { @a{ 1+1 } . b{i}_c -> relu }", "block b { @a{1 + 1}.b{i}_c -> relu }\n"),
        ("block b(\nk) { relu }", "block b(\n    k,\n) { relu }\n"),
        (
            "block b { if in.channels>1 { relu }\nelse if true {tanh} else{ skip} }",
            "block b { if in.channels > 1 { relu } else if true { tanh } else { skip } }\n",
        ),
        (
            "network n expect params=1 ,\n macs=2 {\nrelu\n -> tanh\nexpect shape=[1] }",
            "network n expect params = 1,\n    macs = 2 {\n    relu\n        -> tanh\n        expect shape = [1]\n}\n",
        ),
        ("network n{train{loss:l1;batch:\t3}}", "network n { train { loss: l1; batch: 3 } }\n"),
        (
            "network n {\ntrain {\nloss:l1\nbatch:   3 }\n}",
            "network n {\n    train {\n        loss:         l1\n        batch:        3\n    }\n}\n",
        ),
        ('published"T" of n(K=1024){total:macs=1K}', 'published "T" of n (K = 1024) { total: macs = 1K }\n'),
    ],
)
def test_form(given, expected):
    assert formatted(given) == expected
    assert formatted(expected) == expected


def test_columns_follow_the_longest_line():
    given = "block b {\n  a: relu  expect shape=[1]\n  tanh\n  longer: relu   from @a    training\n}\n"
    expected = """block b {
    a: relu         expect shape = [1]
    tanh
    longer: relu    from @a     training
}
"""
    assert formatted(given) == expected


def test_one_space_is_no_column():
    text = "block b {\n    a: relu expect shape = [1]\n    longer: relu expect shape = [1]\n}\n"
    assert formatted(text) == text


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (
            f"network n = m(x = {'a' * 100}) expect params = 1",
            f"network n = m(x = {'a' * 100})\n    expect params = 1\n",
        ),
        (f"block b {{ conv({'a' * 95}); relu }}", f"block b {{ conv({'a' * 95}); relu }}\n"),
        (f"block b {{ a: conv({'a' * 98}); relu }}", f"block b {{\n    a: conv({'a' * 98})\n    relu\n}}\n"),
        (
            f"block b {{\n    conv({'a' * 60}) -> conv({'b' * 60})\n}}",
            f"block b {{\n    conv({'a' * 60})\n        -> conv({'b' * 60})\n}}\n",
        ),
        (
            f"let x = [{'a' * 60}, {'b' * 60}]",
            f"let x = [\n    {'a' * 60},\n    {'b' * 60},\n]\n",
        ),
        (f'let x = "{"a" * 130}"', f'let x = "{"a" * 130}"\n'),
    ],
)
def test_long_lines_end_sooner(given, expected):
    assert formatted(given) == expected
    assert formatted(expected) == expected


def test_line_ends_of_windows_stay():
    given = 'block b {\r\n"""One.\r\n  Two."""\r\nrelu }\r\n'
    assert formatted(given) == 'block b {\r\n    """One.\r\n  Two."""\r\n    relu\r\n}\r\n'


@pytest.mark.parametrize("word", ["block", "network", "published", "use", "from", "expect"])
def test_words_that_begin_items_or_clauses_are_labels_on_any_line(word):
    check(f"block b {{ relu; {word}{{1}}: relu }}")
    check(f"block b {{\n    relu;\n    {word}{{1}}: relu\n}}")


def test_syntax_error():
    with pytest.raises(ArchError, match="unclosed-bracket"):
        formatted("block b { relu")
