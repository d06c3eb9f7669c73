"""Python expressions as small trees, so that literals can become parameters and long lines can be broken."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Union

from archdsl.graph.graph import TensorRef
from archdsl.ops.dims import Dim


class Required:
    """Stands for the default of an argument that has none."""

    def __repr__(self) -> str:
        return "REQUIRED"


REQUIRED = Required()


@dataclass(frozen=True, slots=True)
class Text:
    """Source text as it stands: a name, or words that never change."""

    text: str


@dataclass(frozen=True, slots=True)
class Operand:
    """Input `index` of the op that a rule writes."""

    index: int = 0


@dataclass(frozen=True, slots=True)
class Var:
    """The variable that holds a tensor, before variables have names."""

    ref: TensorRef


@dataclass(frozen=True, slots=True)
class Literal:
    """A Python value; where instances of a class differ in it, it becomes a parameter named after `role`."""

    value: object
    role: str = "value"


@dataclass(frozen=True, slots=True)
class Argument:
    """Of a call. A keyword argument that equals its default everywhere is left out."""

    value: Expr
    keyword: str | None = None
    default: object = REQUIRED


@dataclass(frozen=True, slots=True)
class Call:
    """`function(arguments)`; with `rows`, arguments that do not fit on one line, or `exploded`, are on one each."""

    function: Expr
    arguments: tuple[Argument, ...]
    rows: bool = False
    exploded: bool = False


@dataclass(frozen=True, slots=True)
class Display:
    """Items in brackets: `[]`, `()` or `{}`."""

    items: tuple[Expr, ...]
    brackets: str = "[]"


@dataclass(frozen=True, slots=True)
class Repeated:
    """`*[item for _ in range(count)]`, or with several items all of them `count` times over."""

    count: Expr
    items: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class Infix:
    """Terms with one operator between them."""

    operator: str
    terms: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class Join:
    """Parts one after the other, never broken over lines."""

    parts: tuple[Expr, ...]


Expr = Union[Text, Operand, Var, Literal, Call, Display, Repeated, Infix, Join]
Leaf = Union[Operand, Var, Literal]

#: What a rule calls where the layer has a module of its own.
MODULE = Text("<module>")


def call(function: str, *positional: Expr, **keywords: tuple[object, object]) -> Call:
    """A call whose keyword arguments are given as (value, default)."""
    named = (Argument(Literal(v, k), k, default) for k, (v, default) in keywords.items())
    return Call(Text(function), (*map(Argument, positional), *named))


def module_call(*operands: Expr) -> Call:
    """A call of the layer's own module."""
    return Call(MODULE, tuple(map(Argument, operands)))


def method(receiver: Expr, name: str, *positional: Expr) -> Call:
    """`receiver.name(positional)`."""
    return Call(Join((receiver, Text(f".{name}"))), tuple(map(Argument, positional)))


def leaves(expr: Expr) -> Iterator[tuple[Leaf, object]]:
    """Operands, variables and literals in the order of the text, each with its argument's default if it is one."""
    match expr:
        case Operand() | Var() | Literal():
            yield expr, REQUIRED
        case Call(function, arguments):
            yield from leaves(function)
            for argument in arguments:
                direct = isinstance(argument.value, Literal)
                yield from ((leaf, argument.default if direct else inner) for leaf, inner in leaves(argument.value))
        case Display(items) | Infix(_, items) | Join(items):
            for item in items:
                yield from leaves(item)
        case Repeated(count, items):
            for item in (count, *items):
                yield from leaves(item)


def rewrite(expr: Expr, leaf: Callable[[Leaf], Expr | None]) -> Expr:
    """The tree with each leaf replaced, in the order of `leaves`; an argument whose literal becomes None is dropped."""
    match expr:
        case Operand() | Var() | Literal():
            new = leaf(expr)
            assert new is not None, expr
            return new
        case Call(function, arguments, rows, exploded):
            function = rewrite(function, leaf)
            kept = [_rewrite_argument(argument, leaf) for argument in arguments]
            return Call(function, tuple(a for a in kept if a is not None), rows, exploded)
        case Display(items, brackets):
            return Display(tuple(rewrite(item, leaf) for item in items), brackets)
        case Repeated(count, items):
            return Repeated(rewrite(count, leaf), tuple(rewrite(item, leaf) for item in items))
        case Infix(operator, terms):
            return Infix(operator, tuple(rewrite(term, leaf) for term in terms))
        case Join(parts):
            return Join(tuple(rewrite(part, leaf) for part in parts))
    return expr


