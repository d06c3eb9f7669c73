"""`weights { }`: its grammar, its rules as data, and its mistakes."""

from __future__ import annotations

import pytest
from support import compiled, messages

from archdsl.graph.renames import Rename

NET = "network n {{ input x: [4]; linear(3)\n weights {{\n{}\n}}\n}}"


def rules(text: str) -> list[tuple[str, str, str]]:
    return [(rule.kind, rule.text, rule.to) for rule in compiled(NET.format(text)).checked.renames]


def test_rules_are_kept_in_order_with_their_backslashes() -> None:
    text = 'prefix "a." = ""; pattern "^b(\\d)\\." = "{\\1 + 1}."\n\n  drop "\\"c"  # why'
    assert rules(text) == [("prefix", "a.", ""), ("pattern", r"^b(\d)\.", r"{\1 + 1}."), ("drop", '"c', "")]
    assert rules("") == []


def test_several_sections_and_variants() -> None:
    text = 'network n { input x: [4]; linear(3); weights { prefix "a" = "b" }; weights { drop "c" } }\nnetwork m = n'
    assert [rule.kind for rule in compiled(text, "m").checked.renames] == ["prefix", "drop"]


def test_a_rule_knows_where_it_stands() -> None:
    (rule,) = compiled(NET.format('prefix "a." = "b."')).checked.renames
    assert isinstance(rule, Rename)
    assert rule.span is not None
    assert rule.span.text == '"a."'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('prefx "a" = "b"', "there is no kind of rule `prefx`"),
        ('prefix "a"', "`prefix` needs a new name"),
        ('drop "a" = "b"', "`drop` leaves arrays out, so it takes no new name"),
        ('drop "a["', "`a[` is not a regular expression: unterminated character set at position 1"),
        ('pattern "(" = "b"', "`(` is not a regular expression: missing ), unterminated subpattern at position 0"),
        ('pattern "a" = "\\1"', "the new name asks for group 1, but the pattern has no groups"),
        ('pattern "(a)" = "{\\2 - 1}"', "the new name asks for group 2, but the pattern has 1 group"),
        ('pattern "a" = "\\q"', "the new name `\\q` has a backslash that no number of a group follows"),
        (f'prefix "{"a" * 1001}" = ""', "a rule has at most 1000 characters"),
    ],
)
def test_mistakes(text: str, message: str) -> None:
    assert messages(NET.format(text)) == [f"rename-rule: {message}"]


@pytest.mark.parametrize("text", ['"a" = "b"', 'prefix "a" -> "b"', "prefix a = b", 'prefix: "a"', 'prefix "a" "b"'])
def test_what_is_no_rule(text: str) -> None:
    (found,) = messages(NET.format(text))
    assert found.startswith("syntax-error")


def test_it_belongs_into_a_network() -> None:
    found = messages('block b { relu; weights { drop "a" } }\nnetwork n { input x: [4]; b }')
    assert found == ["syntax-error: `weights` belongs into a network, not into a block"]


def test_weights_is_still_a_quantity_and_a_parameter() -> None:
    text = "network n(weights = 3) expect weights = 12 { input x: [4]; linear(weights) }"
    assert messages(text) == []
