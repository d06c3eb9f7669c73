"""Other layouts of a text: the same tokens with other spaces, line ends, comments and separators between them."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from random import Random

from archdsl.language.format_lines import spaced
from archdsl.language.format_pieces import Piece, pieces
from archdsl.language.limits import Limits
from archdsl.language.records import Record
from archdsl.language.source import Source, Span

Choose = Callable[[list[str]], str]
SPACES = [" ", " ", "  ", "     ", "\t"]
BREAKS = ["\n", "\n", "\r\n", "\n\n", "\n\n\n\n", "  # why\n", "#\n#! {\n", "\n  # it's \"\n\n"]


def outline(node: object) -> object:
    """A tree without the places where its nodes stand, to compare."""
    if isinstance(node, Span | Source):
        return None
    if isinstance(node, Record):
        return (type(node).__name__, *(outline(getattr(node, name)) for name in node._fields))
    if isinstance(node, tuple):
        return tuple(map(outline, node))
    return node


def scrambled(text: str, choose: Choose) -> str:
    """The text in a layout that nobody would write; `choose` picks one of several strings."""
    found = pieces(Source("text", text), Limits())
    parts = [choose(["", "# first\n", "\n\n \n"]), found[0].text]
    open_ = [found[0]] if found[0].opens else []
    for before, piece in pairwise(found):
        if piece.closes:
            parts.append(_comma(before, piece, open_[-1], choose))
        parts += [_gap(before, piece, open_, choose), piece.text]
        if piece.closes:
            open_.pop()
        elif piece.opens:
            open_.append(piece)
    return "".join(parts)


def _comma(before: Piece, piece: Piece, opened: Piece, choose: Choose) -> str:
    return choose(["", ","]) if piece.listed and before is not opened and before.text != "," else ""


def _gap(before: Piece, piece: Piece, open_: list[Piece], choose: Choose) -> str:
    if piece.role == "label" and piece.text == "{":
        return ""  # `@enc{i}` is no reference where a space stands
    space = choose(SPACES) if spaced(before, piece) else choose(["", "", " ", "   "])
    if open_ and open_[-1].text in "([":
        return choose([space, space, space, space + choose(BREAKS)])
    if not piece.starts or piece.text == "":
        after = before.text == "," and not (open_ and open_[-1].role)
        return space + (choose(BREAKS) if after and choose(["yes", "no", "no"]) == "yes" else "")
    if piece.continues:
        return choose(["  ", choose(BREAKS)])
    inside = bool(open_ and open_[-1].role) or before.text == ","
    separator = "" if inside else choose(["", "", ";", ";;", " ;\n;"])
    return space + separator + choose(BREAKS) + choose(["", "\t", "   "])


NAMES = ["a", "out", "conv1", "relu", "K", "T", "x_2", "block1", "tensor1"]
ATOMS = [
    *NAMES,
    "0",
    "7",
    "1_000",
    "2.5",
    "1e-3",
    "128M",
    "3Ki",
    '"a # b"',
    '"it is \\" so"',
    "in.channels",
    "@a.0.b",
    "@a{K}_b.{x_2}",
]
SIGNS = ["+", "-", "*", "/", "//", "%", "**", "==", "<", ">=", "and", "or", "in"]
FORMS = [
    "-{}",
    "(+ -{})",
    "(not {})",
    "({})[0]",
    "({}).shape",
    "max({}, 2)",
    "f(k = {})",
    "[{}]",
    "[1, {}]",
    "{{1: {}}}",
]


def expression(rng: Random, depth: int = 2) -> str:
    """An expression; most make no sense, but parse."""
    if not depth or rng.random() < 0.4:
        return rng.choice(ATOMS)
    one, two = expression(rng, depth - 1), expression(rng, depth - 1)
    if rng.random() < 0.5:
        return rng.choice(FORMS).format(one)
    return f"({one} {rng.choice(SIGNS)} {two})" if rng.random() < 0.8 else f"({one} if {two} else {one})"


def _claim(rng: Random) -> str:
    return f"{rng.choice(NAMES)} = {expression(rng, 1)}"


def _clauses(rng: Random) -> str:
    forms = [
        "",
        "",
        "",
        " expect {}",
        "   expect {}",
        "\n expect {},\n {}",
        " from @a",
        "\n from @a",
        "    training {}",
    ]
    return rng.choice(forms).format(_claim(rng), _claim(rng))


def element(rng: Random, depth: int) -> str:
    """A layer, a reference, or a construct with bodies."""
    if not depth or rng.random() < 0.4:
        return rng.choice(["relu", "skip", "in", "@a", "@a.1", f"conv({expression(rng)}, {_claim(rng)})", "conv()"])
    one, two = body(rng, depth - 1), body(rng, depth - 1)
    value = expression(rng)
    forms = ["{0}", "concat {0}", "add(axis = {2}) {0}", "repeat {2} {0}", "for i, j in {2} {0}", "if {2} {0}"]
    forms += [
        "if {2} {0}\nelse {1}",
        "if {2} {0} else if {2} {1}",
        "recur over time with h = zeros(3) {0}",
        "relu if {2} else {0}",
    ]
    return rng.choice(forms).format(one, two, value)


def statement(rng: Random, depth: int) -> str:
    """A chain with a label, names and clauses, or a constant."""
    if rng.random() < 0.1:
        return f"let {rng.choice(NAMES)} = {expression(rng)}"
    label = rng.choice(["", "", "a: ", "from: ", "c{1 + 1}_x: ", "block{i}{j}: ", f"output {rng.choice(NAMES)}: "])
    links = [element(rng, depth) for _ in range(rng.choice([1, 1, 2, 3]))]
    return label + rng.choice([" -> ", "\n-> "]).join(links) + rng.choice(["", "", " as b"]) + _clauses(rng)


def body(rng: Random, depth: int) -> str:
    """Statements in braces."""
    separator = rng.choice(["; ", "\n", "\n\n# note\n", " # note\n"])
    return "{ " + separator.join(statement(rng, depth) for _ in range(rng.choice([0, 1, 1, 2, 3]))) + " }"


def program(rng: Random) -> str:
    """A text of a few items."""
    forms = [
        "block b(k = 3, kind: one of [1, 2], r: 0 .. 1 = 1, t: tensor) {0}",
        "network n expect {1} {0}",
        "network n(k = {2})\n    expect {1}, {1} {0}",
        "network m = n({1}) expect {1}",
        'published "T" of n (K = 1024) {{\n a.1: {1}\n because "so"; total: {1} }}',
        "let x = {2}",
        'network n {{ train {{\n loss: {2}\n long_setting_name: {2} }}; weights {{ drop "^a" }} }}',
        "# a note",
    ]
    items = (rng.choice(forms).format(body(rng, 2), _claim(rng), expression(rng)) for _ in range(rng.choice([1, 2, 3])))
    return "\n".join(items)
