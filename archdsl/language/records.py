"""Frozen dataclasses made without generating code.

`dataclasses.dataclass` writes and compiles the methods of every class anew: for the 150 record types that `archdsl
check` imports, a third of its time. A record has the same fields, constructor, comparison and text from here, once;
`dataclasses.fields`, `replace` and `asdict` work on it.
"""

from __future__ import annotations

import dataclasses
from dataclasses import MISSING, Field, FrozenInstanceError, dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, dataclass_transform

T = TypeVar("T")


@dataclass
class _Specimen:
    field: None


#: how `dataclasses` marks what is a field, and no class variable
_IS_FIELD = dataclasses.fields(_Specimen)[0]._field_type  # type: ignore[attr-defined]


class Record:
    """Base of all records: frozen, compared by its fields."""

    _fields: ClassVar[tuple[str, ...]] = ()
    __dataclass_fields__: ClassVar[dict[str, Field[Any]]] = {}

    if not TYPE_CHECKING:  # each class has a constructor of its own fields

        def __init__(self, *values: object, **named: object) -> None:
            state = self.__dict__
            if len(values) == len(self._fields) and not named:
                state.update(zip(self._fields, values, strict=True))
                return
            if len(values) > len(self._fields):
                raise TypeError(f"{type(self).__name__} has {len(self._fields)} fields, not {len(values)}")
            state.update(zip(self._fields, values, strict=False))
            _fill(self, state, named)

    def __setattr__(self, name: str, value: object) -> None:
        raise FrozenInstanceError(f"cannot assign to field {name!r}")

    def __delattr__(self, name: str) -> None:
        raise FrozenInstanceError(f"cannot delete field {name!r}")

    def _values(self) -> tuple[object, ...]:
        return tuple([getattr(self, name) for name in self._fields])

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and other._values() == self._values()

    def __hash__(self) -> int:
        return hash((type(self).__name__, *self._values()))

    def __repr__(self) -> str:
        given = ", ".join(f"{name}={getattr(self, name)!r}" for name in self._fields)
        return f"{type(self).__name__}({given})"


def _fill(made: Record, state: dict[str, object], named: dict[str, object]) -> None:
    """Fields given by name, and defaults; TypeError for what is unknown, double or missing."""
    known = made.__dataclass_fields__
    for name, value in named.items():
        if name not in known or name in state:
            raise TypeError(f"{type(made).__name__} got {'two values for' if name in state else 'an unknown'} {name!r}")
        state[name] = value
    if len(state) == len(known):
        return
    for name, item in known.items():
        if name in state:
            continue
        if item.default is not MISSING:
            state[name] = item.default
        elif item.default_factory is not MISSING:
            state[name] = item.default_factory()
        else:
            raise TypeError(f"{type(made).__name__} needs {name!r}")


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def record(cls: type[T]) -> type[T]:
    """Class decorator: the annotated names become the fields of a `Record`, after those of its base."""
    return make_record(cls)


def make_record(cls: type[T]) -> type[T]:
    """`record`, for decorators of other names; the class must derive from `Record`."""
    assert issubclass(cls, Record), cls
    found: dict[str, Field[Any]] = dict(cls.__dataclass_fields__)
    for name, annotation in cls.__dict__.get("__annotations__", {}).items():  # noqa: RUF063 (`inspect` is heavy)
        if not annotation.startswith("ClassVar"):
            found[name] = _field(cls, name, annotation)
    cls.__dataclass_fields__ = found
    cls._fields = tuple(found)
    return cls


def _field(cls: type, name: str, annotation: str) -> Field[Any]:
    """The field of one annotation; a default that is a `field(...)` is replaced by what it stands for."""
    default = cls.__dict__.get(name, MISSING)
    made: Field[Any] = default if isinstance(default, Field) else field(default=default)
    made.name, made.type = name, annotation
    made._field_type = _IS_FIELD  # type: ignore[attr-defined]
    if default is not MISSING and made.default is MISSING:
        delattr(cls, name)
    elif isinstance(default, Field):
        setattr(cls, name, made.default)
    return made
