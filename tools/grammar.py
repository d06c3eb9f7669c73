"""Draws grammars/arch.lark as railroad diagrams: docs/grammar/*.svg, and the page docs/grammar.md around them.

python tools/grammar.py            # write
python tools/grammar.py --check    # exit with 1 if anything is not current (CI)

The grammar is read with Lark's own grammar of grammars. Small rules are drawn where they are used (`INLINED`), line
ends that may be left out are not drawn, and `x ("," x)*` becomes one line with a way back.
"""

from __future__ import annotations

import io
import sys
from ast import literal_eval
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import lark
import railroad

ROOT = Path(__file__).parents[1]
GRAMMAR = ROOT / "grammars/arch.lark"
PAGE = ROOT / "docs/grammar.md"
PICTURES = ROOT / "docs/grammar"

#: where a reader meets each rule: heading, introduction, rules in the order of the page
SECTIONS = (
    (
        "Files",
        "What a file holds: [the shape of a file](language.md#the-shape-of-a-file), [claims](language/claims.md).",
        "start _item use let published row path",
    ),
    (
        "Blocks and networks",
        "[Blocks](language/blocks.md), [parameters](language/blocks.md#parameters), [networks](language/networks.md).",
        "block network variant parameters parameter domain",
    ),
    (
        "Bodies",
        "What stands between `{` and `}`: [statements](language.md#statements).",
        "body _statement input _dimension initialize train weights rule output module assign stage clause",
    ),
    (
        "Chains",
        "[How values flow](language.md#how-values-flow), [labels and paths](language/bodies.md#labels-and-paths).",
        "chain link label choice_element element target arguments",
    ),
    (
        "Expressions",
        "[Expressions](language/expressions.md#expressions), from the loosest operator to the tightest.",
        "expression either both negation comparison sum product unary power exponent postfix _atom list map",
    ),
)
INLINED = frozenset(
    "docstring because default dimensions dimension step setting results interpolation word otherwise state "
    "combinator_word clauses claims claim named _argument choice trailer number string name function incoming_value "
    "reference_value pair root _part computed _sep".split()
)
#: names of rules that are not for readers
CALLED = {
    "start": "file", "choice_element": "choice of elements", "either": "condition", "both": "conjunction",
    "unary": "signed", "postfix": "operand", "_atom": "value", "dtype": "type",
    "rule": "rule for names", "target": "reference",
}  # fmt: skip
#: what a reader calls the terminals that are patterns, and what they are
KINDS = {
    "NAME": ("name", "a letter or `_`, then letters, digits and `_`"),
    "STEM": ("name", ""),
    "NUMBER": ("number", "`64`, `1_000`, `0.5`, `1e-3`, `128M`, `16Ki`"),
    "INDEX": ("digits", "`0`, `1`, ...: which of several results"),
    "STRING": ("string", 'text in `"`, on one line, with Python\'s escapes'),
    "DOCSTRING": ("docstring", 'text in `"""`, on as many lines as it needs'),
    "_NEWLINE": ("line end", "the end of a [line](language.md#lines) that no other line continues, with its comment"),
}  # fmt: skip
#: a name that a brace follows is a name
SAME = {"STEM": "NAME"}
STYLE = """
svg { background: #fffdf8; }
path { stroke-width: 2; stroke: #555; fill: none; }
text { font: 14px ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; text-anchor: middle; fill: #222; }
rect { stroke-width: 1.5; stroke: #555; fill: #fff; }
.terminal rect { fill: #dcecd6; stroke: #5a8a4a; }
.terminal text { font-weight: bold; }
.non-terminal rect { fill: #e2ebf7; stroke: #4a6f9f; }
.kind rect { fill: #fdf0d0; stroke: #b08a30; }
.kind text { font-style: italic; }
"""


# Reading the grammar --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Word:
    """Text that stands in a file as it is."""

    text: str


@dataclass(frozen=True)
class Kind:
    """A terminal that is a pattern."""

    name: str


@dataclass(frozen=True)
class Rule:
    """Another rule, by its name in the grammar."""

    name: str


@dataclass(frozen=True)
class Row:
    """One after the other."""

    items: tuple[Shape, ...]


