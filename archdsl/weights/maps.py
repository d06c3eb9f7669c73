"""Maps: rules that turn the names of a checkpoint into a network's, from a file, from the spec, or shipped."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from archdsl.graph.graph import Graph
from archdsl.graph.renames import Rename, clash, rename, renamed, traced
from archdsl.language.diagnostics import Diagnostic, error
from archdsl.language.similar import did_you_mean, nearest
from archdsl.language.source import Source, Span
from archdsl.weights.checkpoint import Checkpoint, os_reason, require_file
from archdsl.weights.fit import Fit, Header, fit, headers_of, weights_of

SHIPPED = Path(__file__).parent / "maps"
#: timm took most names over from torchvision
ALSO = {"timm": ("torchvision",)}
KEYS = ("prefix", "pattern", "drop", "note")
MOST_BYTES = 1_000_000
#: digits of numbers that no map needs, and fewer than Python refuses to read
LONG_NUMBER = 4000


@dataclass(frozen=True)
class Map:
    """Rules under the name that `--map` knows them by; `note` says what one has to know who uses them."""

    name: str
    rules: tuple[Rename, ...]
    note: str = ""


# Reading --------------------------------------------------------------------------------------------------------------


def maps_called(name: str) -> tuple[Map, ...]:
    """What `--map` asks for: one file of rules, or the shipped maps of that name, of which one has to fit.

    Raises `ArchError` (`bad-map`, `rename-rule`).
    """
    if name.endswith(".toml"):
        return (read_map(Path(name), name),)
    known = shipped()
    naming, _, family = name.partition("/")
    found = [found for found in known if found.name == name or (not family and found.name.startswith(f"{name}/"))]
    found += [found for also in ALSO.get(name, ()) for found in known if found.name.startswith(f"{also}/")]
    if not found:
        names = sorted({found.name.partition("/")[0] for found in known})
        guess = nearest(naming, names)
        help = f"did you mean `{guess}`?" if guess else "a file of rules ends in `.toml`"
        raise error("bad-map", f"there is no map `{name}`", notes=(f"shipped are {', '.join(names)}",), help=help)
    return tuple(found)


@cache
def shipped() -> tuple[Map, ...]:
    """All maps that come with the package, by name."""
    files = sorted(SHIPPED.glob("*/*.toml"))
    return tuple(read_map(file, file.relative_to(SHIPPED).with_suffix("").as_posix()) for file in files)


def read_map(path: Path, name: str) -> Map:
    """The rules of a file; raises `ArchError` (`bad-map`, `rename-rule`) at the line."""
    source = Source(name, _text(path, name))
    try:
        content = tomllib.loads(source.text)
    except tomllib.TOMLDecodeError as problem:
        reason, _, place = str(problem).partition(" (at ")
        raise error("bad-map", f"`{name}` is not TOML: {reason}", _place(source, place)) from None
    except RecursionError:
        raise error("bad-map", f"`{name}` is nested too deep") from None
    except ValueError:  # Python reads no integers of that length
        raise error("bad-map", f"`{name}` has a number of too many digits", _long_number(source)) from None
    for key in content:
        if key not in KEYS:
            span = _span_of(source, key)
            guess = did_you_mean(key, KEYS, span) if span else {}
            raise error("bad-map", f"a map has no `{key}`", span, notes=(f"it has {', '.join(KEYS)}",), **guess)
    rules = (*_table("prefix", content, source), *_table("pattern", content, source), *_drop(content, source))
    return Map(name, rules, " ".join(str(content.get("note", "")).split()))


def _text(path: Path, name: str) -> str:
    try:
        require_file(path)
        if path.stat().st_size > MOST_BYTES:
            raise error("bad-map", f"`{name}` has more than {MOST_BYTES:,} bytes")
        return path.read_bytes().decode()
    except (OSError, ValueError) as problem:
        reason = os_reason(problem) if isinstance(problem, OSError) else "it is not text in UTF-8"
        raise error("bad-map", f"`{name}` cannot be read: {reason}") from None


def _place(source: Source, text: str) -> Span | None:
    """The span of `line 3, column 5)`, which is how TOML's errors end."""
    found = re.fullmatch(r"line (\d+), column (\d+)\)", text)
    if found is None:
        return None
    start = min(source.line_starts[int(found[1]) - 1] + int(found[2]) - 1, len(source.text))
    return Span(source, start, min(start + 1, len(source.text)))


