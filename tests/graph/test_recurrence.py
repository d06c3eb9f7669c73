"""`recur`: recurrence from equations, against PyTorch's own layers and against a loop written out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from support import compiled, messages
from torch import Tensor, nn
from torch.nn import functional as F

import archdsl
from archdsl.emit.onnx.writer import save
from archdsl.graph.costs import costs
from archdsl.runtime.session import open_session
from archdsl.runtime.verify import verify

LSTM = """
block lstm_cell(width) {
    recur over time with h = zeros(width), c = zeros(width) {
        gates: concat { in; h } -> linear(4 * width) -> split(4) as i, f, g, o
        c = add { mul { sigmoid(f); c }; mul { sigmoid(i); tanh(g) } }
        h = mul { sigmoid(o); tanh(c) }
    }
}
"""
FIXED = LSTM + "network n { input x: [6, 5]; cell: lstm_cell(8); output y: @cell; output c: @cell.recur.c }"
OPEN = FIXED.replace("[6, 5]", "[T: 1 .. 100 = 6, 5]")
GRU = """
network n {
    input x: [6, 5]
    input h0: [8]
    recur over time with h = @h0 {
        gates: concat { in; h } -> linear(16) -> sigmoid -> split(2) as r, z
        mine: concat { in; mul { r; h } } -> linear(8) -> tanh
        h = add { mul { z; h }; mul { scale(-1, 1) from z; @mine } }
    } from @x
}
"""


def lstm(weights: dict[str, np.ndarray]) -> nn.LSTM:
    """PyTorch's layer with the weights of `lstm_cell`, which has one matrix for both inputs and one bias."""
    layer = nn.LSTM(5, 8, batch_first=True)
    matrix, bias = (torch.from_numpy(weights[f"cell.gates.0.{name}"]) for name in ("weight", "bias"))
    values = (matrix[:, :5], matrix[:, 5:], bias, torch.zeros_like(bias))
    for name, value in zip(("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"), values, strict=True):
        getattr(layer, name).data = value
    return layer


def run(net: archdsl.Network, weights: dict[str, np.ndarray], feeds: list[dict[str, Tensor]], path: Path):
    """Outputs of the file for each feed, by their names."""
    save(net.onnx(weights), path)
    session = open_session(path)
    names = [output.name for output in session.get_outputs()]
    for feed in feeds:
        values = session.run(None, {name: value.numpy() for name, value in feed.items()})
        yield dict(zip(names, values, strict=True))


@pytest.mark.parametrize(("text", "sizes"), [(FIXED, [(1, 6), (7, 6)]), (OPEN, [(1, 3), (7, 50), (2, 1)])])
def test_an_lstm_from_its_equations_is_the_native_one(text: str, sizes: list[tuple[int, int]], tmp_path: Path) -> None:
    """One file for every batch, and for every length where it is open."""
    net = compiled(text)
    weights = net.initialize(3)
    module, native = net.torch(weights).eval(), lstm(weights)
    torch.manual_seed(0)
    inputs = [torch.randn(batch, length, 5) for batch, length in sizes]
    found = run(net, weights, [{"x": value} for value in inputs], tmp_path / "m.onnx")
    for value, ours in zip(inputs, found, strict=True):
        with torch.inference_mode():
            sequence, (_, last) = native(value)
            mine = module(value)
        for name, wanted in (("y", sequence), ("c", last[0])):
            np.testing.assert_allclose(mine[name], wanted, atol=1e-6)
            np.testing.assert_allclose(ours[name], wanted, atol=1e-6)


def test_first_states_can_be_inputs() -> None:
    """Cho et al., 2014, as they print it: the reset gate before the matrix."""
    net = compiled(GRU)
    weights = net.initialize(1)
    torch.manual_seed(0)
    x, h = torch.randn(3, 6, 5), torch.randn(3, 8)
    mine = net.torch(weights).eval()(x, h).detach()
    tensors = {name: torch.from_numpy(value) for name, value in weights.items()}
    wanted = []
    for step in x.unbind(1):
        gates = torch.sigmoid(torch.cat([step, h], 1) @ tensors["gates.0.weight"].T + tensors["gates.0.bias"])
        r, z = gates.chunk(2, 1)
        new = torch.tanh(torch.cat([step, r * h], 1) @ tensors["mine.0.weight"].T + tensors["mine.0.bias"])
        h = z * h + (1 - z) * new
        wanted.append(h)
    np.testing.assert_allclose(mine, torch.stack(wanted, 1), atol=1e-6)
    assert verify(net.checked, weights, (1, 4)).agrees


def test_what_a_step_costs_counts_once_for_each_step() -> None:
    graph = compiled(FIXED).checked
    found = costs(graph)
    assert found.totals.params == (5 + 8) * 32 + 32
    assert found.totals.macs == 6 * (5 + 8) * 32
    assert found.layers["cell.gates.0"].macs == found.totals.macs
    kept = found.layers["cell.c.add"].kept_bytes
    assert kept == 6 * 8 * 4


