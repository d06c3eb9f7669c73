"""Expressions: their values against Python's own arithmetic, and what they refuse."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import compiled, messages


def value(expression: str) -> object:
    """An expression's value, by way of a parameter's default."""
    return compiled(f"network n(v = {expression}) {{ input x: [1]; relu; let used = v }}").checked.parameters["v"]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("1 + 2 * 3", 7),
        ("(1 + 2) * 3", 9),
        ("2 ** 3 ** 2", 512),
        ("-2 ** 2", -4),
        ("2 ** -1", 0.5),
        ("7 // 2", 3),
        ("-7 // 2", -4),
        ("7 % 4", 3),
        ("6 / 2", 3),  # stays an integer where it comes out even
        ("7 / 2", 3.5),
        ("10 - 3 - 2", 5),
        ("1 if 2 > 1 else 0", 1),
        ("1 if false else 2 if false else 3", 3),
        ("not not true", True),
        ("1 < 2 < 3", True),
        ("1 < 3 < 2", False),
        ("2 in [1, 2]", True),
        ("3 in {3: 1}", True),
        ("{18: [2, 2], 34: [3, 4]}[34][1]", 4),
        ("[1, 2, 3][-1]", 3),
        ("[1] + [2, 3]", (1, 2, 3)),
        ('"a" + "b"', "ab"),
        ("sum([1, 2, 3]) + len([4, 5])", 8),
        ("min(3, 1, 2) + max([3, 1])", 4),
        ("floor(2.5) + ceil(2.5) + round(2.4) + abs(-1)", 8),
        ("range(3)", (0, 1, 2)),
        ("range(1, 7, 3)", (1, 4)),
        ("128M", 128_000_000),
        ("2.5K", 2500),
        ("3Ki", 3072),
        ("6_998_552", 6998552),
        ("1.5e3", 1500.0),
        ("true and false or true", True),
    ],
)
def test_values(expression: str, expected: object) -> None:
    assert value(expression) == expected
    assert isinstance(value(expression), type(expected))


@st.composite
def arithmetic(draw: st.DrawFn, depth: int = 3) -> str:
    """An integer expression that means the same in the language and in Python."""
    if depth == 0 or draw(st.booleans()):
        return str(draw(st.integers(0, 50)))
    left, right = draw(arithmetic(depth - 1)), draw(arithmetic(depth - 1))
    form = draw(
        st.sampled_from(["({} + {})", "{} + {}", "({} - {})", "({} * {})", "({} // {})", "({} % {})", "({} < {})"])
    )
    return f"(1 if {left} < {right} else 0)" if "<" in form else form.format(left, right)


@given(arithmetic())
def test_integer_arithmetic_is_pythons(expression: str) -> None:
    try:
        expected = eval(expression)  # noqa: S307 (the authority; generated from digits and signs above)
    except ZeroDivisionError:
        assert messages(f"network n(v = {expression}) {{ input x: [v]; relu }}")[0].startswith("division-by-zero")
        return
    assert value(expression) == expected


@pytest.mark.parametrize(
    ("expression", "code"),
    [
        ("1 + true", "operand-type"),
        ('1 + "a"', "operand-type"),
        ("[1] * 3", "operand-type"),
        ("-true", "operand-type"),
        ("1 / 0", "division-by-zero"),
        ("0 ** -1", "division-by-zero"),
        ("1 if 1 else 2", "condition-type"),
        ("not 1", "condition-type"),
        ("[1, 2][2]", "index-error"),
        ("{1: 2}[3]", "index-error"),
        ("[1, 2][true]", "argument-type"),
        ("{1: 2, 1: 3}", "duplicate-argument"),
        ("nope", "unknown-name"),
        ("nope(3)", "unknown-name"),
        ("len(3)", "argument-type"),
        ("min()", "argument-type"),
        ("floor()", "argument-type"),
        ("floor(1, 2)", "argument-type"),
        ("sqrt(-1)", "argument-value"),
        ("max(a = 1)", "unknown-argument"),
        ("normal(std = -1)", "argument-value"),
        ("range(1, 2, 0)", "argument-value"),
        ("normal(sdt = 1)", "argument-type"),
        ("constant()", "argument-type"),
        ("10 ** 30", "limit-number"),
        ("10 ** 10 ** 10", "limit-number"),
        ("1e300 * 1e300", "limit-number"),
        ("range(10 ** 9)", "limit-list"),
        ("(3).channels", "not-a-tensor"),
        ("in.channels", "not-a-tensor"),
    ],
)
def test_refusals(expression: str, code: str) -> None:
    found = messages(f"network n(v = {expression}) {{ input x: [4]; relu; let used = v }}")
    assert [text.split(":")[0] for text in found] == [code]


def test_properties_of_the_incoming_tensor() -> None:
    net = compiled("""
    network n {
        input x: [6, 8, 10]
        conv(in.channels // 2, [in.height - 1, in.width - 2])
        flatten
        linear(in.features + in.shape[0])
    }
    """)
    assert net.checked.layers[0].output_types[0].shape == (3, 2, 3)
    assert net.checked.layers[2].output_types[0].shape == (36,)


def test_names_of_another_place_are_not_seen() -> None:
    block = "block b { let hidden = 3; conv(hidden, 1) }"
    found = messages(f"{block}\nnetwork n {{ input x: [4, 8, 8]; b; conv(hidden, 1) }}")
    assert found == ["unknown-name: there is no `hidden` here"]
    found = messages("block b { conv(width, 1) }\nnetwork n(width = 3) { input x: [4, 8, 8]; b; conv(width, 1) }")
    assert found == ["unknown-name: there is no `width` here"]
