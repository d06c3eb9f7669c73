"""16-bit floats: types, names and order of the file, and the arithmetic that it stands for."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import ModelProto, TensorProto, numpy_helper
from support import compiled

from archdsl.emit.onnx.model import onnx_model
from archdsl.runtime.half import half_precision, rounding

TEXT = """
network small {
    input image: [3, 16, 16]
    stem: conv(8, 3, pad = 1) -> relu
    pool: lrn(5) -> maxpool(2)
    up: upsample(2)
    flatten
    output scores: linear(5)
}
"""
PIXELS = np.random.default_rng(0).standard_normal((2, 3, 16, 16)).astype(np.float32)


def model_of(text: str, seed: int = 0) -> ModelProto:
    network = compiled(text)
    return onnx_model(network.checked, network.initialize(seed))


def result(model: ModelProto, pixels: np.ndarray = PIXELS) -> np.ndarray:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {"image": pixels})[0])


def test_weights_are_rounded_and_inputs_and_outputs_stay_as_they_were() -> None:
    model = model_of(TEXT)
    half = half_precision(model)
    onnx.checker.check_model(half, full_check=True)
    assert (half.graph.input, half.graph.output) == (model.graph.input, model.graph.output)
    assert half.metadata_props == model.metadata_props
    before, after = ({t.name: numpy_helper.to_array(t) for t in item.graph.initializer} for item in (model, half))
    for name in ("stem.weight", "stem.bias"):
        assert after[name].dtype == np.float16
        np.testing.assert_array_equal(after[name], before[name].astype(np.float16))
    types = {item.name: item.type.tensor_type.elem_type for item in half.graph.value_info}
    assert types["stem"] == TensorProto.FLOAT16


def test_the_given_model_is_left_alone_and_equal_ones_give_equal_bytes() -> None:
    model = model_of(TEXT)
    before = model.SerializeToString(deterministic=True)
    first, second = (half_precision(model).SerializeToString(deterministic=True) for _ in range(2))
    assert first == second
    assert model.SerializeToString(deterministic=True) == before


def test_it_runs_on_a_cpu() -> None:
    model = model_of(TEXT)
    exact = result(model)
    np.testing.assert_allclose(result(half_precision(model)), exact, atol=2e-3 * np.abs(exact).max())


def test_rounding_is_what_pytorch_computes_in_half_precision() -> None:
    torch = pytest.importorskip("torch")
    network = compiled("""
    network plain {
        input image: [3, 16, 16]
        conv(8, 3, pad = 1) -> relu
        conv(8, 3, stride = 2) -> tanh
        flatten
        output scores: linear(5)
    }""")
    weights = network.initialize(3)
    model = onnx_model(network.checked, weights)
    module = network.torch(weights).eval()
    exact = module(torch.from_numpy(PIXELS)).detach().numpy()
    expected = module.half()(torch.from_numpy(PIXELS).half()).detach().float().numpy()
    found = result(rounding(model))
    step = np.spacing(np.abs(expected).max().astype(np.float16))
    assert np.abs(found - exact).max() > step / 4  # there is something to be seen
    # both sum up in float32; a sum next to the middle between two steps may round either way, in each of three layers
    np.testing.assert_allclose(found, expected, atol=3 * step)


@pytest.mark.parametrize("op", ["gelu", "hardswish", "layernorm"])
def test_rounding_takes_no_name_that_an_op_has_given(op: str) -> None:
    """`gelu` calls its constant 0.5 `path/half`."""
    model = model_of(f"network net {{ input image: [3, 16, 16]; conv(4, 3); {op}; output y: {op} }}")
    onnx.checker.check_model(rounding(model), full_check=True)
    assert result(rounding(model)).shape == result(model).shape


def test_rounding_overflows_where_half_precision_does() -> None:
    text = """
    network large {
        input image: [3, 16, 16]
        initialize conv = constant(value = 100.0)
        conv(4, 3) -> conv(4, 3) -> relu
        avgpool(global)
        output scores: flatten
    }"""
    model = model_of(text)
    pixels = np.ones((1, 3, 16, 16), np.float32)
    assert np.isfinite(result(model, pixels)).all()
    assert not np.isfinite(result(rounding(model), pixels)).all()
