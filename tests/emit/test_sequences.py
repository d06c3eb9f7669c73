"""Recurrent layers, attention and tables as files: one for every batch and length, named by `state_dict` keys."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
import torch
from hand_built import run_onnx
from support import compiled
from torch import nn

import archdsl
from archdsl.emit.torch.module import execute
from archdsl.runtime.verify import verify

TAGGER = "network tagger { input x: [T: 3 .. 50 = 10, 6]; a: lstm(8, layers = 2, bidirectional = true); output y: @a }"


def _drawn(net: archdsl.Network, batch: int, length: int) -> dict[str, np.ndarray]:
    shape = (batch, length, *net.checked.inputs[0].type.shape[1:])
    return {"x": np.random.default_rng(length).standard_normal(shape).astype(np.float32)}


@pytest.fixture(scope="module")
def tagger() -> tuple[archdsl.Network, onnx.ModelProto]:
    net = compiled(TAGGER)
    return net, net.onnx()


@pytest.mark.parametrize("length", [3, 50])
@pytest.mark.parametrize("batch", [1, 7])
def test_an_lstm_exported_once_takes_every_batch_and_length(
    tagger: tuple[archdsl.Network, onnx.ModelProto], batch: int, length: int
) -> None:
    """Against torch's own module with the same `state_dict`."""
    net, model = tagger
    own = nn.LSTM(6, 8, 2, batch_first=True, bidirectional=True)
    own.load_state_dict({key.removeprefix("a."): torch.from_numpy(value) for key, value in net.initialize().items()})
    inputs = _drawn(net, batch, length)
    with torch.no_grad():
        expected = own(torch.from_numpy(inputs["x"]))[0]
    np.testing.assert_allclose(run_onnx(model, inputs)[0], expected.numpy(), rtol=1e-5, atol=1e-6)


def test_initializers_keep_their_keys(tagger: tuple[archdsl.Network, onnx.ModelProto]) -> None:
    """Bit for bit: the order of ONNX's gates is made by nodes, not in the file."""
    net, model = tagger
    stored = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    for key, value in net.initialize().items():
        np.testing.assert_array_equal(stored[key], value)


@pytest.mark.parametrize("length", [4, 33])
def test_attention_exported_once_takes_every_length(length: int) -> None:
    net = compiled(
        "network n { input x: [T: 1 .. 64 = 16, 12]; positional_encoding; a: multihead_attention(3, causal = true)"
        "; attention(@a, @x, @x, heads = 2) }"
    )
    inputs = _drawn(net, 2, length)
    with torch.no_grad():
        expected = net.torch().eval()(torch.from_numpy(inputs["x"]))
    np.testing.assert_allclose(run_onnx(net.onnx(), inputs)[0], expected.numpy(), rtol=1e-5, atol=1e-5)


def test_a_position_depends_on_none_after_it() -> None:
    twice = "multihead_attention(2, causal = true) -> multihead_attention(1, causal = true)"
    net = compiled(f"network n {{ input x: [9, 8]; {twice} }}")
    inputs = _drawn(net, 1, 9)
    changed = inputs["x"].copy()
    changed[:, 5:] += 1
    model = net.onnx()
    before, after = (run_onnx(model, {"x": value})[0] for value in (inputs["x"], changed))
    np.testing.assert_array_equal(before[:, :5], after[:, :5])
    assert np.abs(before[:, 5:] - after[:, 5:]).max() > 1e-3


@pytest.mark.parametrize(
    "call", ["(2, mask = @m) from @x", "(@x, mask = @m, heads = 2)", "(@x, @x, @x, mask = @m, heads = 2)"]
)
@pytest.mark.parametrize("mask", ["bool [5]", "[5, 5]", "[2, 5, 5]"])
def test_self_attention_takes_a_mask(call: str, mask: str) -> None:
    net = compiled(f"network n {{ input x: [5, 8]; input m: {mask}; multihead_attention{call} }}")
    assert verify(net.checked, net.initialize(), (1, 3)).agrees


def test_dropout_between_layers_acts_in_training_only() -> None:
    net = compiled("network n { input x: [5, 6]; a: gru(8, layers = 2, dropout = 0.5) }")
    module = net.torch()
    x = torch.from_numpy(_drawn(net, 1, 5)["x"])
    torch.manual_seed(0)
    assert not torch.equal(module(x), module(x))
    module.eval()
    assert torch.equal(module(x), module(x))


def test_states_that_are_unused_are_not_named() -> None:
    source = compiled("network n { input x: [5, 6]; a: lstm(8); b: gru(4) }").torch_source()
    assert "a0, _, _ = self.a(x)" in source
    assert "_ = self.b(a0)" in source


def test_a_self_attention_is_torchs_own_module() -> None:
    source = compiled("network n { input x: [5, 6]; a: multihead_attention(2, dropout = 0.1) }").torch_source()
    assert "self.a = nn.MultiheadAttention(6, 2, dropout=0.1, batch_first=True)" in source
    assert "self.a(x, x, x, need_weights=False)[0]" in source


def test_the_file_alone_starts_embeddings_as_declared() -> None:
    net = compiled(
        "network n { input w: int64 [5]; a: embedding(400, 64); b: embedding(@w, 400, 64, init = normal(std = 0.02)) }"
    )
    torch.manual_seed(0)
    state = execute(net.torch_source()).N().state_dict()
    assert abs(float(state["a.weight"].std()) - 1) < 0.02
    assert abs(float(state["b.weight"].std()) - 0.02) < 0.001


def test_labels_that_helper_functions_have() -> None:
    net = compiled(
        "network n { input x: [4, 6]; plus_positions: positional_encoding"
        "; attention_by_head: attention(@x, @x, @x, heads = 2); add { @plus_positions; @attention_by_head } }"
    )
    inputs = _drawn(net, 2, 4)
    expected = net.torch().eval()(torch.from_numpy(inputs["x"]))
    np.testing.assert_allclose(run_onnx(net.onnx(), inputs)[0], expected.numpy(), rtol=1e-5, atol=1e-5)
