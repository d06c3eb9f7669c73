"""Which literals of a class become parameters, and what they are called.

All instances of a class have the same text but for its literals. A literal that never differs stays in the text;
those that take the same values in every instance share one parameter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from archdsl.emit.torch.body import Body
from archdsl.emit.torch.expression import REQUIRED, Expr, Literal, Text, leaves, written
from archdsl.emit.torch.spelling import METHODS, variable
from archdsl.emit.torch.structure import Node
from archdsl.graph.graph import Graph
from archdsl.language.reserved import RESERVED

Values = tuple[object, ...]
#: Roles that say how many channels come in.
INCOMING = ("in_channels", "in_features")
#: By what blocks widen, and into how many they divide; other ratios of sizes are chance.
FACTORS = (2, 3, 4, 6, 8, 16)
SHARES = (2, 4, 8, 16)


@dataclass(frozen=True, slots=True)
class Slot:
    """One place of a literal: its value in each instance, what it means, and whose argument it is."""

    values: Values
    role: str
    default: object
    owner: str
    in_forward: bool

    @property
    def omitted(self) -> bool:
        return self.default is not REQUIRED and all(value == self.default for value in self.values)

    @property
    def constant(self) -> bool:
        return len(set(map(written, self.values))) == 1


@dataclass(slots=True)
class Parameter:
    """An argument of `__init__`; it has a default if every literal it stands for is an argument with that default."""

    name: str
    values: Values
    defaults: list[object] = field(default_factory=list)
    attribute: str | None = None

    @property
    def default(self) -> object:
        first = self.defaults[0] if self.defaults else REQUIRED
        usable = all(type(d) is type(first) and d == first for d in self.defaults) and first in self.values
        return first if usable else REQUIRED


@dataclass(slots=True)
class Parameters:
    """The parameters of a class as they are found.

    `known` are values that have a name already, `taken` the attributes that modules have, and `several` the
    roles in which more than one parameter may be needed.
    """

    known: dict[str, Values]
    taken: set[str]
    several: frozenset[str] = frozenset()
    found: dict[str, Parameter] = field(default_factory=dict)

    def named(self, name: str, values: Values) -> Parameter:
        return self.found.setdefault(name, Parameter(name, values))

    def ordered(self) -> list[Parameter]:
        """Incoming channels, then the block's own in its order, then others; those with defaults last."""
        ranks = {name: rank for rank, name in enumerate(self.known)}
        order = sorted(self.found.values(), key=lambda p: ranks.get(p.name, len(ranks)))
        return sorted(order, key=lambda p: p.default is not REQUIRED)


def slots(bodies: Sequence[Body]) -> list[Slot]:
    """Literals of all instances side by side."""
    columns = zip(*(_literals(body) for body in bodies), strict=True)
    return [
        Slot(tuple(literal.value for literal, *_ in column), column[0][0].role, *column[0][1:]) for column in columns
    ]


def _literals(body: Body) -> Iterator[tuple[Literal, object, str, bool]]:
    for name, module in body.modules:
        yield from ((leaf, default, name, False) for leaf, default in leaves(module) if isinstance(leaf, Literal))
    for line in body.lines:
        found = ((leaf, default) for leaf, default in leaves(line.value) if isinstance(leaf, Literal))
        yield from ((leaf, default, "", True) for leaf, default in found)


def known_values(graph: Graph, nodes: Sequence[Node]) -> dict[str, Values]:
    """What the instances already have names for: channels of the first input, and the block's own parameters."""
    shapes = [graph.type_of(node.takes[0]).shape for node in nodes if node.takes]
    channels = tuple(shape[0] for shape in shapes if shape)
    known: dict[str, Values] = {"in_channels": channels} if len(channels) == len(nodes) else {}
    given = [dict(node.scope.arguments) if node.scope else {} for node in nodes]
    for name in given[0]:
        values = tuple(arguments.get(name) for arguments in given)
        if all(isinstance(value, bool | int | float | str) for value in values):
            known[variable(name)] = values
    return known


def texts(found: Parameters, slots: Sequence[Slot]) -> list[str | None]:
    """What each literal becomes: None where its argument is left out."""
    return [_text(found, slot) for slot in slots]