def respelled(expr: Expr, change: Callable[[str], str]) -> Expr:
    """The tree with each verbatim text changed."""
    match expr:
        case Text(text):
            return Text(change(text))
        case Call(function, arguments, rows, exploded):
            changed = tuple(Argument(respelled(a.value, change), a.keyword, a.default) for a in arguments)
            return Call(respelled(function, change), changed, rows, exploded)
        case Display(items, brackets):
            return Display(tuple(respelled(item, change) for item in items), brackets)
        case Repeated(count, items):
            return Repeated(respelled(count, change), tuple(respelled(item, change) for item in items))
        case Infix(operator, terms):
            return Infix(operator, tuple(respelled(term, change) for term in terms))
        case Join(parts):
            return Join(tuple(respelled(part, change) for part in parts))
    return expr


def _rewrite_argument(argument: Argument, leaf: Callable[[Leaf], Expr | None]) -> Argument | None:
    if not isinstance(argument.value, Literal):
        return Argument(rewrite(argument.value, leaf), argument.keyword, argument.default)
    new = leaf(argument.value)
    return None if new is None else Argument(new, argument.keyword, argument.default)


def apply(form: Expr, module: Expr | None, operands: tuple[Expr, ...]) -> Expr:
    """A rule's text with the layer's module and inputs put in."""
    filled = rewrite(form, lambda leaf: operands[leaf.index] if isinstance(leaf, Operand) else leaf)
    return filled if module is None else _with_module(filled, module)


def _with_module(expr: Expr, module: Expr) -> Expr:
    match expr:
        case Text():
            return module if expr == MODULE else expr
        case Call(function, arguments, rows, exploded):
            filled = tuple(Argument(_with_module(a.value, module), a.keyword, a.default) for a in arguments)
            return Call(_with_module(function, module), filled, rows, exploded)
        case Infix(operator, terms):
            return Infix(operator, tuple(_with_module(term, module) for term in terms))
        case Join(parts):
            return Join(tuple(_with_module(part, module) for part in parts))
    return expr


def flat(expr: Expr) -> str:
    """The text on one line; literals as they are written in source."""
    match expr:
        case Text(text):
            return text
        case Literal(value):
            return written(value)
        case Call(function, arguments):
            return f"{flat(function)}({', '.join(map(flat_argument, arguments))})"
        case Display(items, brackets):
            inner = ", ".join(map(flat, items))
            return f"{brackets[0]}{inner}{',' if brackets == '()' and len(items) == 1 else ''}{brackets[1]}"
        case Repeated(count, (item,)):
            return f"*[{flat(item)} for _ in range({flat(count)})]"
        case Repeated(count, items):
            return f"*[layer for _ in range({flat(count)}) for layer in ({', '.join(map(flat, items))})]"
        case Infix(operator, terms):
            return f" {operator} ".join(map(flat, terms))
        case Join(parts):
            return "".join(map(flat, parts))
    raise AssertionError(f"{expr} is not text yet")


def flat_argument(argument: Argument) -> str:
    """`value` or `keyword=value`."""
    return f"{argument.keyword}={flat(argument.value)}" if argument.keyword else flat(argument.value)


def written(value: object) -> str:
    """A value as source text: numbers, strings, None, and tuples of them."""
    if isinstance(value, tuple):
        return f"({', '.join(map(written, value))}{',' if len(value) == 1 else ''})"
    if isinstance(value, str):
        text = repr(str(value))
        return text if '"' in text or "\\" in text else f'"{text[1:-1]}"'
    if isinstance(value, float) and not math.isfinite(value):
        return f'float("{value}")'
    assert value is None or isinstance(value, bool | int | float), value
    assert not isinstance(value, Dim), value
    return repr(value)