@pytest.mark.parametrize("opset", [13, 17, 21])
def test_the_source_is_a_step_and_a_loop_over_time(opset: int) -> None:
    net = compiled(FIXED)
    source = net.torch_source()
    assert "def _recur(self, x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor, Tensor]:" in source
    assert "i, f, g, o = self.gates(x, h)" in source
    assert [node.op_type for node in net.onnx(opset=opset).graph.node].count("Scan") == 1


#: A recurrence in one of a block that is used twice: tensors and a module from outside, dropout, images as states.
NESTED = """
block cell(width, context: tensor, scores) {
    recur over time with h = zeros([2, 4, 4]) {
        h = concat { in; h } -> conv(2, 3, pad = 1) -> tanh
        flatten -> linear(width) as mine
        reshape([width, 1]) -> recur over time with k = zeros(3) {
            k = concat { in; k; @context } -> linear(3) -> sigmoid
            add { k; mul { k; scores from mine } }
        } as all, last
        dropout(0.5) -> flatten
        concat { skip; last }
    }
}
network n {
    input frames: [5, 1, 4, 4]
    module scores: linear(3)
    context: slice(0, 1) -> flatten -> linear(6) -> relu
    a: cell(7, @context, scores)   from @frames
    b: cell(7, @context, scores)   from @frames
    add { @a; @b }                 expect shape = [5, 24]
}
"""


def test_recurrences_nest_and_take_tensors_and_modules_from_outside() -> None:
    net = compiled(NESTED)
    weights = net.initialize()
    assert set(net.torch().state_dict()) == set(weights)
    assert sum(name.startswith("scores.") for name in weights) == 2
    result = verify(net.checked, weights, (1, 3))
    assert result.agrees, result
    by_hand = 5 * 7 * (1 + 3 + 6) * 3
    assert costs(net.checked).layers["a.k.0"].macs == by_hand


def test_steps_that_are_single_numbers_make_a_sequence_of_them() -> None:
    net = compiled(
        "network n { input x: [3, 5]; recur over time { reduce_max(-1) -> abs }; linear(15); reshape([5, 3]) }"
    )
    assert costs(net.checked).layers["recur"].receptive_field == (5,)
    assert verify(net.checked, net.initialize(), (1, 3)).agrees


def test_a_module_can_be_a_recurrent_cell_of_several_sequences() -> None:
    text = (
        LSTM
        + """
    network n {
        input x: [6, 5]
        input z: [3, 5]
        module cell: lstm_cell(8)
        a: cell   from @x
        b: cell   from @z
        concat { @a; @b }   expect shape = [9, 8]
    }"""
    )
    net = compiled(text)
    assert sorted(net.initialize()) == ["cell.gates.0.bias", "cell.gates.0.weight"]
    assert verify(net.checked, net.initialize(), (2,)).agrees


def test_one_mistake_is_one_diagnostic() -> None:
    text = LSTM.replace("sigmoid(o)", "sigmod(o)")
    found = messages(text + "network n { input x: [6, 5]; cell: lstm_cell(8); linear(3); output c: @cell.recur.c }")
    assert [message.partition(":")[0] for message in found] == ["unknown-op"]


EACH = """
network n {
    input regions: [3, 4, 6, 5]
    input shift: [2, 1, 1]
    module twice: conv(2, 1)
    recur over time {
        head: conv(2, 3, pad = 1) -> relu
        add { skip; @shift }
        twice -> deconv(4, 2, stride = 2)
    } from @regions
}
"""


@pytest.mark.parametrize("opset", [13, 17, 21])
def test_a_body_without_states_is_applied_to_each_element(opset: int) -> None:
    """Its weights are those of one application; in PyTorch all elements are one batch."""
    net = compiled(EACH)
    weights = net.initialize()
    assert weights["head.weight"].shape == (2, 4, 3, 3)
    assert net.checked.outputs[0].type.shape == (3, 4, 12, 10)
    assert "over_time" not in net.torch_source()
    assert verify(net.checked, weights, batches=(1, 2, 5), tolerance=1e-5, opset=opset).agrees
    regions, shift = torch.randn(2, 3, 4, 6, 5), torch.randn(2, 2, 1, 1)
    given = {key: torch.from_numpy(value) for key, value in weights.items()}
    alone = []
    for region in regions.unbind(1):
        x = F.conv2d(region, given["head.weight"], given["head.bias"], padding=1).relu() + shift
        x = F.conv2d(x, given["twice.weight"], given["twice.bias"])
        alone.append(F.conv_transpose2d(x, given["2.weight"], given["2.bias"], stride=2))
    with torch.inference_mode():
        found = net.torch(weights).eval()(regions, shift)
    torch.testing.assert_close(found, torch.stack(alone, 1))
