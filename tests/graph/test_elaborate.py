"""Paths, scopes, references and branches: what statements become."""

from __future__ import annotations

import pytest
from support import compiled, messages


def paths(body: str, extra: str = "") -> list[str]:
    """Paths of the layers of a network with this body on a 4x8x8 input."""
    text = f"{extra}\nnetwork net {{\n input image: [4, 8, 8]\n {body}\n}}"
    return [layer.path for layer in compiled(text).checked.layers]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("relu; relu", ["0", "1"]),
        ("relu -> relu", ["0", "1"]),
        ("a: relu -> tanh", ["a.0", "a.1"]),
        # the label of a layer with weights before weight-free ones is that layer's own
        ("c: conv(4, 1) -> relu", ["c", "c.1"]),
        ("c: conv(4, 1) -> relu -> dropout", ["c", "c.1", "c.2"]),
        ("c: conv(4, 1) -> batchnorm -> relu", ["c.0", "c.1", "c.2"]),
        ("c: dropout -> conv(4, 1)", ["c.0", "c.1"]),
        ("c: { conv(4, 1) -> relu }", ["c.0", "c.1"]),
        ("c: { conv(4, 1) }", ["c.0"]),
        # braces, combinators, conditionals and loops add nothing
        ("f: { conv(4, 1); { relu }; if true { conv(4, 1) } else { tanh } }", ["f.0", "f.1", "f.2"]),
        ("f: repeat 3 { relu }", ["f.0", "f.1", "f.2"]),
        ("f: for i in range(2) { relu; l{i}: tanh }", ["f.0", "f.l0", "f.2", "f.l1"]),
        ("add { skip; conv(4, 1) }; relu", ["0", "add", "1"]),
        ("add { skip; relu }; add { skip; relu }", ["0", "add", "1", "add_2"]),
        ("sum: add { skip; relu }", ["sum.0", "sum.add"]),
        # a label takes a position as well, so numbers are positions
        ("relu; x: relu; relu", ["0", "x", "2"]),
        ("relu -> x: tanh -> relu", ["0", "x", "2"]),
        ("stage{1 + 1}_b: relu", ["stage2_b"]),
        # a number as a label is the position, and may leave some out
        ("relu; 1: tanh; 5: { relu; 3: relu }; relu", ["0", "1", "5.0", "5.3", "6"]),
        ("c: conv(4, 1) -> 1: relu -> 4: { tanh; relu }", ["c", "c.1", "c.4.0", "c.4.1"]),
        ("c: conv(4, 1) -> 1: { conv(4, 1) }", ["c.0", "c.1.0"]),
        ("x: relu if 1 < 2 else tanh", ["x"]),
    ],
)
def test_paths(body: str, expected: list[str]) -> None:
    assert paths(body) == expected


def test_block_instances_are_scopes() -> None:
    block = "block cr(out) { conv: conv(out, 1) -> relu }\nblock two { cr(4) -> cr(4) }"
    assert paths("a: cr(4)\n cr(4)\n b: cr(4) -> cr(4)\n c: two", block) == [
        "a.conv", "a.conv.1", "1.conv", "1.conv.1", "b.0.conv", "b.0.conv.1", "b.1.conv", "b.1.conv.1",
        "c.0.conv", "c.0.conv.1", "c.1.conv", "c.1.conv.1",
    ]  # fmt: skip


def test_a_label_before_a_weight_free_block_names_the_layer() -> None:
    assert paths("c: conv(4, 1) -> act", "block act { tanh -> scale(1.7) }") == ["c", "c.1.0", "c.1.1"]


