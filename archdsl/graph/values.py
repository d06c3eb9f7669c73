"""Values of the language: numbers, strings, words, lists (tuples), maps (dicts), schemes, tensors, and the poison."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

from archdsl.graph.graph import TensorRef
from archdsl.language import syntax as s
from archdsl.language.diagnostics import ArchError, Diagnostic
from archdsl.ops.base import Init, TensorType

Part = TypeVar("Part")
Done = TypeVar("Done")


class Word(str):
    """A bare word that an argument understands: `same`, `global`, `nearest` ..."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Tensor:
    """A tensor of the graph under construction; `siblings` are all results of its op, itself among them."""

    ref: TensorRef
    type: TensorType
    training_only: bool = False
    siblings: tuple[Tensor, ...] = field(default=(), compare=False, repr=False)


@dataclass(frozen=True, slots=True, eq=False)
class Module:
    """A declared module: `path` owns its weights, `here` is where it was declared (a `state.Here`)."""

    path: str
    statement: s.ModuleStatement
    here: Any


class Poison:
    """Stands for a value whose making failed and was reported; nothing made of it is reported again."""


POISON = Poison()


class Poisoned(Exception):
    """Raised where a poisoned value is needed: stops quietly, the cause is already reported."""


def all_of(parts: Iterable[Part], run: Callable[[Part], Done]) -> list[Done]:
    """What `run` gives for each part; raises one `ArchError` with the findings of all parts that fail."""
    done: list[Done] = []
    found: list[Diagnostic] = []
    poisoned = False
    for part in parts:
        try:
            done.append(run(part))
        except ArchError as failure:
            found += failure.diagnostics
        except Poisoned:
            poisoned = True
    if found:
        raise ArchError(found)
    if poisoned:
        raise Poisoned
    return done


class Results(dict[str, "Tensor | Poison"]):
    """What `@path` means, by path.

    What a failed part would have made is poison, though it never came to be: all below a path that is poison, and
    what has a lost name. Only looking up sees it; it is neither counted nor listed.
    """

    def __init__(self) -> None:
        super().__init__()
        self.lost: dict[str, re.Pattern[str]] = {}

    def lose(self, path: str) -> None:
        """Poison at a path, unless something stands there."""
        self.setdefault(path, POISON)

    def lose_all(self, pattern: str) -> None:
        """Poison at every path of this form that nothing stands at, where names are not known."""
        self.lost.setdefault(pattern, re.compile(pattern))

    def __contains__(self, path: object) -> bool:
        return super().__contains__(path) or self._is_lost(str(path))

    def __missing__(self, path: str) -> Poison:
        if self._is_lost(path):
            return POISON
        raise KeyError(path)

    def _is_lost(self, path: str) -> bool:
        """Whether the nearest thing around it is poison."""
        for around in _outwards(path):
            if super().__contains__(around):
                return super().__getitem__(around) is POISON
            if any(pattern.fullmatch(around) for pattern in self.lost.values()):
                return True
        return False


def _outwards(path: str) -> Iterator[str]:
    """`a.b.c`, `a.b`, `a`."""
    while path:
        yield path
        path = path.rpartition(".")[0]


@dataclass
class Env:
    """Names and their values; inner ones hide outer ones."""

    names: dict[str, object]
    parent: Env | None = None

    def lookup(self, name: str) -> object:
        """The value; KeyError if no scope has the name."""
        env: Env | None = self
        while env is not None:
            if name in env.names:
                return env.names[name]
            env = env.parent
        raise KeyError(name)

    def known(self) -> list[str]:
        """All names that can be seen from here."""
        inherited = self.parent.known() if self.parent else []
        return [*self.names, *inherited]


def kind_of(value: object) -> str:
    """'a list', 'the number 3', 'a tensor': what a value is, in messages."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return f"the number {value}"
    if isinstance(value, Word):
        return f"the word `{value}`"
    if isinstance(value, str):
        return f'the string "{value if len(value) <= 30 else value[:27] + "..."}"'
    kinds = (
        (tuple, "a list"),
        (dict, "a map"),
        (Tensor, "a tensor"),
        (Module, "a module"),
        (Init, "an initialization scheme"),
    )
    return next((text for kind, text in kinds if isinstance(value, kind)), "nothing")


def show(value: object) -> str:
    """A value as the language writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return "[" + ", ".join(map(show, value)) + "]"
    if isinstance(value, str) and not isinstance(value, Word):
        return f'"{value}"'
    return str(value)
