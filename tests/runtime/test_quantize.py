"""8-bit integers: what the quantizer was asked for, and that it leaves nothing behind."""

from __future__ import annotations

import hashlib
import logging
import subprocess
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnx
import onnxruntime
import pytest
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from onnx import ModelProto, numpy_helper
from support import compiled

from archdsl.language.diagnostics import ArchError
from archdsl.passes.pipeline import run_passes
from archdsl.runtime import quantize
from archdsl.runtime.quantize import quantized

TEXT = """
network small {
    input image: [3, 16, 16]
    conv1: conv(8, 3, pad = 1, bias = false)
    batchnorm
    relu1: relu
    add { conv2: conv(8, 3, pad = 1); skip }
    relu2: relu
    maxpool(2)
    flatten
    fc1: linear(12)
    relu3: relu
    fc2: linear(5)
    output scores: softmax
}
"""
GENERATOR = np.random.default_rng(0)
FEEDS = [{"image": GENERATOR.standard_normal((1, 3, 16, 16)).astype(np.float32)} for _ in range(4)]


def float_model(text: str = TEXT) -> ModelProto:
    from archdsl.emit.onnx.model import onnx_model

    network = compiled(text)
    deployed = run_passes(network.checked, network.initialize(1))
    return onnx_model(deployed.graph, deployed.weights)


@pytest.fixture(scope="module")
def small() -> ModelProto:
    return quantized(float_model(), FEEDS)


def arrays(model: ModelProto) -> dict[str, np.ndarray]:
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}


def test_weights_are_those_that_pytorch_quantizes(small: ModelProto) -> None:
    """Signed, symmetric, one scale for each output channel: the largest weight of a channel is 127."""
    torch = pytest.importorskip("torch")
    found, exact = arrays(small), arrays(float_model())
    for name in ("conv1.weight", "conv2.weight", "fc1.weight", "fc2.weight"):
        weight = torch.from_numpy(exact[name].copy())
        scales = weight.flatten(1).abs().amax(1) / 127
        zeros = torch.zeros(len(scales), dtype=torch.int32)
        expected = torch.fake_quantize_per_channel_affine(weight, scales, zeros, 0, -127, 127).flatten(1)
        steps = (expected / scales[:, None]).round().reshape(weight.shape).numpy()
        np.testing.assert_allclose(found[f"{name}_scale"], scales, rtol=1e-6)
        assert not found[f"{name}_zero_point"].any()
        # a weight that lies between two steps may go either way in the last bit
        assert np.abs(found[f"{name}_quantized"] - steps).max() <= 1
        assert np.mean(found[f"{name}_quantized"] == steps) > 0.999


def test_activations_cover_what_the_samples_show(small: ModelProto) -> None:
    """Unsigned: step 0 is the least value seen, 255 the largest, 0 always among them."""
    found = arrays(small)
    scale, zero = found["image_scale"], found["image_zero_point"]
    pixels = np.concatenate([feed["image"] for feed in FEEDS])
    assert zero.dtype == np.uint8
    ends = (np.array([0, 255]) - int(zero)) * scale
    np.testing.assert_allclose(ends, [pixels.min(), pixels.max()], atol=scale)


def test_scores_and_what_follows_them_stay_floats(small: ModelProto) -> None:
    producers = {name: node for node in small.graph.node for name in node.output}
    softmax = producers["scores"]
    assert softmax.op_type == "Softmax"
    assert producers[softmax.input[0]].op_type == "Gemm"


def test_relu_becomes_part_of_the_range_before_it(small: ModelProto) -> None:
    """The one after a fully connected layer stays: that layer's result is a float."""
    assert [node.name for node in small.graph.node if node.op_type == "Relu"] == ["relu3"]
    assert arrays(small)["relu1_zero_point"] == arrays(small)["relu2_zero_point"] == 0


def test_what_leads_to_a_softmax_stays_float() -> None:
    model = float_model("""
    network attentive {
        input tokens: [6, 8]
        multihead_attention(2, causal = true)
        output y: linear(3)
    }""")
    feeds = [{"tokens": GENERATOR.standard_normal((1, 6, 8)).astype(np.float32)} for _ in range(3)]
    found = quantized(model, feeds)
    results = [onnxruntime.InferenceSession(item.SerializeToString()).run(None, feeds[0])[0] for item in (model, found)]
    np.testing.assert_allclose(results[1], results[0], atol=0.05 * np.abs(results[0]).max())
    (softmax,) = [node for node in found.graph.node if node.op_type == "Softmax"]
    assert not softmax.input[0].endswith("DequantizeLinear_Output")


def test_the_result_passes_the_full_check_and_keeps_its_names(small: ModelProto) -> None:
    onnx.checker.check_model(small, full_check=True)
    model = float_model()
    assert small.metadata_props == model.metadata_props
    assert (small.producer_name, small.ir_version, small.opset_import) == (
        "archdsl", model.ir_version, model.opset_import,
    )  # fmt: skip
    assert [item.name for item in small.graph.input] == ["image"]
    assert {"conv1", "conv2", "fc1", "fc2"} <= {node.name for node in small.graph.node}


def test_equal_arguments_give_equal_bytes_in_any_process(small: ModelProto) -> None:
    code = (
        "import hashlib, test_quantize as t; "
        "print(hashlib.sha256(t.quantized(t.float_model(), t.FEEDS).SerializeToString(deterministic=True)).hexdigest())"
    )
    paths = {"PYTHONPATH": ":".join(map(str, [*Path(__file__).parents[:2], Path(__file__).parents[2]]))}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={**paths, "PYTHONHASHSEED": "7"}
    )
    assert done.stdout.strip() == hashlib.sha256(small.SerializeToString(deterministic=True)).hexdigest()
    assert done.stderr == ""


def test_weights_that_are_no_numbers_are_named() -> None:
    model = float_model()
    (tensor,) = (item for item in model.graph.initializer if item.name == "conv2.weight")
    tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor) * np.float32("nan"), tensor.name))
    with pytest.raises(ArchError) as caught:
        quantized(model, FEEDS)
    (found,) = caught.value.diagnostics
    assert (found.code, found.notes[0]) == ("precision", "`conv2.weight` has numbers that are infinite or not a number")


@pytest.mark.parametrize(("free", "code"), [(0, "cannot-write"), (2**30, "precision")])
def test_what_the_quantizer_raises_is_a_diagnostic(monkeypatch: pytest.MonkeyPatch, free: int, code: str) -> None:
    """On a full disk it fails to read what it did not manage to write."""

    def refuse(*arguments: object, **options: object) -> None:
        raise DecodeError("Error parsing message")

    monkeypatch.setattr(quantize, "quantize_static", refuse)
    monkeypatch.setattr(quantize.shutil, "disk_usage", lambda folder: SimpleNamespace(free=free))
    with pytest.raises(ArchError) as caught:
        quantized(float_model(), FEEDS)
    assert caught.value.diagnostics[0].code == code


def test_nothing_is_said_nor_left_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    model = float_model()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    before = logging.getLogger().handlers[:], logging.root.manager.disable
    untouched = model.SerializeToString()
    quantized(model, FEEDS)
    assert model.SerializeToString() == untouched
    assert capfd.readouterr() == ("", "")
    assert list(tmp_path.iterdir()) == []
    assert (logging.getLogger().handlers, logging.root.manager.disable) == before