def _text(found: Parameters, slot: Slot) -> str | None:
    if slot.omitted:
        return None
    if slot.constant:
        return written(slot.values[0])
    name, change = _origin(found, slot)
    parameter = found.named(name, found.known.get(name, slot.values))
    parameter.defaults.append(REQUIRED if change else slot.default)
    if not slot.in_forward:
        return name + change
    parameter.attribute = parameter.attribute or _attribute(name, found.taken)
    return f"self.{parameter.attribute}{change}"


def _origin(found: Parameters, slot: Slot) -> tuple[str, str]:
    """The parameter that gives the literal, and what is done to it: nothing, or ` * 4`.

    Input channels come from the input, all else rather from the block's own parameters.
    """
    pool = {**found.known, **{p.name: p.values for p in found.found.values()}}
    own = {name: values for name, values in pool.items() if name != "in_channels"}
    incoming = {name: values for name, values in pool.items() if name not in own}
    equal = [name for group in (own, incoming) for name, values in group.items() if _same(values, slot.values)]
    changed = [(name, change) for group in (own, incoming) for name, values in group.items()
               if (change := _change(name, values, slot))]  # fmt: skip
    if equal and (equal[0] in own or slot.role in INCOMING or not changed):
        return equal[0], ""
    return changed[0] if changed else (equal[0] if equal else _new_name(found, slot), "")


def _same(left: Values, right: Values) -> bool:
    return all(type(a) is type(b) and a == b for a, b in zip(left, right, strict=True))


def _change(name: str, values: Values, slot: Slot) -> str:
    """` * 4` or ` // 2` if that gives the slot's values in every instance; of sizes only, not of strides."""
    pairs = [(a, b) for a, b in zip(values, slot.values, strict=True) if type(a) is type(b) is int]
    if len(pairs) < len(values):
        return ""
    if slot.role == "padding" and all(size // 2 == half for size, half in pairs):
        return " // 2"
    if slot.role == "repeats":
        return _shifted({count - size for size, count in pairs})
    return _scaled(pairs) if min(map(min, pairs)) >= 4 else ""


def _scaled(pairs: Sequence[tuple[int, int]]) -> str:
    first, second = pairs[0]
    factor, share = second // first, first // second
    if factor in FACTORS and all(a * factor == b for a, b in pairs):
        return f" * {factor}"
    return f" // {share}" if share in SHARES and all(a == b * share for a, b in pairs) else ""


def _shifted(differences: set[int]) -> str:
    """` - 1`: one of a stage's blocks often stands apart."""
    if differences == {1}:
        return " + 1"
    return " - 1" if differences == {-1} else ""


def _new_name(found: Parameters, slot: Slot) -> str:
    """`out`, or with the module that it belongs to, `conv1_out`, where the class may have several of them."""
    role = "in_channels" if slot.role in INCOMING else slot.role
    owned = slot.owner.isidentifier() and (role in found.several or role in found.known)
    name = f"{slot.owner}_{role}" if owned and not role.startswith(f"{slot.owner}_") else role
    return variable(name, {*found.found, *found.known})


def varied_roles(slots: Sequence[Slot]) -> frozenset[str]:
    """Roles that differ between instances in more than one way."""
    varied = {(slot.role, tuple(map(written, slot.values))) for slot in slots if not slot.constant}
    roles = [role for role, _ in varied]
    return frozenset(role for role in roles if roles.count(role) > 1)


def _attribute(name: str, taken: set[str]) -> str:
    """Where `forward` finds it: an attribute that no module has."""
    free = name if name not in RESERVED and name not in METHODS else f"{name}_value"
    while free in taken:
        free = f"{free}_value"
    taken.add(free)
    return free


def annotation(values: Values) -> str:
    """The type of a parameter, from the values that it takes."""
    names = {_type_name(value) for value in values}
    if "float" in names:
        names.discard("int")
    return " | ".join(sorted(names, key=lambda name: (name == "None", "tuple" in name, name)))


def _type_name(value: object) -> str:
    if isinstance(value, tuple):
        return f"tuple[{' | '.join(sorted({_type_name(item) for item in value}))}, ...]"
    return "None" if value is None else type(value).__name__


def filler(texts: Sequence[str | None]) -> Callable[[object], Expr | None]:
    """Gives the texts one after the other, for `rewrite` over a class's content in the order of `slots`."""
    remaining = iter(texts)

    def fill(leaf: object) -> Expr | None:
        text = next(remaining)
        return None if text is None else Text(text)

    return fill
