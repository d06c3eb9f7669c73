"""Parts that are one chain of children: `nn.Sequential`, with repeats written as loops."""

from __future__ import annotations

from collections.abc import Callable

from archdsl.emit.torch.expression import Argument, Call, Expr, Literal, Repeated, Text, flat
from archdsl.emit.torch.rules import in_place, is_fresh
from archdsl.emit.torch.spelling import METHODS
from archdsl.emit.torch.structure import Node

#: Longest run of different layers that is looked for as one repeat.
LONGEST_PERIOD = 16


def is_sequence(node: Node) -> bool:
    """Children "0", "1", ... each of which takes only what the one before gives, and can stand in `nn.Sequential`."""
    names = list(node.children)
    return names == [str(number) for number in range(len(names))] and _is_chain(node)


def is_named_sequence(node: Node) -> bool:
    """A label around such a chain of modules that have names of their own."""
    plain = not any(name.isdecimal() or name in METHODS for name in node.children) and len(node.children) > 1
    modules = all(child.weighted or child.is_module for child in node.children.values())
    return bool(node.path) and node.block is None and plain and modules and _is_chain(node)


def _is_chain(node: Node) -> bool:
    children = list(node.children.values())
    if node.layer is not None or len(node.takes) != 1 or len(node.gives) != 1 or children[-1].gives != node.gives:
        return False
    given = [node.takes, *(child.gives for child in children)]
    chained = all(child.takes == before for child, before in zip(children, given, strict=False))
    return chained and all(_stands(child, node) for child in children)


def _stands(child: Node, node: Node) -> bool:
    if len(child.gives) != 1 or child.training_only != node.training_only:
        return False
    if child.module != (f"{node.module}.{child.name}" if node.module else child.name):
        return False
    if child.layer is None:
        return child.is_module
    return len(child.layer.output_types) == 1 and not child.children and child.form.in_sequence


def sequence(node: Node, construct: Callable[[Node], Expr], shortest: int) -> list[Expr]:
    """Constructors of the children, with runs of at least `shortest` repeats as loops."""
    return collapsed(_constructors(node, construct), shortest)


def _constructors(node: Node, construct: Callable[[Node], Expr]) -> list[Expr]:
    children = list(node.children.values())
    return [_constructor(child, before, construct) for child, before in zip(children, [None, *children], strict=False)]


def _constructor(child: Node, before: Node | None, construct: Callable[[Node], Expr]) -> Expr:
    if child.layer is None:
        return construct(child)
    module = child.form.module
    assert module is not None
    fresh = before is not None and before.layer is not None and is_fresh(before.form.kind, before.layer.op.name)
    return in_place(module) if fresh else module


def sequential(node: Node, construct: Callable[[Node], Expr], shortest: int) -> Expr:
    """`nn.Sequential(children)`, on several lines from the third child on; an `OrderedDict` of those with names."""
    if is_named_sequence(node):
        made = zip(_constructors(node, construct), node.children, strict=True)
        named = tuple(Argument(module, name) for module, name in made)
        children: list[Expr] = [Call(Text("OrderedDict"), named, rows=True, exploded=len(named) > 2)]
    else:
        children = sequence(node, construct, shortest)
    return Call(Text("nn.Sequential"), tuple(map(Argument, children)), rows=True, exploded=len(children) > 2)


def collapsed(items: list[Expr], shortest: int) -> list[Expr]:
    """Repeats of one item, or of a group of up to `LONGEST_PERIOD`, as loops; linear in the number of items."""
    numbers: dict[str, int] = {}
    codes = [numbers.setdefault(flat(item), len(numbers)) for item in items]
    runs = [_equal_ahead(codes, period) for period in range(1, min(LONGEST_PERIOD, len(codes) // 2) + 1)]
    result: list[Expr] = []
    position = 0
    while position < len(items):
        period, count = _best(runs, position, shortest)
        group = tuple(items[position : position + period])
        result.extend([Repeated(Literal(count, "repeats"), group)] if count > 1 else group)
        position += period * count
    return result


def _equal_ahead(codes: list[int], period: int) -> list[int]:
    """For each position, how many items from there on equal the one `period` later."""
    equal = [0] * (len(codes) + 1)
    for position in range(len(codes) - period - 1, -1, -1):
        equal[position] = equal[position + 1] + 1 if codes[position] == codes[position + period] else 0
    return equal


def _best(runs: list[list[int]], position: int, shortest: int) -> tuple[int, int]:
    """The period and count that cover most from here, the shorter period of equals; (1, 1) if none is long enough."""
    best = (1, 1)
    for period, equal in enumerate(runs, 1):
        count = equal[position] // period + 1
        if count >= shortest and period * count > best[0] * best[1]:
            best = (period, count)
    return best
