"""Text to syntax tree: positions, continuation lines, and syntax errors in the words of the language."""

from __future__ import annotations

import pytest

from archdsl.language import syntax as s
from archdsl.language.diagnostics import ArchError
from archdsl.language.limits import Limits
from archdsl.language.parse import parse
from archdsl.language.source import Source
from archdsl.language.words import KEYWORDS


def parsed(text: str) -> s.File:
    return parse(Source("t.arch", text), Limits())


def errors(text: str) -> list[str]:
    """`line:column code: message` of each syntax error."""
    with pytest.raises(ArchError) as caught:
        parsed(text)
    found = caught.value.diagnostics
    assert all(d.span for d in found)
    return [f"{d.span.line}:{d.span.column} {d.code}: {d.message}" for d in found if d.span]


def statements(body: str) -> tuple[s.Statement, ...]:
    (network,) = parsed(f"network n {{\n{body}\n}}").networks
    assert isinstance(network, s.Network)
    return network.body.statements


def test_every_node_spans_its_own_text() -> None:
    (stage,) = statements("conv1: conv(64, 7, stride = 2) -> relu expect shape = [64, 112, 112]")
    assert isinstance(stage, s.Stage)
    first, second = stage.chain.links
    assert first.span.text == "conv1: conv(64, 7, stride = 2)"
    assert isinstance(first.element, s.Call)
    assert first.element.name_span.text == "conv"
    assert second.element.span.text == "relu"
    assert stage.clauses.expects[0].span.text == "shape = [64, 112, 112]"


@pytest.mark.parametrize(
    "body",
    [
        "a -> b -> c",
        "a\n -> b\n\n # why\n -> c",
        "a # first\n -> b -> c # last",
        "{ a -> b -> c }",
        "x: a -> b -> c",
    ],
)
def test_a_line_that_begins_with_an_arrow_continues_the_one_before(body: str) -> None:
    assert len(statements(body)) == 1


def test_newlines_and_semicolons_end_statements() -> None:
    assert len(statements("a; b\n c;\n\n;d")) == 4
    assert len(statements("conv(64,\n 7,\n pad = [1,\n 2])\nrelu")) == 2
    assert len(statements("let x = 3\nif aux { relu }")) == 2
    assert len(statements("if a { b }\nelse { c }\nd")) == 2
    assert len(statements("a\n expect shape = [1]\n from @b\n training weight = 0.3\nd")) == 2


def test_words_of_the_language_can_be_part_of_a_name_or_a_label() -> None:
    assert len(statements("input_1: relu; from: relu; forward_: skip; inception: relu -> expected")) == 4


def test_a_label_can_begin_a_line_even_if_it_is_a_continuation_word() -> None:
    assert len(statements("a\nfrom: relu")) == 2


def test_numbers_in_paths_are_positions_not_decimals() -> None:
    (stage,) = statements("@features.0.10.conv")
    assert isinstance(stage, s.Stage)
    element = stage.chain.links[0].element
    assert isinstance(element, s.ReferenceElement)
    assert element.path.parts == ("features", "0", "10", "conv")


def test_crlf_and_byte_order_marks_do_not_matter() -> None:
    assert len(parsed("network n {\r\n input x: [3]\r\n relu\r\n}\r\n").networks) == 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("foo", ["1:1 syntax-error: unexpected `foo`; expected a `block`, a `network` or a `published` table"]),
        ("network", ["1:8 syntax-error: unexpected end of the file; expected a name"]),
        ("network n { conv(3, 3 }", ["1:23 unclosed-bracket: `}` does not close `(`"]),
        ("network n { conv(3 -> relu }", ["1:20 syntax-error: unexpected `->` inside brackets"]),
        ("network n {\n relu", ["1:11 unclosed-bracket: this `{` is never closed"]),
        ("network n { repeat 3 relu }", ["1:22 syntax-error: unexpected `relu`; expected `{`"]),
        ("network n { input x [3] }", ["1:21 syntax-error: unexpected `[`; expected `:`"]),
        ("network n { conv(3,, 3) }", ["1:20 syntax-error: unexpected `,`; expected a value or `)`"]),
        ("network n { relu ) }", ["1:18 unclosed-bracket: `)` does not close `{`"]),
        ("network n { let in = 3 }", ["1:17 syntax-error: `in` is a word of the language and cannot be a name"]),
        ("network n { add: relu }", ["1:13 syntax-error: `add` is a word of the language and cannot be a label"]),
        ("network n { relu & relu }", ["1:18 unexpected-character: `&` is not part of the language"]),
        ("network n { 'a' }", ["1:13 unexpected-character: strings are written in double quotes"]),
        ('use "a', ['1:5 unterminated-string: this string has no closing `"` on its line']),
        ('"""a', ['1:1 unterminated-string: this docstring has no closing `"""`']),
        ("network n { conv(a = 3, 4) }", ["1:25 syntax-error: an argument without a name stands after a named one"]),
        ("network n { relu from @a from @b }", ["1:26 syntax-error: `from` is said twice for one statement"]),
    ],
)
def test_syntax_errors(text: str, expected: list[str]) -> None:
    assert errors(text) == expected


def test_each_item_reports_its_own_first_mistake() -> None:
    text = "block a {\n conv(3, }\n}\nnetwork b {\n input x [3]\n}\nnetwork c { input x: [3]; relu }\nlet x = \n"
    assert [line.split(":")[0] for line in errors(text)] == ["2", "5", "8"]


def test_no_message_names_a_token_of_the_grammar() -> None:
    words = [
        *sorted(KEYWORDS),
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        ",",
        ":",
        "=",
        "->",
        "@",
        "..",
        "3",
        '"s"',
        "x",
        "**",
        "\n",
    ]
    prefixes = ["", "network n { ", "network n { conv(", "network n { x: ", 'published "t" of n { ', "let x = 3 "]
    for prefix in prefixes:
        for word in words:
            try:
                parsed(prefix + word)
            except ArchError as failure:
                for diagnostic in failure.diagnostics:
                    assert not any(
                        name in diagnostic.message for name in ("__ANON", "_NEWLINE", "LPAR", "NAME", "Token")
                    )
                    assert "$END" not in diagnostic.message


@pytest.mark.parametrize(
    ("body", "help"),
    [
        ('if mode = "a" { relu }', "a comparison is written `==`"),
        ("mul { skip; 0.5 }", "a branch is a layer, not a number; in place of the `mul`: `scale(0.5)`"),
        ("mul { skip; 3 }", "a branch is a layer, not a number; in place of the `mul`: `scale(3)`"),
        ("1 - @x", "layers compute with tensors: `scale(-1, offset = 1)`"),
        ("y = conv(8, 3)", "a stage is labelled with a colon: `conv1: conv(64, 3)`; a constant is `let x = 3`"),
    ],
)
def test_help_for_what_other_languages_write(body: str, help: str) -> None:
    with pytest.raises(ArchError) as caught:
        parsed(f"network n {{\n{body}\n}}")
    assert [found.help for found in caught.value.diagnostics] == [help]


def test_the_layout_tells_which_brace_is_open() -> None:
    assert errors("network n {\n  add {\n    skip\n  relu\n}\n") == ["2:7 unclosed-bracket: this `{` is never closed"]
    assert errors("network n {\n  if a {\n    relu\n}\nnetwork m { relu }") == [
        "2:8 unclosed-bracket: this `{` is never closed"
    ]
