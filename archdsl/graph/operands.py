"""Which tensors an op reads: the one that flows in, and those that its arguments name.

`sigmoid(@f)` reads `@f` in place of what flows in, `attention(@q, @k, @v)` all three, and `lstm(64, h0 = @h)` reads
`@h` besides it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from archdsl.graph.bind import missing
from archdsl.graph.evaluate import Place, evaluate, stage_named
from archdsl.graph.state import Value
from archdsl.graph.values import POISON, Poisoned, Tensor, kind_of
from archdsl.language import syntax as s
from archdsl.language.diagnostics import error
from archdsl.ops.base import Op

#: which operand of an op stands in for one that is not given: self attention, and keys that are their own values
STAND_INS: Mapping[str, str] = {"key": "query", "value": "key"}


@dataclass(frozen=True, slots=True)
class Reader:
    """What reads tensors besides ops: a network used inside another, by its inputs."""

    name: str
    operands: tuple[str, ...]
    optional_operands: int = 0


def operands_of(
    cls: type[Op] | Reader, call: s.Call, value: Value | None, place: Place
) -> tuple[s.Arguments | None, tuple[Value, ...]]:
    """The arguments that are no tensors, and the op's inputs in the order of its `operands`.

    Leading positional tensors fill the operands that no name was given for, from the first on; where that leaves
    exactly one required operand without a tensor, what flows in is the first. Where any is given, a query that is
    still missing is what flows in, and a missing key or value that is needed has its stand-in.
    Raises `ArchError` (`no-input`, `missing-argument`, `too-many-arguments`, `duplicate-argument`, `not-a-tensor`)
    and `Poisoned`.
    """
    arguments = call.arguments
    listed = _leading_tensors(arguments, place) if arguments else ()
    named = [given for given in arguments.named if given.name in cls.operands] if arguments else []
    if not listed and not named and len(cls.operands) == 1:
        return arguments, (_flowing(call, value),)
    found: dict[str, Value] = dict(_named(cls, named, place))
    free = [name for name in cls.operands if name not in found]
    required = cls.operands[: len(cls.operands) - cls.optional_operands]
    lacking = sum(name in free for name in required) - len(listed)
    if lacking == 1 and free:
        found[free.pop(0)] = _flowing(call, value)
    if len(listed) > len(free):
        message = f"`{cls.name}` reads {' and '.join(cls.operands)}, but more tensors are given"
        raise error("too-many-arguments", message, call.name_span)
    found.update(zip(free, listed, strict=False))
    last = max((i for i, name in enumerate(cls.operands) if name in found), default=0)
    needed = {*required, *cls.operands[: last + 1]}
    if found and not isinstance(cls, Reader):
        _stand_in(found, needed, call, value)
    missing(cls.name, (name for name in cls.operands if name in needed - found.keys()), call.name_span, cls.operands)
    return _rest(arguments, len(listed), named), tuple(found[name] for name in cls.operands if name in found)


def _stand_in(found: dict[str, Value], needed: set[str], call: s.Call, value: Value | None) -> None:
    """Fill operands that others can stand in for, the query with what flows in."""
    if "query" in needed - found.keys():
        found["query"] = _flowing(call, value)
    for name, other in STAND_INS.items():
        if name in needed - found.keys():
            found[name] = found[other]


def _flowing(call: s.Call, value: Value | None) -> Value:
    if value is None:
        help = "declare an `input` before it"
        raise error("no-input", f"nothing flows into `{call.name}`", call.name_span, help=help)
    return value


def _leading_tensors(arguments: s.Arguments, place: Place) -> tuple[Tensor, ...]:
    found = []
    for node in arguments.positional:
        value = _as_tensor(node, place)
        if value is None:
            break
        found.append(value)
    return tuple(found)


def _as_tensor(node: s.Expression, place: Place) -> Tensor | None:
    """The tensor that an argument names; None for everything else."""
    if isinstance(node, s.Name):
        try:
            value = place.env.lookup(node.name)
        except KeyError:
            if stage_named(node.name, node.span, place):
                evaluate(node, place)  # says so
            return None
    elif isinstance(node, s.Reference | s.Incoming) or _of_tensors(node):
        value = evaluate(node, place)
    else:
        return None
    if value is POISON:
        raise Poisoned
    return value if isinstance(value, Tensor) else None


def _of_tensors(node: s.Expression) -> bool:
    """Whether it is arithmetic with a reference in it, which may be a number of a tensor or a mistake."""
    operands = (node.first, *(operand for _, operand in node.rest)) if isinstance(node, s.Operation) else ()
    return any(isinstance(operand, s.Reference | s.Incoming) for operand in operands)


def _named(cls: type[Op] | Reader, named: list[s.Named], place: Place) -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}
    for given in named:
        if given.name in found:
            raise error("duplicate-argument", f"`{cls.name}` gets `{given.name}` twice", given.name_span)
        value = evaluate(given.value, place)
        if value is POISON:
            raise Poisoned
        if not isinstance(value, Tensor):
            message = f"`{given.name}` of `{cls.name}` is a tensor such as `@conv1`, not {kind_of(value)}"
            raise error("not-a-tensor", message, given.value.span)
        found[given.name] = value
    return found


def _rest(arguments: s.Arguments | None, listed: int, named: list[s.Named]) -> s.Arguments | None:
    if arguments is None:
        return None
    others = tuple(given for given in arguments.named if given not in named)
    return s.Arguments(arguments.span, arguments.positional[listed:], others)
