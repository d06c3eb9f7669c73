"""Paths of references: computed ones, and what one asks of a tensor by its path."""

from __future__ import annotations

import pytest
from support import compiled, messages

NET = "network n {{\n input x: [3, 8, 8]\n {}\n}}"


@pytest.mark.parametrize(
    ("body", "read"),
    [
        ("for i in range(2) { a{i}: conv(i + 1, 1) }; @a{2 - 2}", "a0"),
        ("for i in range(2) { a{i}_b{i}: relu }; @a{1}_b{1}", "a1_b1"),
        ('s: { a: relu; b: relu }; for name in ["a"] { @s.{name} }', "s.a"),
        ("l: repeat 2 { relu }; relu; @.l.{0}", "l.0"),
        ("a1x: relu; relu; @a{1}x", "a1x"),
        ("a{1}: split(3); @a{1}.{2}", "a1:2"),
    ],
)
def test_parts_are_computed(body: str, read: str) -> None:
    graph = compiled(NET.format(body)).checked
    path, _, index = read.partition(":")
    assert (graph.outputs[0].tensor.path, graph.outputs[0].tensor.index) == (path, int(index or 0))


def test_a_brace_after_a_space_is_a_body() -> None:
    graph = compiled(NET.format("a: relu; for t in [@a] { t -> abs }; if @a.channels == 3 { tanh }")).checked
    assert [layer.op.name for layer in graph.layers] == ["relu", "abs", "tanh"]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("a1: relu; @a{2}", "unknown-reference: no stage `a2` stands before this"),
        ("a1: relu; @a{1.5}", "argument-type: a label can contain a whole number or a name, not the number 1.5"),
        ("@a{i}", "unknown-name: there is no `i` here"),
        ("a: relu; @a.channels", "unknown-reference: no stage `a.channels` stands before this"),
        ("a: relu; conv(@a.chanels, 1)", "unknown-property: a tensor [N, 3, 8, 8] has no `chanels`"),
        ("a: relu; conv(@b.channels, 1)", "unknown-reference: no stage `b` stands before this"),
    ],
)
def test_paths_that_lead_nowhere(body: str, expected: str) -> None:
    assert messages(NET.format(body)) == [expected]


def test_properties_of_a_path() -> None:
    graph = compiled(NET.format("a: conv(5, 3, pad = 1, stride = 2); conv(@a.channels + @a.height, 1)")).checked
    assert graph.outputs[0].type.shape == (9, 4, 4)


def test_a_stage_of_the_name_goes_before_the_property() -> None:
    graph = compiled(NET.format("a: { width: conv(2, 1); relu }; add { relu; @a.width }")).checked
    assert graph.outputs[0].type.shape == (2, 8, 8)


def test_losses_name_the_tensors_that_are_meant() -> None:
    body = "for i in range(2) { a{i}: relu }\n train { loss: mse(@a{0}) + 2 * l1(@a{1}) }"
    recipe = compiled(NET.format(body)).checked.recipe
    assert [term.tensors for term in recipe["loss"]] == [("a0",), ("a1",)]  # type: ignore[attr-defined]
