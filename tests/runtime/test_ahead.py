"""Weights that are stored as their readers take them."""

from __future__ import annotations

import numpy as np
import onnx
from hand_built import run_onnx
from support import compiled

from archdsl.runtime.ahead import ahead
from archdsl.runtime.quantize import quantized

TEXT = """
network n {
    input x: [6, 16]
    linear(32) -> relu -> linear(16)
    keys: linear(16)
    multihead_attention(4)
    multihead_attention(in, @keys, heads = 4)
    recur over time with h = zeros(16) { h = add { in; h -> linear(16) } -> tanh }
    linear(5)
}
"""


def samples(count: int) -> list[dict[str, np.ndarray]]:
    return [{"x": np.random.default_rng(i).standard_normal((2, 6, 16)).astype(np.float32)} for i in range(count)]


def test_the_model_computes_what_it_did() -> None:
    net = compiled(TEXT)
    model, made = net.onnx(), net.onnx()
    ahead(made)
    onnx.checker.check_model(made, full_check=True)
    stored = {tensor.name for tensor in made.graph.initializer}
    rest = [node for node in made.graph.node if node.op_type in ("Transpose", "Slice") and node.input[0] in stored]
    assert not rest
    assert len(made.graph.node) < len(model.graph.node)
    (feed,) = samples(1)
    np.testing.assert_array_equal(run_onnx(made, feed)[0], run_onnx(model, feed)[0])
    assert set(net.initialize()) - stored  # what only a transposed copy needs is stored once


def test_a_model_without_such_weights_stays_as_it_is() -> None:
    model = compiled("network n { input x: [3, 8, 8]; conv(4, 3) -> relu -> transpose([2, 1, 3]) }").onnx()
    before = model.SerializeToString(deterministic=True)
    ahead(model)
    assert model.SerializeToString(deterministic=True) == before


def test_linear_layers_over_sequences_and_attentions_are_stored_in_8_bits() -> None:
    text = "\n".join(line for line in TEXT.split("\n") if "recur" not in line)
    model = quantized(compiled(text).onnx(), samples(4))
    weights = [tensor for tensor in model.graph.initializer if len(tensor.dims) == 2]
    assert {tensor.data_type for tensor in weights} == {onnx.TensorProto.INT8}
    assert len(weights) == 10
