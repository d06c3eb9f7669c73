"""Records behave as the frozen dataclasses that they stand for."""

from __future__ import annotations

import dataclasses
import pickle
from dataclasses import FrozenInstanceError, dataclass, field
from typing import Any, ClassVar

import pytest

from archdsl.language.records import Record, record


@record
class Pair(Record):
    first: int
    second: tuple[int, ...] = (2,)
    tags: list[str] = field(default_factory=list)
    kind: ClassVar[str] = "pair"


@record
class Triple(Pair):
    third: str = field(default="c", metadata={"doc": "the last"})


@dataclass(frozen=True)
class Authority:
    first: int
    second: tuple[int, ...] = (2,)
    tags: list[str] = field(default_factory=list)
    kind: ClassVar[str] = "pair"


@pytest.mark.parametrize(
    ("values", "named"),
    [((1,), {}), ((1, (3,)), {}), ((), {"first": 1}), ((1,), {"tags": ["x"]}), ((1, (3,), ["x"]), {})],
)
def test_a_record_is_made_as_a_dataclass_is(values: Any, named: Any) -> None:
    made = Pair(*values, **named)
    assert dataclasses.asdict(made) == dataclasses.asdict(Authority(*values, **named))
    assert repr(made) == repr(Authority(*values, **named)).replace("Authority", "Pair")


@pytest.mark.parametrize(
    ("values", "named"), [((), {}), ((1, 2, 3, 4), {}), ((1,), {"first": 2}), ((1,), {"other": 2})]
)
def test_wrong_arguments_are_refused_as_a_dataclass_refuses_them(values: Any, named: Any) -> None:
    for cls in (Authority, Pair):
        with pytest.raises(TypeError):
            cls(*values, **named)


def test_fields_come_in_order_those_of_the_base_first() -> None:
    assert [item.name for item in dataclasses.fields(Triple)] == ["first", "second", "tags", "third"]
    assert dataclasses.fields(Triple)[-1].metadata == {"doc": "the last"}
    assert Triple(1).third == "c" == Triple.third


def test_lists_are_not_shared() -> None:
    assert Pair(1).tags is not Pair(1).tags


def test_records_are_frozen() -> None:
    made = Pair(1)
    with pytest.raises(FrozenInstanceError):
        made.first = 2  # type: ignore[misc]
    with pytest.raises(FrozenInstanceError):
        del made.first
    assert dataclasses.replace(made, first=2).first == 2
    assert made.first == 1


def test_equality_and_hash_go_by_class_and_fields() -> None:
    one, other = Triple(1, (), (), "a"), Triple(1, (), (), "a")  # type: ignore[arg-type]
    assert one == other
    assert hash(one) == hash(other)
    assert one != Triple(1, (), (), "b")  # type: ignore[arg-type]
    assert Pair(1) != Authority(1)
    assert Pair(1, (2,)) != Triple(1, (2,))


def test_records_survive_pickling() -> None:
    assert pickle.loads(pickle.dumps(Pair(1, (5,)))) == Pair(1, (5,))  # noqa: S301 (our own bytes)
