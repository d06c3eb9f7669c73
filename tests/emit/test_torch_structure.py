"""Which parts of a network become modules of their own."""

from __future__ import annotations

import pytest
from support import compiled
from torch_oracle import agree

from archdsl.runtime.verify import verify

TEXT = """
block act { tanh -> scale(1.7) }
block twice { act; relu -> act }
network n {
    input x: [3, 6, 6]
    c: conv(4, 1) -> act -> twice
    d: { conv(4, 1) -> act }
    act
}
"""


def test_blocks_after_the_layer_that_a_label_names_are_written_in_place() -> None:
    """`c` is the convolution itself, so nothing can be `c.1`; inside a scope, or alone, the block is a module."""
    net = compiled(TEXT)
    assert [layer.path for layer in net.checked.layers][:3] == ["c", "c.1.0", "c.1.1"]
    source = net.torch_source()
    assert "self.c = nn.Conv2d(3, 4, 1)" in source
    assert source.count("Act()") == 2
    assert source.count("1.7 * ") == 1 + 3  # the class, and three uses in place
    agree(net.checked)


@pytest.mark.parametrize("chain", ["{ relu -> one }", "{ one -> linear(6) }", "{ a: one -> tanh; one }"])
@pytest.mark.parametrize("body", ["p: m", "m -> tanh", "reshape([1, 6]); recur over time { m }"])
def test_a_module_of_modules_is_handed_to_blocks(body: str, chain: str) -> None:
    text = f"""
    block apply(m) {{ {body} }}
    network n {{
        input x: [6]
        module one: linear(6)
        module two: {chain}
        b: apply(two)
        flatten
        c: apply(one)
    }}"""
    net = compiled(text)
    weights = net.initialize()
    assert set(net.torch().state_dict()) == set(weights)
    assert verify(net.checked, weights, (1, 3)).agrees
