"""Tensors as arguments of ops."""

from __future__ import annotations

from support import compiled, messages

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