def test_the_design_sketch_of_a_residual_family_has_torchvision_names() -> None:
    text = """
    block basic(out, stride = 1) {
        let project = stride != 1 or in.channels != out
        add {
            {
                conv1: conv(out, 3, stride = stride, pad = 1, bias = false)
                bn1:   batchnorm
                relu
                conv2: conv(out, 3, pad = 1, bias = false)
                bn2:   batchnorm
            }
            if project { downsample: { conv(out, 1, stride = stride, bias = false); batchnorm } } else { skip }
        }
        relu
    }
    network tiny(depth: one of [18, 34] = 18, classes = 10) {
        let layers = {18: [2, 2], 34: [3, 4]}[depth]
        input image: [3, 32, 32]
        conv1: conv(64, 7, stride = 2, pad = 3, bias = false)
        bn1: batchnorm -> relu
        maxpool: maxpool(3, stride = 2, pad = 1)
        for i, n in layers {
            layer{i + 1}: for j in range(n) { basic(64 * 2 ** i, stride = 2 if i > 0 and j == 0 else 1) }
        }
        avgpool: avgpool(global)
        output logits: flatten -> fc: linear(classes)
    }
    """
    net = compiled(text)
    names = [f"{layer.path}.{weight.name}" for layer in net.checked.layers for weight in layer.weights]
    assert names[:2] == ["conv1.weight", "bn1.weight"]
    assert "layer1.0.bn2.running_var" in names
    assert "layer2.0.downsample.0.weight" in names
    assert "layer2.0.downsample.1.num_batches_tracked" in names
    assert not [name for name in names if name.startswith(("layer1.0.downsample", "layer2.1.downsample"))]
    assert names[-2:] == ["fc.weight", "fc.bias"]
    assert net.checked.outputs[0].type.shape == (10,)


def test_branches_come_from_loops_and_conditionals_too() -> None:
    net = compiled(
        "network n { input x: [4, 8, 8]\n"
        "concat { skip; for k in [1, 3] { conv(2, k, pad = k // 2) }; if true { relu } } }"
    )
    merge = net.checked.layers[-1]
    assert [ref.name for ref in merge.inputs] == ["x", "0", "1", "2"]
    assert merge.output_types[0].shape == (4 + 2 + 2 + 4, 8, 8)


def test_references_by_position_and_from_the_root() -> None:
    net = compiled("""
    block part { conv: relu; inside: { conv: tanh; add { @conv; @.conv; @.inside.conv } } }
    network n {
        input x: [4, 8, 8]
        relu
        conv: conv(4, 1)
        scope: { relu; conv: conv(4, 1); mul { @conv; @.conv; @0; @.0; @.scope.0 } }
        part
    }""").checked
    assert [ref.name for ref in net.layer("scope.mul").inputs] == ["scope.conv", "conv", "scope.0", "0", "scope.0"]
    assert [ref.name for ref in net.layer("3.inside.add").inputs] == ["3.inside.conv", "3.conv", "3.inside.conv"]


def test_references_reach_stages_instances_and_results() -> None:
    net = compiled("""
    block pair { a: conv(2, 1); b: conv(6, 1) }
    network n {
        input x: [4, 8, 8]
        p: pair
        s: split(2) from @p.b
        output y: concat { @p.a; @s.1; @x }
    }
    """)
    assert [ref.name for ref in net.checked.layers[-1].inputs] == ["p.a", "s:1", "x"]


def test_references_see_their_own_instance_first() -> None:
    net = compiled("""
    block gate(width) {
        h: conv(width, 3, pad = 1) -> relu
        t: conv(width, 3, pad = 1) -> sigmoid   from in
        add { mul { @h; @t }; mul { in; @t -> scale(-1, 1) } }
    }
    network n { input x: [4, 8, 8]; one: gate(4); two: gate(4); h: relu }
    """)
    products = [layer for layer in net.checked.layers if layer.path.endswith("mul")]
    assert [[ref.name for ref in layer.inputs] for layer in products] == [
        ["one.h.1", "one.t.1"],
        ["two.h.1", "two.t.1"],
    ]


def test_tensor_parameters() -> None:
    net = compiled("""
    block up(out, skip: tensor) { up: upsample(2) -> conv(out, 1); concat { @skip; @up } }
    network n { input x: [4, 8, 8]; enc: relu; pool: maxpool(2); up1: up(6, @enc) }
    """)
    assert net.checked.layers[-1].output_types[0].shape == (10, 8, 8)
    assert net.checked.layers[-1].inputs[0].name == "enc"