@dataclass(frozen=True)
class Either:
    """One of them."""

    items: tuple[Shape, ...]


@dataclass(frozen=True)
class Maybe:
    """It or nothing."""

    item: Shape


@dataclass(frozen=True)
class Many:
    """Once or more, with something between."""

    item: Shape
    between: Shape | None = None


Shape = Word | Kind | Rule | Row | Either | Maybe | Many
NOTHING = Row(())


def grammar() -> dict[str, Shape]:
    """What each rule and each terminal of the grammar stands for; a terminal with a pattern for itself."""
    own = Path(lark.__file__).parent / "grammars/lark.lark"
    tree = lark.Lark.open(str(own), parser="lalr").parse(GRAMMAR.read_text("utf-8") + "\n")
    skipped = {str(name) for node in tree.find_data("ignore") for name in node.scan_values(lambda value: True)}
    found: dict[str, Shape] = {}
    for node in (*tree.find_data("rule"), *tree.find_data("token")):
        name = str(node.children[0]).lstrip("?!")
        if name not in skipped:
            found[name] = Kind(SAME.get(name, name)) if name in KINDS else shape(below(node)[-1])
    return found


def below(node: lark.Tree[lark.Token]) -> list[lark.Tree[lark.Token]]:
    """A node's children that are no tokens."""
    return [kid for kid in node.children if isinstance(kid, lark.Tree)]


def shape(node: lark.Tree[lark.Token]) -> Shape:
    """A node of the grammar's tree."""
    kids = below(node)
    if node.data == "expansions":
        return Either(tuple(map(shape, kids)))
    if node.data == "expansion":
        return row(map(shape, kids))
    if node.data == "expr":
        return repeated(shape(kids[0]), node.children[1])
    text = str(node.children[0])
    if node.data == "literal":
        assert text.startswith('"'), f"{text} needs an entry in KINDS"
        return Word(literal_eval(text))
    return Rule(text) if node.data == "name" else shape(kids[0])


def repeated(item: Shape, operator: object) -> Shape:
    """An expression with `?`, `*` or `+` behind it."""
    if operator == "?":
        return NOTHING if item in (Rule("_sep"), Rule("_NEWLINE")) else item if item == NOTHING else Maybe(item)
    if operator == "*":
        return Maybe(Many(item))
    return Many(item) if operator == "+" else item


def row(items: Iterator[Shape]) -> Shape:
    """Items in a row, in which `x (between x)*` is one."""
    found: list[Shape] = []
    for item in items:
        if item == NOTHING:
            continue
        match item:
            case Maybe(Many(Row((*between, again)), None)) if found and again == found[-1]:
                found[-1] = Many(again, row(iter(between)))
            case Row(inner):
                found += inner
            case _:
                found.append(item)
    return found[0] if len(found) == 1 else Row(tuple(found))


# Drawing --------------------------------------------------------------------------------------------------------------


def called(name: str) -> str:
    """A rule's or terminal's name for readers."""
    return KINDS[name][0] if name in KINDS else CALLED.get(name, name.strip("_"))


def inlined(item: Shape, rules: dict[str, Shape]) -> Shape:
    """The shape with its small rules, and the terminals that are words, in place."""
    match item:
        case Rule("dtype"):
            return Kind("dtype")
        case Rule(name) if name in INLINED or name.lstrip("_").isupper():
            return inlined(rules[name], rules)
        case Row(items):
            return row(inlined(each, rules) for each in items)
        case Either(items):
            parts = [inlined(each, rules) for each in items]
            alternatives = [each for part in parts for each in (part.items if isinstance(part, Either) else [part])]
            found = tuple(dict.fromkeys(alternatives))
            return Either(found) if len(found) > 1 else found[0]
        case Maybe(inner):
            return Maybe(inlined(inner, rules))
        case Many(inner, between):
            return Many(inlined(inner, rules), between and inlined(between, rules))
    return item


