"""Tensors as arguments of ops."""

from __future__ import annotations

import pytest
from support import compiled, messages

import archdsl

BODY = "network n {{ input x: [4, 6]; input z: [4, 6]; a: linear(6); {} }}"


def inputs_of(statement: str) -> list[str]:
    """What the network's last layer reads."""
    return [ref.path for ref in compiled(BODY.format(statement)).checked.layers[-1].inputs]


def test_a_leading_tensor_replaces_what_flows_in() -> None:
    assert inputs_of("b: relu(@x)") == ["x"]
    assert inputs_of("b: linear(@x, 3)") == ["x"]
    assert inputs_of("b: linear(3, input = @z)") == ["z"]


def test_a_network_may_begin_with_an_op_on_a_named_tensor() -> None:
    net = compiled("network n { input x: [4]; input z: [4]; b: relu(@x); c: add { @b; @z } }")
    assert [ref.path for ref in net.checked.layer("b").inputs] == ["x"]


def test_the_settings_that_follow_are_bound_in_their_order() -> None:
    layer = compiled(BODY.format("b: leaky_relu(@x, 0.3)")).checked.layer("b")
    assert layer.op.slope == 0.3


def test_more_tensors_than_operands_are_refused() -> None:
    assert messages(BODY.format("b: relu(@x, @z)")) == [
        "too-many-arguments: `relu` reads input, but more tensors are given"
    ]


def test_one_operand_twice_is_refused() -> None:
    assert messages(BODY.format("b: relu(input = @x, input = @z)")) == ["duplicate-argument: `relu` gets `input` twice"]


def test_what_depends_on_a_broken_stage_is_not_reported_too() -> None:
    assert messages(BODY.format("b: linear(0); c: relu(@b)")) == [
        "argument-value: `out` of `linear` must be a whole number of at least 1, but is 0"
    ]


# Operands that others stand in for ------------------------------------------------------------------------------------

SEQUENCES = "network n {{ input x: [16, 32]; input k: [16, 32]; input m: [16, 16]; {} }}"


@pytest.mark.parametrize(
    ("statement", "inputs"),
    [
        ("multihead_attention(@x, mask = @m, heads = 4)", "x x x m"),
        ("multihead_attention(mask = @m, heads = 4) from @k", "k k k m"),
        ("multihead_attention(@x, @k, mask = @m, heads = 4)", "x k k m"),
        ("multihead_attention(value = @k, heads = 4) from @x", "x x k"),
        ("multihead_attention(@x, heads = 4)", "x"),
        ("attention(mask = @m, heads = 4) from @k", "k k k m"),
        ("attention(@x)", "x x x"),
        ("attention(key = @k) from @x", "x k k"),
        # one that is missing is what flows in, as it is for all ops
        ("attention(@k, @k) from @x", "x k k"),
    ],
)
def test_keys_and_values_that_are_not_given(statement: str, inputs: str) -> None:
    layer = compiled(SEQUENCES.format(statement)).checked.layers[-1]
    assert [ref.path for ref in layer.inputs] == inputs.split()


def test_attention_says_what_it_attends_to() -> None:
    assert messages(SEQUENCES.format("attention(heads = 4)")) == [
        "missing-argument: `attention` needs the arguments `query` and `key` and `value`"
    ]


def test_other_operands_have_no_stand_in() -> None:
    assert messages("network n { input x: [4, 6]; input c: [8]; lstm(8, c0 = @c) from @x }") == [
        "missing-argument: `lstm` needs the argument `h0`"
    ]


def test_inputs_of_a_network_have_no_stand_in_whatever_their_names() -> None:
    inner = "network inner { input query: [4]; input key: [4]; input value: [4]; add { @query; @key; @value } }"
    assert messages(f"{inner}\nnetwork n {{ input x: [4]; inner }}", "n") == [
        "missing-argument: `inner` needs the arguments `query` and `key` and `value`"
    ]


# What is written in place of a reference ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("statement", "message", "help"),
    [
        ("b: a", "there is no op or block `a`", "`a` is a stage: did you mean `@a`?"),
        ("relu from a", "there is no `a` here", "`a` is a stage: did you mean `@a`?"),
        ("sub(@x, a)", "there is no `a` here", "`a` is a stage: did you mean `@a`?"),
        ("relu(1 - @x)", "`-` cannot combine the number 1 and a tensor", "`scale(-1, offset = 1)`"),
        ("relu(@x - 0.5)", "`-` cannot combine a tensor and the number 0.5", "`scale(1, offset = -0.5)`"),
        ("relu(@x + 2)", "`+` cannot combine a tensor and the number 2", "`scale(1, offset = 2)`"),
        ("relu(3 * in)", "`*` cannot combine the number 3 and a tensor", "`scale(3)`"),
        ("relu(@x / 4)", "`/` cannot combine a tensor and the number 4", "`scale(1 / 4)`"),
        ("relu(@x * @z)", "`*` cannot combine a tensor and a tensor", "`mul { a; b }`"),
        ("relu(1 / @x)", "`/` cannot combine the number 1 and a tensor", ""),
    ],
)
def test_help_for_what_is_no_reference(statement: str, message: str, help: str) -> None:
    with pytest.raises(archdsl.ArchError) as failure:
        compiled(BODY.format(statement))
    (found,) = failure.value.diagnostics
    assert found.message == message
    assert (found.help or "").endswith(help)
    assert bool(found.help) == bool(help)


def test_a_stage_in_place_of_a_reference_is_mended() -> None:
    with pytest.raises(archdsl.ArchError) as failure:
        compiled(BODY.format("b: relu from a"))
    (found,) = failure.value.diagnostics
    assert found.fix is not None
    assert "b: relu from @a }" in found.fix.apply()


def test_numbers_of_a_tensor_may_be_computed_with() -> None:
    layer = compiled(BODY.format("b: linear(@x.length * 2)")).checked.layer("b")
    assert str(layer.output_types[0]) == "[N, 4, 12]"
