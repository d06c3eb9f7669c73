"""`weights { }`: its grammar, its rules as data, and its mistakes."""

from __future__ import annotations

import subprocess
import sys
import warnings

import pytest
from support import compiled, messages

from archdsl.graph.renames import MOST_NAME, Rename, rename, renamed, shown
from archdsl.language.diagnostics import ArchError
from archdsl.language.source import Source, Span

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
        ('drop "(a{900}){900}"', "`(a{900}){900}` is not a regular expression: the repetition number is too large"),
        ('drop "(?R)"', "`(?R)` is not a regular expression: unknown extension ?R at position 1"),
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


# Names ----------------------------------------------------------------------------------------------------------------

SPAN = Span(Source("rules.toml", "'rule'"), 0, 6)


def refused(name: str, *rules: Rename) -> str:
    with pytest.raises(ArchError) as caught:
        renamed(name, rules)
    (found,) = caught.value.diagnostics
    assert (found.code, found.span) == ("rename-rule", SPAN)
    return found.message


@pytest.mark.parametrize("kind", ["pattern", "drop"])
def test_a_search_that_does_not_end_is_stopped(kind: str) -> None:
    name = "a" * 60 + "b"
    rule = rename(kind, "^(a|aa)+$", None if kind == "drop" else "x", SPAN)
    assert refused(name, rule) == f"`^(a|aa)+$` takes more than 1 second on the name `{name}`"


def test_patterns_mean_what_re_means_by_them_and_warn_of_nothing() -> None:
    """`re` warns that `[[a]` may be a nested set one day."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert renamed("x[x", (rename("pattern", "[[a]x", "y", None),)) == "xy"


def test_braces_around_a_group_are_no_part_of_the_name() -> None:
    assert renamed("b3.w", (Rename("pattern", r"^b(\d)\.", r"stage{\1}."),)) == "stage3.w"
    with pytest.raises(ArchError, match="asks for group 2"):
        rename("pattern", r"^b(\d)", r"{\2}", None)


def test_a_pattern_that_is_nested_too_deep() -> None:
    deep = "(" * 490 + "a" + ")" * 490
    with pytest.raises(ArchError, match="it is nested too deep"):
        rename("drop", deep, None, None)


@pytest.mark.parametrize("rule", [Rename("pattern", "^(.*)$", r"\1\1", SPAN), Rename("pattern", "a", "a" * 900, SPAN)])
def test_names_do_not_grow_without_bound(rule: Rename) -> None:
    assert refused("a.b" * 8, *[rule] * 20).startswith("a new name has at most 10,000 characters, and this rule")


def test_a_rule_that_leaves_nothing() -> None:
    assert refused("a.b", Rename("prefix", "a.b", "", SPAN)) == "the rules leave nothing of the name `a.b`"
    assert renamed("a.b", (Rename("prefix", "a.b", "", SPAN), Rename("pattern", "^$", "c"))) == "c"


def test_names_beyond_all_bounds_stay() -> None:
    name = "a" * (MOST_NAME + 1)
    assert renamed(name, (Rename("pattern", "a", "b"),)) == name


def test_names_as_messages_show_them() -> None:
    assert shown("a.b") == "a.b"
    assert shown("a\n\x1b[31m\ud800") == r"a\n\x1b[31m\ud800"
    assert shown("a" * 1000 + "b") == "a" * 60 + "..." + "a" * 29 + "b"


def test_what_has_no_patterns_loads_no_second_engine() -> None:
    code = "import sys, archdsl.graph.renames as r; r.rename('prefix', 'a', 'b', None); print('regex' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "False"
