"""Which parts of a network become modules of their own."""

from __future__ import annotations

from support import compiled
from torch_oracle import agree

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
