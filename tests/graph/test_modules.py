"""`module`: weights that several uses share, as the graph has them and as both forms compute them."""

from __future__ import annotations

import numpy as np
import pytest
from both_forms import assert_agreement
from support import compiled, messages

import archdsl
from archdsl.graph.costs import costs, quantity
from archdsl.runtime.verify import verify

#: RetinaNet's heads (Lin et al., 2017) on a small pyramid: five levels, each half the one before.
LEVELS = range(3, 8)
HEADS = f"""
block tower(out) {{
    for i in range(4) {{ conv{{i}}: conv(in.channels, 3, pad = 1) -> relu }}
    final: conv(out, 3, pad = 1)
    transpose([2, 3, 1]) -> reshape([in.shape[0] * in.shape[1] * 9, out // 9])
}}

network heads(classes = 4) {{
    input image: [3, 64, 64]
    module cls: tower(9 * classes)      expect params = 4 * (16 * 16 * 9 + 16) + 16 * 36 * 9 + 36
    module box: tower(9 * 4)
    p3: conv(16, 3, stride = 2, pad = 1) -> relu
    p4: conv(16, 3, stride = 2, pad = 1)
    p5: conv(16, 3, stride = 2, pad = 1)
    p6: conv(16, 3, stride = 2, pad = 1)
    p7: relu -> conv(16, 3, stride = 2, pad = 1)
    output scores: concat {{ {"; ".join(f"scores{i}: cls from @p{i}" for i in LEVELS)} }}
    output boxes: concat {{ {"; ".join(f"boxes{i}: box from @p{i}" for i in LEVELS)} }}
}}
"""


def test_heads_over_five_levels_count_their_weights_once_and_their_work_five_times() -> None:
    graph = compiled(HEADS).checked
    found = costs(graph)
    once = quantity(graph, found, "cls", "params")
    assert once == 4 * (16 * 16 * 9 + 16) + 16 * 36 * 9 + 36
    trunk = (3 * 16 * 9 + 16) + 4 * (16 * 16 * 9 + 16)
    assert found.totals.params == trunk + 2 * once
    sizes = [32, 16, 8, 4, 2]
    assert sum(found.stages[f"scores{i}"].macs for i in range(3, 8)) == sum(
        size * size * (4 * 16 * 16 * 9 + 16 * 36 * 9) for size in sizes
    )
    assert [layer.module for layer in graph.layers if layer.path == "boxes6.conv2"] == ["box.conv2"]


def test_heads_are_the_same_in_both_forms_with_one_module_and_one_initializer() -> None:
    net = compiled(HEADS)
    weights = net.initialize()
    assert {name.partition(".")[0] for name in weights} == {"cls", "box", "p3", "p4", "p5", "p6", "p7"}
    assert set(net.torch().state_dict()) == set(weights)
    initializers = [tensor.name for tensor in net.onnx().graph.initializer]
    assert initializers.count("cls.conv0.weight") == 1
    source = net.torch_source()
    assert source.count("self.cls = ") == 1
    result = verify(net.checked, weights, (1, 3))
    assert result.agrees, result


def test_uses_that_do_the_same_are_calls_and_others_are_written_in_place() -> None:
    text = """network n {
        input x: [4, 8, 8]
        module head: { conv: conv(4, 3, pad = 1) -> relu; flatten; reshape([in.features]) }
        small: maxpool(2)
        a: head
        b: head   from @small
        c: head   from @x
        concat { @a; @b; @c }
    }"""
    net = compiled(text)
    source = net.torch_source()
    assert source.count("self.head = ") == 1
    assert source.count("self.head(") == 2
    assert source.count("self.head.conv(") == 1
    assert verify(net.checked, net.initialize(), (2,)).agrees


def test_a_part_that_uses_a_module_of_another_gets_it_handed_in() -> None:
    text = """
    block level(head, out) { conv(out, 1) -> head -> relu }
    network n {
        input x: [4, 8, 8]
        module head: conv(4, 3, pad = 1)
        low: level(head, 4)
        neck: { conv(4, 1) -> head -> batchnorm }
        output y: head
    }"""
    net = compiled(text)
    assert "head: nn.Module" in net.torch_source()
    assert sum(name.startswith("head.") for name in net.torch().state_dict()) == 2
    assert_agreement(net)


def test_a_module_in_a_block_belongs_to_the_instance_and_one_in_a_module_to_that() -> None:
    text = """
    block twice { module c: conv(4, 1); c -> relu -> c }
    network n { input x: [4, 8, 8]; module m: twice; a: m -> b: twice -> m }
    """
    net = compiled(text)
    assert sorted(net.initialize()) == ["a.b.c.bias", "a.b.c.weight", "m.c.bias", "m.c.weight"]
    assert_agreement(net)


def test_a_shared_batch_norm_sees_every_use_in_training() -> None:
    import torch

    net = compiled("network n { input x: [4, 8, 8]; module bn: batchnorm; a: bn -> relu; b: bn; add { @a; @b } }")
    module = net.torch().train()
    value = torch.randn(5, 4, 8, 8)
    module(value)
    own = torch.nn.BatchNorm2d(4)
    own(torch.relu(own(value)))
    np.testing.assert_allclose(module.state_dict()["bn.running_mean"], own.running_mean, atol=1e-6)
    assert module.state_dict()["bn.num_batches_tracked"] == 2


@pytest.mark.parametrize(
    ("claim", "expected"),
    [
        ("params = 20", []),
        ("params = 21", ["expect-failed: `params` of `head` is 20, not 21"]),
        ("macs = 3", ["bad-claim: `head` is a module: only its uses have `macs`"]),
    ],
)
def test_claims_on_a_module(claim: str, expected: list[str]) -> None:
    text = f"network n {{ input x: [4, 8, 8]; module head: conv(4, 1) expect {claim}; head -> head }}"
    assert messages(text) == expected


def test_arguments_mean_what_they_mean_where_the_module_is_declared() -> None:
    text = """network n {
        input x: [4, 8, 8]
        let out = 3
        side: conv(2, 1)
        module head: { conv(out, 1) from @x; concat { skip; @side } }
        { let out = 7; a: head -> relu }
    }"""
    graph = compiled(text).checked
    assert graph.layer("a.0.0").output_types[0].shape == (3, 8, 8)
    assert graph.layer("a.0.concat").output_types[0].shape == (5, 8, 8)


def test_a_use_that_does_not_fit_is_marked_beside_the_first() -> None:
    text = "network n { input x: [4, 8, 8]; module head: { conv(8, 1) -> relu }; a: head; b: head }"
    with pytest.raises(archdsl.ArchError) as failure:
        compiled(text)
    (found,) = failure.value.diagnostics
    assert found.code == "module-differs"
    places = [(text[label.span.start - 3 : label.span.end], label.message) for label in found.labels]
    assert places == [("a: head", "made for this use"), ("b: head", "used again here")]