def _long_number(source: Source) -> Span | None:
    found = re.search(rf"[0-9_]{{{LONG_NUMBER},}}", source.text)
    return Span(source, *found.span()) if found else None


def _span_of(source: Source, key: str) -> Span | None:
    """Where a key or string stands: TOML's reader does not tell. None where it is written with escapes."""
    quoted = "|".join(re.escape(f"{quote}{key}{quote}") for quote in "\"'")
    found = re.search(rf"{quoted}|(?m:^[ \t]*\[?({re.escape(key)})\b)", source.text)
    return Span(source, *found.span(1 if found[1] else 0)) if found else None


def _table(kind: str, content: Mapping[str, object], source: Source) -> Iterable[Rename]:
    table = content.get(kind, {})
    if not isinstance(table, dict):
        raise error("bad-map", f"`{kind}` is a table, written `[{kind}]`", _span_of(source, kind))
    for text, to in table.items():
        span = _span_of(source, text)
        if not isinstance(to, str):
            help = f'write `"{text}..." = "new name"`; a name with dots stands in quotes'
            raise error("bad-map", f"`{text}` has no new name", span, help=help)
        yield rename(kind, text, to, span)


def _drop(content: Mapping[str, object], source: Source) -> Iterable[Rename]:
    patterns = content.get("drop", [])
    if not isinstance(patterns, list) or not all(isinstance(text, str) for text in patterns):
        raise error("bad-map", "`drop` is a list of patterns", _span_of(source, "drop"))
    return (rename("drop", text, None, _span_of(source, text)) for text in patterns)


# Using ----------------------------------------------------------------------------------------------------------------


def apply(checkpoint: Checkpoint, map: Map) -> Checkpoint:
    """The checkpoint under its new names; raises `ArchError` (`rename-clash`, `rename-rule`)."""
    names = new_names(checkpoint.stored, map.rules)
    stored = {new: checkpoint.stored[old] for new, old in names.items()}
    asides = {renamed(old, map.rules): array for old, array in checkpoint.asides.items()}
    stored |= {new: array for new, array in asides.items() if new is not None and new not in stored}
    remarks = list(checkpoint.remarks)
    if map.note:
        remarks.append(Diagnostic("map-note", f"`{map.name}`: {map.note}", severity="warning"))
    return Checkpoint(checkpoint.path, stored, tuple(remarks))


def new_names(names: Iterable[str], rules: tuple[Rename, ...]) -> dict[str, str]:
    """Old names by new ones, without those that are dropped."""
    found: dict[str, tuple[str, Rename | None]] = {}
    for old in names:
        new, rule = traced(old, rules)
        if new is None:
            continue
        if new in found:
            raise clash(new, found[new], (old, rule))
        found[new] = (old, rule)
    return {new: old for new, (old, _) in found.items()}


def tried(graph: Graph, headers: Mapping[str, Header], rules: tuple[Rename, ...]) -> Fit:
    """How the arrays would fit under their new names; of two that would clash, one is left out."""
    names = {renamed(old, rules): header for old, header in headers.items()}
    return fit(graph, {name: header for name, header in names.items() if name is not None})


def best(graph: Graph, headers: Mapping[str, Header], maps: Iterable[Map]) -> Map:
    """Of several maps, that which gives most weights their array and leaves fewest names over."""

    def merit(candidate: Map) -> tuple[int, int]:
        found = tried(graph, headers, candidate.rules)
        return len(found.fitting) + len(found.wrong), -found.faults

    return max(maps, key=merit)


def mapped(graph: Graph, checkpoint: Checkpoint, name: str | None) -> Checkpoint:
    """The checkpoint under the network's names.

    The rules are those of the map `name`; without one those of the spec's `weights { }`, where more fits under them.
    Raises `ArchError` (`bad-map`, `rename-rule`, `rename-clash`).
    """
    if name is not None:
        checkpoint = apply(checkpoint, best(graph, headers_of(checkpoint), maps_called(name)))
    elif graph.renames and _needed(graph, checkpoint):
        checkpoint = apply(checkpoint, Map("weights", graph.renames))
    return checkpoint.with_asides(weights_of(graph))


def _needed(graph: Graph, checkpoint: Checkpoint) -> bool:
    """Whether names do not fit and the spec's rules make it better; where shapes alone differ, no name is to blame."""
    found = fit(graph, headers_of(checkpoint))
    if not (found.missing or found.unexpected):
        return False
    return tried(graph, found.headers, graph.renames).faults < found.faults
