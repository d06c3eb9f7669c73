"""Rules that turn the names of a checkpoint into a network's: `weights { }` in a spec, or a file of rules."""

from __future__ import annotations

import re
from dataclasses import dataclass

from archdsl.language.diagnostics import error
from archdsl.language.similar import did_you_mean
from archdsl.language.source import Span

KINDS = ("prefix", "pattern", "drop")
#: longer ones are somebody's mistake
MOST_CHARACTERS = 1000
#: in a new name: `\1`, a group of the pattern, or `{\1 + 1}`, a group that is a number, with another number added
GROUP = re.compile(r"\{\\(?P<number>\d{1,2}) *(?P<sign>[+-]) *(?P<by>\d{1,6})\}|\\(?P<group>\d{1,2})")


@dataclass(frozen=True, slots=True)
class Rename:
    """One rule. `prefix` replaces the beginning of a name, `pattern` each place that a regular expression matches;
    `drop` leaves out the arrays whose names it matches."""

    kind: str
    text: str
    to: str = ""
    span: Span | None = None


def rename(kind: str, text: str, to: str | None, span: Span | None, kind_span: Span | None = None) -> Rename:
    """A rule, checked; raises `ArchError` (`rename-rule`) at `span`, the place of `text`."""
    if kind not in KINDS:
        guess = did_you_mean(kind, KINDS, kind_span) if kind_span else {}
        notes = (f"it is one of {', '.join(KINDS)}",)
        raise error("rename-rule", f"there is no kind of rule `{kind}`", kind_span, notes=notes, **guess)
    if kind == "drop" and to is not None:
        raise error("rename-rule", "`drop` leaves arrays out, so it takes no new name", span)
    if kind != "drop" and to is None:
        raise error("rename-rule", f"`{kind}` needs a new name", span, help=f'write `{kind} "old" = "new"`')
    if max(len(text), len(to or "")) > MOST_CHARACTERS:
        raise error("rename-rule", f"a rule has at most {MOST_CHARACTERS} characters", span)
    if kind != "prefix":
        _check_pattern(text, to or "", span)
    return Rename(kind, text, to or "", span)


def _check_pattern(text: str, to: str, span: Span | None) -> None:
    try:
        groups = re.compile(text).groups
    except (re.error, OverflowError, RecursionError) as problem:
        message = f"`{text}` is not a regular expression: {problem}"
        raise error("rename-rule", message, span, help="`docs.python.org/3/library/re.html` is its syntax") from None
    if "\\" in GROUP.sub("", to):
        message = f"the new name `{to}` has a backslash that no number of a group follows"
        raise error("rename-rule", message, span, help=r"`\1` is the first group, `{\1 + 1}` the number after it")
    highest = max((int(match["group"] or match["number"]) for match in GROUP.finditer(to)), default=0)
    if highest > groups:
        have = f"the pattern has {groups or 'no'} group{'' if groups == 1 else 's'}"
        raise error("rename-rule", f"the new name asks for group {highest}, but {have}", span)


def renamed(name: str, rules: tuple[Rename, ...]) -> str | None:
    """What a name becomes, None where it is left out.

    The longest prefix that fits is replaced first, then all patterns in their order, each on what the one before gave.
    """
    if any(rule.kind == "drop" and re.search(rule.text, name) for rule in rules):
        return None
    fitting = [rule for rule in rules if rule.kind == "prefix" and name.startswith(rule.text)]
    if fitting:
        rule = max(fitting, key=lambda rule: len(rule.text))
        name = rule.to + name.removeprefix(rule.text)
    for rule in rules:
        if rule.kind == "pattern":
            name = _replaced(name, rule)
    return name


def _replaced(name: str, rule: Rename) -> str:
    def group(match: re.Match[str], found: re.Match[str]) -> str:
        if match["group"]:
            return found[int(match["group"])] or ""
        digits = found[int(match["number"])] or ""
        if not re.fullmatch("[0-9]{1,18}", digits):
            message = f"`{match[0]}` needs a number, but group {match['number']} of `{name}` is `{digits}`"
            raise error("rename-rule", message, rule.span)
        by = int(match["by"])
        return str(int(digits) + (by if match["sign"] == "+" else -by))

    return re.sub(rule.text, lambda found: GROUP.sub(lambda match: group(match, found), rule.to), name)
