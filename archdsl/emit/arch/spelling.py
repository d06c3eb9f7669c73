"""Values as the language writes them: arguments of ops, sizes of inputs, recipes."""

from __future__ import annotations

from dataclasses import fields

from archdsl.graph.functions import WORDS
from archdsl.graph.graph import Graph, Input
from archdsl.graph.recipe import Term
from archdsl.ops.base import Init, Op
from archdsl.ops.dims import Dim, Symbol, dim

#: what a statement can begin with, so that no label is written so
STATEMENTS = frozenset(
    "let input initialize train weights output module repeat for in if skip concat add mul max recur".split()
)


def value(item: object) -> str:
    """A number, word, string, list or scheme."""
    if isinstance(item, bool):
        return "true" if item else "false"
    if isinstance(item, tuple):
        return f"[{', '.join(map(value, item))}]"
    if isinstance(item, Init):
        arguments = ", ".join(f"{name} = {value(number)}" for name, number in item.arguments)
        return f"{item.scheme}({arguments})" if arguments else item.scheme
    if isinstance(item, str) and item not in WORDS:
        return '"' + item.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return str(item)


def arguments(op: Op) -> list[str]:
    """Every argument of an op, also where it has its default; `None` stands for "not given" and cannot be written."""
    found: list[str] = []
    for number, field in enumerate(fields(op)):
        held = getattr(op, field.name)
        if held is None or held == ():
            continue
        short = number == len(found) and number < 2  # `conv(64, 3, ...)`: what comes first is known by its place
        found.append(value(held) if short else f"{field.name} = {value(held)}")
    return found


def label(name: str) -> str:
    """A label's text; a word of the language, which `{expressions}` may have made, is taken apart."""
    return f'{name[:-1]}{{"{name[-1]}"}}' if name in STATEMENTS else name


def input_text(node: Input, known: set[Symbol]) -> str:
    """`input image: float16 [3, H: 32 .. 512 by 32 = 224, W]`; symbols enter `known` where they are declared."""
    sizes = ", ".join(_size(size, known) for size in node.type.shape)
    dtype = "" if node.type.dtype == "float32" else f"{node.type.dtype} "
    settings = ", ".join(f"{name} = {value(held)}" for name, held in node.preprocess)
    return f"input {node.path}: {dtype}[{sizes}]" + (f"\npreprocess {settings}" if settings else "")


def _size(size: int, known: set[Symbol]) -> str:
    symbol = size.symbols[0] if isinstance(size, Dim) else None
    if symbol is None or symbol in known or dim(symbol) != size:
        return str(size)
    known.add(symbol)
    step = f" by {symbol.step}" if symbol.step > 1 else ""
    return f"{symbol.name}: {symbol.low} .. {symbol.high}{step} = {symbol.nominal}"


def recipe(graph: Graph) -> str:
    """The settings of `train { }`, one a line."""
    return "\n".join(f"{name}: {_setting(name, held)}" for name, held in graph.recipe.items())


def _setting(name: str, held: object) -> str:
    if not isinstance(held, tuple):
        return _term(held) if isinstance(held, Term) else value(held)
    parts = [_setting(name, item) for item in held]
    return " + ".join(parts) if name == "loss" else f"[{', '.join(parts)}]"


def _term(term: Term) -> str:
    given = [f"@{tensor}" for tensor in term.tensors]
    given += (f"{name} = {value(held)}" for name, held in term.arguments)
    call = f"{term.name}({', '.join(given)})" if given else term.name
    return call if term.weight == 1 else f"{value(term.weight)} * {call}"


def rules(graph: Graph) -> str:
    """The rules of `weights { }`, one a line."""

    def quoted(text: str) -> str:
        return '"' + text.replace('"', '\\"') + '"'

    ends = ("" if rule.kind == "drop" else f" = {quoted(rule.to)}" for rule in graph.renames)
    return "\n".join(f"{rule.kind} {quoted(rule.text)}{end}" for rule, end in zip(graph.renames, ends, strict=True))
