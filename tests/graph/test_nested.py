"""A network used inside another."""

from __future__ import annotations

from pathlib import Path

import pytest
from support import compiled, messages

import archdsl
from archdsl.runtime.verify import verify

BACKBONE = """
network backbone(width = 4, classes = 3) {
    input image: [3, H: 16 .. 64 = 32, 32]
    input mask: [1, H, 32]
    initialize conv = he_normal
    mul { @image; @mask }
    output fine: conv1: conv(width, 3, pad = 1) -> relu      expect params = 999
    side: linear(3)                                          training weight = 0.3
    output logits: avgpool(global) -> flatten -> fc: linear(classes)
    train { loss: cross_entropy }
}
network wide = backbone(width = 8)
"""
MAIN = "network main {{ input x: [3, 16, 24]; input m: [1, 16, 24]; {} }}"


def used(text: str) -> archdsl.Network:
    return compiled(BACKBONE + MAIN.format(text), "main")


def test_inputs_are_bound_and_outputs_are_results() -> None:
    net = used("f: wide(@x, @m, classes = 7) as a, b; output big: a; output small: @f.logits")
    shapes = {output.name: output.type.shape for output in net.checked.outputs}
    assert shapes == {"big": (8, 16, 24), "small": (7,)}
    assert [node.path for node in net.checked.inputs] == ["x", "m"]
    assert net.checked.layer("f.fc").output_types[0].shape == (7,)
    assert net.checked.scopes["f"].block == "wide"
    assert net.torch_source().count("class Wide(") == 1
    assert verify(net.checked, net.initialize(), (1, 2)).agrees


def test_what_flows_in_is_the_input_that_is_left() -> None:
    net = used("f: backbone(mask = @m)   from @x")
    assert [ref.path for ref in net.checked.layer("f.mul").inputs] == ["x", "m"]


def test_what_belongs_to_the_inner_network_alone_stays_behind() -> None:
    net = used("f: backbone(@x, @m); g: conv(4, 1)   from @x; add { @f.fine; @g }")
    assert net.checked.recipe == {}
    assert not any(layer.training_only for layer in net.checked.layers)
    assert net.checked.claims == ()
    schemes = {layer.path: layer.weights[0].init.scheme for layer in net.checked.layers if layer.weights}
    assert schemes == {"f.conv1": "he_normal", "f.fc": "default", "g": "default"}


def test_one_set_of_weights_for_two_uses() -> None:
    net = used("module f: wide(@x, @m); a: f; relu; b: f; add { @a.logits; @b.logits }")
    assert {name.partition(".")[0] for name in net.initialize()} == {"f"}
    assert verify(net.checked, net.initialize(), (2,)).agrees


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("backbone(@x)", []),
        ("backbone(@x, @m, @m)", ["too-many-arguments: `backbone` reads image and mask, but more tensors are given"]),
        ("backbone(@x, @m, depth = 3)", ["unknown-argument: `backbone` has no argument `depth`"]),
        ("f: backbone(@x, @m); @f.nothing", ["unknown-reference: no stage `f.nothing` stands before this"]),
        ("backbon(@x, @m)", ["unknown-op: there is no op or block `backbon`"]),
        ("main(@x, @m)", ["recursive-block: network `main` contains itself: main -> main"]),
    ],
)
def test_calls(statement: str, expected: list[str]) -> None:
    text = BACKBONE.replace("expect params = 999", "") + MAIN.format(statement)
    assert messages(text, "main") == expected


def test_networks_of_other_files_can_be_used(tmp_path: Path) -> None:
    (tmp_path / "base.arch").write_text(BACKBONE.replace("expect params = 999", ""))
    (tmp_path / "main.arch").write_text('use "base.arch"\n' + MAIN.format("f: wide(@x, @m)"))
    net = archdsl.load(tmp_path / "main.arch")
    assert net.name == "main"
    assert [output.name for output in net.checked.outputs] == ["output"]


def test_a_network_may_have_the_name_of_an_op_that_it_is_made_of() -> None:
    """The op goes first, so nothing contains itself."""
    net = compiled("network lstm { input x: [T, 4]; a: lstm(8) -> relu }")
    assert [layer.op.name for layer in net.checked.layers] == ["lstm", "relu"]
