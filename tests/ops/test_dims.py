"""Sizes with expressions: whatever is computed with them is what the same sum gives for plain numbers."""

from __future__ import annotations

import copy
import math
import operator
import pickle
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archdsl.ops.base import TensorType
from archdsl.ops.dims import Dim, OpenSizeError, Symbol, apart, dim, names, symbolic, with_value

H, W = Symbol("H", 224, 32, 512), Symbol("W", 96, 32, 512)
K = Symbol("K", 64, 32, 512, 32)
SYMBOLS = {"H": H, "W": W, "K": K}
h, w, k = map(dim, (H, W, K))

#: An expression of the sizes: with `Dim`s it gives a size, with plain numbers what it is there.
Expression = Callable[[dict[str, int]], int]
OPERATIONS = {"+": operator.add, "-": operator.sub, "*": operator.mul, "//": operator.floordiv, "%": operator.mod}


def _operation(parts: tuple[str, Expression, Expression]) -> Expression:
    name, left, right = parts
    return lambda sizes: OPERATIONS[name](left(sizes), right(sizes))


def _by_number(parts: tuple[str, Expression, int]) -> Expression:
    name, left, right = parts
    return lambda sizes: OPERATIONS[name](left(sizes), right)


def _from_number(parts: tuple[str, int, Expression]) -> Expression:
    name, left, right = parts
    return lambda sizes: OPERATIONS[name](left, right(sizes))


LEAVES = st.sampled_from(list(SYMBOLS)).map(lambda name: lambda sizes: sizes[name])
SMALL = st.integers(-9, 9)
EXPRESSIONS: st.SearchStrategy[Expression] = st.recursive(
    LEAVES,
    lambda inner: (
        st.tuples(st.sampled_from("+-*"), inner, inner).map(_operation)
        | st.tuples(st.sampled_from(["//", "%"]), inner, SMALL.filter(bool)).map(_by_number)
        | st.tuples(st.sampled_from("+-*"), inner, SMALL).map(_by_number)
        | st.tuples(st.sampled_from("+-*"), SMALL, inner).map(_from_number)
    ),
    max_leaves=5,
)
SIZES = st.tuples(st.integers(1, 700), st.integers(1, 700), st.integers(1, 20)).map(
    lambda found: {"H": found[0], "W": found[1], "K": 32 * found[2]}
)
OPEN = {"H": h, "W": w, "K": k}


@given(EXPRESSIONS, SIZES)
def test_an_expression_has_the_value_of_the_same_sum_of_plain_numbers(expression: Expression, sizes: dict) -> None:
    found = expression(OPEN)
    assert int(found) == expression({name: symbol.nominal for name, symbol in SYMBOLS.items()})
    assert (found.at(sizes) if isinstance(found, Dim) else found) == expression(sizes)


@given(EXPRESSIONS, SIZES)
def test_its_text_is_the_expression(expression: Expression, sizes: dict) -> None:
    assert eval(str(expression(OPEN)), dict(sizes)) == expression(sizes)  # noqa: S307 (text that we made)


@given(EXPRESSIONS, EXPRESSIONS, SIZES)
def test_equal_sizes_are_equal_everywhere(left: Expression, right: Expression, sizes: dict) -> None:
    one, other = left(OPEN), right(OPEN)
    if one == other:
        assert hash(one) == hash(other)
        assert left(sizes) == right(sizes)


@given(EXPRESSIONS, EXPRESSIONS)
def test_where_sizes_part_they_differ(left: Expression, right: Expression) -> None:
    one, other = left(OPEN), right(OPEN)
    if isinstance(one, Dim) and isinstance(other, Dim) and (found := apart(one, other)) is not None:
        assert one.at(found) != other.at(found)


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (h, "H"),
        ((h + 2 * 3 - 7) // 2 + 1, "(H + 1) // 2"),
        (-(-h // 2), "(H + 1) // 2"),
        (((h + 1) // 2 + 1) // 2, "(H + 3) // 4"),
        (h // 2 // 2 // 2, "H // 8"),
        (2 * (h // 2) + 1, "2 * (H // 2) + 1"),
        (4 * h // 2, "2 * H"),
        (math.prod((512, h // 32, w // 32)), "512 * (H // 32) * (W // 32)"),
        (h + w + 1, "H + W + 1"),
        (3 - h, "-H + 3"),
        (k // 2, "K // 2"),
        (k // 32, "K // 32"),
        (k // 64, "K // 64"),
        (k // 2 * 3, "3 * (K // 2)"),
        (k // 2 * 2, "K"),
        (h * w // w, "H"),
        (h**2, "H * H"),
        (sum([h, w, 5]), "H + W + 5"),
    ],
)
def test_the_normal_form(size: Dim, text: str) -> None:
    assert str(size) == repr(size) == text


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (h - h, 0),
        (h // h, 1),
        (math.prod((64, h, w)) // (h * w), 64),
        (math.prod((64, h, w)) % (8 * h), 0),
        ((h + w) * 3 // (h + w), 3),
        (k % 32, 0),
        (k % 16, 0),
        (h * 0, 0),
        (2 * h % 2, 0),
    ],
)
def test_what_does_not_depend_on_a_symbol_is_a_plain_number(value: int, number: int) -> None:
    assert type(value) is int
    assert value == number


def test_equality_means_every_size() -> None:
    assert h == dim(H)
    assert h - h // 2 == (h + 1) // 2
    assert h != w
    assert h != 224
    assert h != dim(W) + 128
    assert h // 2 * 2 != h
    assert k // 2 * 2 == k
    assert apart(h // 2 * 2, h) == {"H": 225}


def test_as_an_integer_it_is_the_nominal_size() -> None:
    assert 100 < h < 300
    assert max(h, 300) == 300
    assert max(h, 100) is h
    assert type(int(h)) is int
    assert f"{1000 * h:,}" == "224,000"
    assert h / 2 == 112.0
    assert bool(h - 224)


def test_nothing_makes_a_float_of_it_unnoticed() -> None:
    for make in (float, math.sqrt):
        with pytest.raises(OpenSizeError, match="H // 2, depends on H"):
            make(h // 2)


def test_dividing_by_zero_is_pythons_error() -> None:
    with pytest.raises(ZeroDivisionError):
        h // 0


def test_copies_keep_the_expression() -> None:
    size = (h + 1) // 2
    for made in (copy.copy(size), copy.deepcopy(size), pickle.loads(pickle.dumps(size))):  # noqa: S301 (our own)
        assert str(made) == str(size)
        assert made == size


def test_tensor_types_show_and_tell_apart() -> None:
    assert str(TensorType((64, h // 2, w // 2))) == "[N, 64, H // 2, W // 2]"
    assert TensorType((64, h)) != TensorType((64, 224))
    assert TensorType((64, h)) == TensorType((64, dim(H)))
    assert symbolic((64, (1, h)))
    assert not symbolic((64, 224))
    assert names([64, h // 2, w]) == "H and W"
    assert with_value(h // 7) == "H // 7 = 32"
