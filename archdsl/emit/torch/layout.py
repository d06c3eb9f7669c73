"""Statements as lines of at most `WIDTH` characters, broken where `ruff format` breaks them."""

from __future__ import annotations

from archdsl.emit.torch.expression import Argument, Call, Display, Expr, Infix, Repeated, flat, flat_argument

WIDTH = 120
STEP = 4


def lines(prefix: str, expr: Expr, suffix: str = "", indent: int = 0) -> list[str]:
    """`prefix` + expression + `suffix`, on one line if it fits.

    `prefix` is what stands before it on the line, such as `x = ` or `return `.
    """
    margin = " " * indent
    if not _exploded(expr):
        text = f"{margin}{prefix}{flat(expr)}{suffix}"
        if len(text) <= WIDTH:
            return [text]
    match expr:
        case Call(function, arguments, rows, exploded):
            items = [(f"{a.keyword}=" if a.keyword else "", a.value) for a in arguments]
            one = ", ".join(map(flat_argument, arguments)) if not any(map(_exploded_argument, arguments)) else None
            opening = f"{margin}{prefix}{flat(function)}("
            return [opening, *_body(items, None if rows or exploded else one, indent), f"{margin}){suffix}"]
        case Display(items, brackets):
            body = _body([("", item) for item in items], None, indent)
            return [f"{margin}{prefix}{brackets[0]}", *body, f"{margin}{brackets[1]}{suffix}"]
        case Repeated(count, items):
            return [f"{margin}{prefix}*[", *_comprehension(count, items, indent + STEP), f"{margin}]{suffix}"]
        case Infix(operator, terms):
            if prefix.endswith(("= ", "return ")):
                return [f"{margin}{prefix}(", *_terms(operator, terms, indent + STEP), f"{margin}){suffix}"]
            broken = _terms(operator, terms, indent)
            return [*broken[:-1], broken[-1] + suffix]
    return [f"{margin}{prefix}{flat(expr)}{suffix}"]  # cannot be broken


def _body(items: list[tuple[str, Expr]], one_line: str | None, indent: int) -> list[str]:
    """What stands between brackets: all on one line if that fits, else each item on its own."""
    inner = indent + STEP
    if one_line is not None and inner + len(one_line) <= WIDTH:
        return [" " * inner + one_line]
    if len(items) == 1:
        return lines(items[0][0], items[0][1], "", inner)
    return [line for prefix, item in items for line in lines(prefix, item, ",", inner)]


def _terms(operator: str, terms: tuple[Expr, ...], indent: int) -> list[str]:
    first, *rest = terms
    return [*lines("", first, "", indent), *(line for term in rest for line in lines(f"{operator} ", term, "", indent))]


def _comprehension(count: Expr, items: tuple[Expr, ...], indent: int) -> list[str]:
    margin = " " * indent
    if len(items) == 1:
        return [*lines("", items[0], "", indent), f"{margin}for _ in range({flat(count)})"]
    head = [f"{margin}layer", f"{margin}for _ in range({flat(count)})"]
    return [*head, *lines("for layer in ", Display(items, "()"), "", indent)]


def _exploded(expr: Expr) -> bool:
    """Somewhere inside, a call keeps its arguments on lines of their own."""
    match expr:
        case Call(_, arguments, _, exploded):
            return exploded or any(map(_exploded_argument, arguments))
        case Display(items) | Repeated(_, items) | Infix(_, items):
            return any(map(_exploded, items))
    return False


def _exploded_argument(argument: Argument) -> bool:
    return _exploded(argument.value)