def drawn(item: Shape) -> railroad.DiagramItem:
    """The part of a picture for a shape."""
    match item:
        case Word(text):
            return railroad.Terminal(text)
        case Kind(name):
            return railroad.NonTerminal(called(name), cls="kind")
        case Rule(name):
            return railroad.NonTerminal(called(name))
        case Row(items):
            return railroad.Sequence(*map(drawn, items))
        case Either(items):
            return railroad.Choice(0, *map(drawn, items))
        case Maybe(Many(inner, between)):
            return railroad.ZeroOrMore(drawn(inner), between and drawn(between))
        case Maybe(inner):
            return railroad.Optional(drawn(inner))
        case Many(inner, between):
            return railroad.OneOrMore(drawn(inner), between and drawn(between))
    raise TypeError(item)


def picture(item: Shape) -> str:
    """A rule's picture."""
    text = io.StringIO()
    railroad.Diagram(drawn(item), type="complex").writeStandalone(text.write, STYLE)
    return text.getvalue()


# The page -------------------------------------------------------------------------------------------------------------

INTRODUCTION = """<!-- written by tools/grammar.py from grammars/arch.lark; do not edit -->
# The grammar

[grammars/arch.lark](../grammars/arch.lark) as railroad diagrams: what can be read along the lines from left to right
may stand in a file. Green boxes stand there as they are, yellow ones are names, numbers and texts, and blue ones have a
picture of their own. Empty lines may stand anywhere. The [reference](language.md) says what it all means.
"""


def files() -> dict[Path, str]:
    """Every generated file with its text. A rule that is neither drawn nor inlined is an error here."""
    rules = grammar()
    named = [name for _, _, names in SECTIONS for name in names.split()]
    forgotten = {name for name in rules if name.islower()} - {*named, *INLINED, "dtype"}
    assert not forgotten, f"in no section, and not inlined: {sorted(forgotten)}"
    shapes = {name: inlined(rules[name], rules) for name in named}
    found = {PICTURES / f"{slug(name)}.svg": picture(item) for name, item in shapes.items()}
    return {PAGE: page(shapes), **found}


def slug(name: str) -> str:
    return called(name).replace(" ", "-")


def page(shapes: dict[str, Shape]) -> str:
    """The page with every picture, its links, and the table of patterns."""
    parts = [INTRODUCTION]
    for heading, introduction, names in SECTIONS:
        parts.append(f"## {heading}\n\n{introduction}\n")
        parts += [entry(name, shapes) for name in names.split()]
    parts.append("## Names, numbers and texts\n\n| | is |\n| --- | --- |")
    parts += [f"| {name} | {meaning} |" for name, meaning in KINDS.values() if meaning]
    return "\n".join(parts) + "\n"


def entry(name: str, shapes: dict[str, Shape]) -> str:
    """A rule: its picture, and links to those in it and around it."""
    inside = dict.fromkeys(used(shapes[name]))
    around = [other for other, item in shapes.items() if name in used(item) and other != name]
    links = [f"{word}: {', '.join(f'[{called(each)}](#{slug(each)})' for each in names)}" for word, names in (
        ("has", inside), ("stands in", around)) if names]  # fmt: skip
    text = f"### {called(name)}\n\n![{called(name)}](grammar/{slug(name)}.svg)\n"
    return f"{text}\n{'; '.join(links)}\n" if links else text


def used(item: Shape) -> list[str]:
    """Names of the rules in a shape, in order."""
    match item:
        case Rule(name):
            return [name]
        case Row(items) | Either(items):
            return [name for each in items for name in used(each)]
        case Many(inner, between):
            return used(inner) + (used(between) if between else [])
        case Maybe(inner):
            return used(inner)
    return []


def main(arguments: Sequence[str]) -> int:
    """Write everything, or with `--check` compare it; 1 where something is not current."""
    wanted = files()
    stale = [path for path, text in wanted.items() if not path.exists() or path.read_text("utf-8") != text]
    left = [path for path in PICTURES.glob("*.svg") if path not in wanted]
    if "--check" in arguments:
        for path in stale + left:
            print(f"{path.relative_to(ROOT)} is not current: run `python tools/grammar.py`", file=sys.stderr)
        return int(bool(stale + left))
    PICTURES.mkdir(exist_ok=True)
    for path in left:
        path.unlink()
    for path in stale:
        path.write_text(wanted[path], "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