def test_training_parts_are_side_branches() -> None:
    net = compiled("""
    network n {
        input x: [4, 8, 8]
        a: conv(4, 1)
        head: flatten -> linear(3)      training weight = 0.5
        output y: relu
    }
    """)
    assert net.checked.layer("head.1").training_only
    assert net.checked.layers[-1].inputs[0].name == "a"
    assert [(o.name, o.training_only, o.weight) for o in net.checked.outputs] == [
        ("head", True, 0.5),
        ("y", False, None),
    ]


def test_a_deployed_layer_cannot_read_a_training_part() -> None:
    found = messages(
        "network n { input x: [4]; h: linear(4) training; output y: add { in_; @h } }".replace("in_", "@x")
    )
    assert found == ["training-only: a deployed layer reads a tensor that exists in training only"]


def test_one_mistake_in_a_block_is_reported_once() -> None:
    found = messages("block b { conv(4, 3) }\nnetwork n { input x: [4, 2, 2]; b; b; b -> conv(1, 1) }")
    assert len(found) == 1
    assert found[0].startswith("kernel-too-large")


def test_independent_mistakes_are_all_reported_and_nothing_cascades() -> None:
    found = messages("""
    network n {
        input x: [4, 8, 8]
        a: convv(4, 3)
        b: conv(4, 3, strid = 2) from @x
        add { @a; @b }
        c: conv(in.channels // 2, nope) from @x
    }
    """)
    assert [text.split(":")[0] for text in found] == ["unknown-op", "unknown-argument", "unknown-name"]


def test_variants_and_parameters_from_outside() -> None:
    text = "network a(n = 2, k = 3) { input x: [4]; linear(n * k) }\nnetwork b = a(n = 5)\nnetwork c = b(k = 7)"
    assert compiled(text, "c").checked.outputs[0].type.shape == (35,)
    assert compiled(text, "b", k=10).checked.outputs[0].type.shape == (50,)
    assert compiled(text, "b", k=10).checked.overridden == ("`k = 10`",)
    assert compiled(text, "b", k=3).checked.overridden == ()


def test_initialization_reaches_layers_that_say_nothing_themselves() -> None:
    net = compiled("""
    network n {
        input x: [4, 8, 8]
        initialize conv = he_normal, weight = normal(std = 0.01), bias = constant(0.2)
        a: conv(4, 1)
        b: conv(4, 1, init = zeros, bias_init = ones)
        flatten -> c: linear(3)
    }
    """)
    schemes = {
        f"{layer.path}.{weight.name}": weight.init.scheme for layer in net.checked.layers for weight in layer.weights
    }
    assert schemes == {
        "a.weight": "he_normal", "a.bias": "constant", "b.weight": "zeros", "b.bias": "ones",
        "c.weight": "normal", "c.bias": "constant",
    }  # fmt: skip


# Learned tensors have no name but their label -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "position"),
    [
        ("mul { skip; parameter([4, 1, 1]) }", "0"),
        ("a: { relu; parameter([4, 1, 1]) }", "1"),
        ("module m: relu -> parameter([4, 1, 1]); m", "1"),
        ("b: noise", "0"),
    ],
)
def test_a_parameter_needs_a_label(body: str, position: str) -> None:
    text = f"block noise {{ parameter([4, 1, 1]) }}\nnetwork n {{ input x: [4, 8, 8]; {body} }}"
    assert [m for m in messages(text) if "unused" not in m] == [
        f"reserved-label: `parameter` has no label, and `{position}` is no name for a parameter"
    ]


@pytest.mark.parametrize("body", ["mul { skip; g: parameter([4, 1, 1]) }", "module m: parameter([4, 1, 1]); m"])
def test_a_parameter_with_a_label_is_fine(body: str) -> None:
    assert messages(f"network n {{ input x: [4, 8, 8]; {body} }}") == []
