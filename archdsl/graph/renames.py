"""Rules that turn the names of a checkpoint into a network's: `weights { }` in a spec, or a file of rules."""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeVar

from archdsl.language.diagnostics import ArchError, Label, error
from archdsl.language.similar import did_you_mean
from archdsl.language.snippet import escape
from archdsl.language.source import Span

KINDS = ("prefix", "pattern", "drop")
#: longer ones are somebody's mistake
MOST_CHARACTERS = 1000
#: no network has longer names; rules leave them alone, and make none
MOST_NAME = 10_000
#: how often a pattern may ask for a repeat at least, all its counts multiplied: compiling writes them out
MOST_REPEATS = 10_000
#: a search that takes longer tries the same repeats in ever new ways
SECONDS = 1
#: in a new name: `\1` or `{\1}`, a group of the pattern, or `{\1 + 1}`, a group that is a number, with another added
GROUP = re.compile(
    r"\{\\(?P<number>\d{1,2}) *(?P<sign>[+-]) *(?P<by>\d{1,6})\}|\{\\(?P<braced>\d{1,2})\}|\\(?P<group>\d{1,2})"
)
#: characters of a name that a message shows: these many of its beginning and of its end
BEGINNING, END = 60, 30

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Rename:
    """One rule. `prefix` replaces the beginning of a name, `pattern` each place that a regular expression matches;
    `drop` leaves out the arrays whose names it matches."""

    kind: str
    text: str
    to: str = ""
    span: Span | None = None


def shown(name: str) -> str:
    """A name out of a file as a message may print it: one line without control characters, a long one cut."""
    return escape(name if len(name) <= BEGINNING + END else f"{name[:BEGINNING]}...{name[-END:]}")


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
        groups = _groups(text)
    except (re.error, OverflowError, RecursionError) as problem:
        reason = "it is nested too deep" if isinstance(problem, RecursionError) else problem
        message = f"`{text}` is not a regular expression: {reason}"
        raise error("rename-rule", message, span, help="`docs.python.org/3/library/re.html` is its syntax") from None
    if "\\" in GROUP.sub("", to):
        message = f"the new name `{to}` has a backslash that no number of a group follows"
        raise error("rename-rule", message, span, help=r"`\1` is the first group, `{\1 + 1}` the number after it")
    highest = max(
        (int(match["group"] or match["braced"] or match["number"]) for match in GROUP.finditer(to)), default=0
    )
    if highest > groups:
        have = f"the pattern has {groups or 'no'} group{'' if groups == 1 else 's'}"
        raise error("rename-rule", f"the new name asks for group {highest}, but {have}", span)


def _groups(text: str) -> int:
    """How many groups a pattern has, which `re` and `regex` both have to accept; raises as `re.compile`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about spellings that may mean something else in a later Python
        groups = re.compile(text).groups
    if math.prod(max(1, int(count)) for count in re.findall(r"\{(\d+)", text)) > MOST_REPEATS:
        raise OverflowError("the repetition number is too large")
    _compiled(text)
    return groups


@lru_cache(maxsize=4096)
def _compiled(text: str) -> Any:
    """The pattern of the package `regex`: a search by `re` cannot be stopped."""
    import regex

    try:
        return regex.compile(text, regex.VERSION0)
    except regex.error as problem:
        raise re.error(str(problem)) from None


def renamed(name: str, rules: tuple[Rename, ...]) -> str | None:
    """What a name becomes, None where it is left out.

    The longest prefix that fits is replaced first, then all patterns in their order, each on what the one before gave.
    """
    return traced(name, rules)[0]


def traced(name: str, rules: tuple[Rename, ...]) -> tuple[str | None, Rename | None]:
    """As `renamed`, with the last rule that had a part in it; raises `ArchError` (`rename-rule`) at a rule."""
    if len(name) > MOST_NAME:
        return name, None
    dropped = next((rule for rule in rules if rule.kind == "drop" and _matches(rule, name)), None)
    if dropped:
        return None, dropped
    new, last = name, None
    for rule in [*_prefix(name, rules), *(rule for rule in rules if rule.kind == "pattern")]:
        before, new = new, _replaced(new, rule)
        last = rule if new != before else last
    if last and not new:
        message = f"the rules leave nothing of the name `{shown(name)}`"
        raise error("rename-rule", message, last.span, help="`drop` leaves an array out")
    return new, last


def _prefix(name: str, rules: tuple[Rename, ...]) -> list[Rename]:
    """The longest prefix that fits."""
    fitting = [rule for rule in rules if rule.kind == "prefix" and name.startswith(rule.text)]
    return [max(fitting, key=lambda rule: len(rule.text))] if fitting else []


def _matches(rule: Rename, name: str) -> bool:
    return _in_time(rule, name, lambda pattern: pattern.search(name, timeout=SECONDS) is not None)


def _replaced(name: str, rule: Rename) -> str:
    if rule.kind == "prefix":
        return _limited(rule.to + name.removeprefix(rule.text), name, rule)
    length = 0

    def replacement(found: Any) -> str:
        nonlocal length
        new = GROUP.sub(lambda match: _group(match, found, name, rule), rule.to)
        length += len(new)
        if length > MOST_NAME:  # before all of it is put together
            raise _too_long(name, rule)
        return new

    return _limited(_in_time(rule, name, lambda it: it.sub(replacement, name, timeout=SECONDS)), name, rule)


def _in_time(rule: Rename, name: str, work: Callable[[Any], Result]) -> Result:
    """What is done with the rule's pattern; raises `ArchError` where it takes too long."""
    try:
        return work(_compiled(rule.text))
    except TimeoutError:
        message = f"`{rule.text}` takes more than {SECONDS} second on the name `{shown(name)}`"
        help = "a repeat inside a repeat, as in `(a+)+`, can be tried in too many ways: repeat once"
        raise error("rename-rule", message, rule.span, help=help) from None


def _limited(new: str, name: str, rule: Rename) -> str:
    if len(new) > MOST_NAME:
        raise _too_long(name, rule)
    return new


def _too_long(name: str, rule: Rename) -> ArchError:
    message = f"a new name has at most {MOST_NAME:,} characters, and this rule makes more of `{shown(name)}`"
    return error("rename-rule", message, rule.span)


def _group(match: re.Match[str], found: Any, name: str, rule: Rename) -> str:
    """What stands for `\\1` or `{\\1 + 1}` where the pattern found something."""
    group = match["group"] or match["braced"]
    if group:
        return found[int(group)] or ""
    digits = found[int(match["number"])] or ""
    if not re.fullmatch("[0-9]{1,18}", digits):
        message = f"`{match[0]}` needs a number, but group {match['number']} of `{shown(name)}` is `{shown(digits)}`"
        raise error("rename-rule", message, rule.span)
    by = int(match["by"])
    return str(int(digits) + (by if match["sign"] == "+" else -by))


def clash(new: str, first: tuple[str, Rename | None], second: tuple[str, Rename | None]) -> ArchError:
    """Two old names, each with its rule, that become one: shown at the rules."""
    rules = [rule for _, rule in (second, first) if rule]
    spans = list(dict.fromkeys(rule.span for rule in rules if rule.span))
    labels = tuple(Label(span, f"this makes it of `{shown(first[0])}`") for span in spans[1:])
    message = f"the rules turn both `{shown(first[0])}` and `{shown(second[0])}` into `{shown(new)}`"
    help = "make a pattern more exact, or drop one of the two"
    return error("rename-clash", message, spans[0] if spans else None, labels=labels, help=help)
