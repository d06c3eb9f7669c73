"""Networks in fewer bits: what the comparison with fp32 says, and what the file carries."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from photographs import ORIGINALS, photographs
from support import compiled

import archdsl
from archdsl.emit.onnx.model import deployed_inputs, onnx_model
from archdsl.emit.onnx.writer import save
from archdsl.graph.graph import CheckedGraph
from archdsl.language.diagnostics import ArchError
from archdsl.runtime.calibration import Samples, read_samples
from archdsl.runtime.deploy import Deployment, prepare
from archdsl.runtime.precision import Lower, lower_precision, lowered
from archdsl.runtime.run import run
from archdsl.runtime.verify import calibrated

TEXT = """
network small {
    input image: [3, 32, 32]
        preprocess resize = 36, crop = 32, mean = [0.485, 0.456, 0.406], std = [0.229, 0.224, 0.225]
    conv(16, 3, pad = 1, bias = false) -> batchnorm -> relu -> maxpool(2)
    output map: conv(32, 3, pad = 1) -> relu
    avgpool(global)
    flatten
    output logits: linear(10)
}
"""
NET = compiled(TEXT)
LOWER: list[Lower] = ["fp16", "int8"]


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Samples:
    return read_samples(photographs(tmp_path_factory.mktemp("photographs"), 6), deployed_inputs(NET.checked))


def model_of(batch: int | None = None) -> tuple[onnx.ModelProto, CheckedGraph]:
    """The deployed network and its graph."""
    prepared = prepare(NET.checked, NET.initialize(2), Deployment(batch=batch))
    return onnx_model(prepared.deployed, prepared.weights, batch=batch), prepared.deployed


def results(model: onnx.ModelProto, feed: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    session = onnxruntime.InferenceSession(model.SerializeToString())
    names = [item.name for item in session.get_outputs()]
    return dict(zip(names, session.run(None, {key: array[None] for key, array in feed.items()}), strict=True))


def cosine(left: np.ndarray, right: np.ndarray) -> float:
    a, b = left.ravel().astype(float), right.ravel().astype(float)
    return float(a @ b / np.sqrt((a @ a) * (b @ b)))


def test_int8_is_compared_on_what_was_held_back(samples: Samples) -> None:
    model, graph = model_of()
    lower, accuracy = lower_precision(model, graph, "int8", samples)
    assert (accuracy.basis, accuracy.samples, accuracy.calibrated) == ("held back", 3, 9)
    exact = [results(model, feed) for feed in samples.held_back]
    found = [results(lower, feed) for feed in samples.held_back]
    assert {item.output for item in accuracy.outputs} == {"map", "logits"}
    for item in accuracy.outputs:
        cosines = [cosine(a[item.output], b[item.output]) for a, b in zip(exact, found, strict=True)]
        assert item.cosine == pytest.approx(np.mean(cosines), abs=1e-6)
        assert item.worst == pytest.approx(min(cosines), abs=1e-6)
        between = [cosine(exact[i][item.output], exact[i + 1][item.output]) for i in (0, 1)]
        assert item.apart == pytest.approx(np.mean(between), abs=1e-6)
        assert 0.999 < item.worst < 1
        assert item.worst > item.apart
    same = sum(a["logits"].argmax() == b["logits"].argmax() for a, b in zip(exact, found, strict=True))
    assert [item.same_class for item in accuracy.outputs if item.output == "logits"] == [same]
    assert [item.same_class for item in accuracy.outputs if item.output == "map"] == [None]


@pytest.mark.parametrize("precision", LOWER)
def test_files_are_smaller_and_say_what_they_are(precision: Lower, samples: Samples, tmp_path: Path) -> None:
    model, graph = model_of()
    lower, accuracy = lower_precision(model, graph, precision, samples)
    sizes = [save(item, tmp_path / f"{i}.onnx")[0].stat().st_size for i, item in enumerate((model, lower))]
    # metadata come after the sizes are taken
    assert accuracy.bytes[0] == sizes[0]
    assert accuracy.bytes[1] == pytest.approx(sizes[1], abs=600)
    found = {item.key: item.value for item in lower.metadata_props}
    assert {item.key: item.value for item in model.metadata_props}.items() <= found.items()
    assert found["archdsl.precision"] == precision
    stored = json.loads(found["archdsl.accuracy"])
    assert (stored["basis"], stored["samples"]) == (accuracy.basis, accuracy.samples)
    assert stored["outputs"][0]["cosine"] == round(accuracy.outputs[0].cosine, 6)


@pytest.mark.parametrize("precision", LOWER)
@pytest.mark.parametrize("batch", [None, 3])
def test_the_file_runs_on_a_photograph(precision: Lower, batch: int | None, samples: Samples, tmp_path: Path) -> None:
    model, graph = model_of(batch)
    lower, _ = lower_precision(model, graph, precision, samples)
    (path,) = save(lower, tmp_path / "lower.onnx")
    result = run(path, ORIGINALS[0], top=10, repeats=1)
    exact = run(model.SerializeToString(), ORIGINALS[0], top=10, repeats=1)
    assert result.input_shape == (batch or 1, 3, 32, 32)
    assert result.shapes == exact.shapes
    by_class = [{item.index: item.probability for item in found.classes} for found in (result, exact)]
    for index, probability in by_class[1].items():
        assert by_class[0][index] == pytest.approx(probability, rel=0.02)


def test_too_few_samples_are_used_twice_and_that_is_told(samples: Samples) -> None:
    model, graph = model_of()
    _, accuracy = lower_precision(model, graph, "int8", Samples(samples.calibration[:2], ()))
    assert (accuracy.basis, accuracy.samples, accuracy.calibrated) == ("calibrated on", 2, 2)


def test_half_precision_takes_all_samples_or_random_numbers(samples: Samples) -> None:
    model, graph = model_of()
    _, given = lower_precision(model, graph, "fp16", samples)
    assert (given.basis, given.samples, given.calibrated) == ("given", 12, 0)
    _, drawn = lower_precision(model, graph, "fp16")
    assert (drawn.basis, drawn.samples) == ("random", 4)
    assert min(item.worst for item in (*given.outputs, *drawn.outputs)) > 0.99999


def test_a_single_sample_has_none_to_be_told_from(samples: Samples) -> None:
    model, graph = model_of()
    _, accuracy = lower_precision(model, graph, "int8", Samples(samples.calibration[:1], ()))
    assert [item.apart for item in accuracy.outputs] == [None, None]


def test_a_missing_folder_for_temporary_files_is_told(
    samples: Samples, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, graph = model_of()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    with pytest.raises(ArchError) as caught:
        lower_precision(model, graph, "int8", samples)
    assert caught.value.diagnostics[0].code == "cannot-write"


def test_a_batch_that_no_machine_holds() -> None:
    model, graph = model_of(2**31 - 1)
    with pytest.raises(ArchError, match="there is no room for samples of a batch of"):
        lower_precision(model, graph, "fp16")


def test_integers_need_samples() -> None:
    model, graph = model_of()
    with pytest.raises(ArchError) as caught:
        lower_precision(model, graph, "int8")
    assert caught.value.diagnostics[0].code == "calibration"


@pytest.mark.parametrize(("precision", "output"), [("fp16", "conv(2, 3)"), ("int8", "conv(2, 3) -> log")])
def test_results_that_are_no_numbers_are_refused(precision: Lower, output: str) -> None:
    """27 times 300 * -300 is beyond 65,504, though no problem for int8; the logarithm of a negative number is none."""
    text = "network n {{\n input image: [3, 8, 8]\n initialize conv = constant(value = 300.0)\n output y: {}\n}}"
    network = compiled(text.format(output))
    model = onnx_model(network.checked, network.initialize(0))
    feeds = tuple({"image": np.full((3, 8, 8), -300 + i, np.float32)} for i in range(4))
    with pytest.raises(ArchError) as caught:
        lower_precision(model, network.checked, precision, Samples(feeds[:3], feeds[3:]))
    assert caught.value.diagnostics[0].code == "precision"


def test_a_prepared_network_is_written_like_any_other(samples: Samples, tmp_path: Path) -> None:
    """Its weights are in the model now, and as external data if that is asked for."""
    prepared, _ = lowered(prepare(NET.checked, NET.initialize(2), Deployment()), "int8", samples)
    model, graph = model_of()
    paths = save(prepared.frame.model, tmp_path / "x.onnx", "always", prepared.frame.pending(prepared.weights))
    assert [path.name for path in paths] == ["x.onnx", "x.onnx.data"]
    found = onnx.load(paths[0])
    expected, _ = lower_precision(model, graph, "int8", samples)
    assert [item.name for item in found.graph.node] == [item.name for item in expected.graph.node]
    for feed in samples.held_back:
        for name, array in results(expected, feed).items():
            np.testing.assert_array_equal(results(found, feed)[name], array)


@pytest.mark.slow
def test_googlenet_on_photographs(tmp_path: Path) -> None:
    """Scores in fewer bits are those of fp32, ten times nearer to them than the scores of another photograph are."""
    network = archdsl.load("torchvision/googlenet")
    weights = calibrated(network.checked, network.initialize())
    samples = read_samples(photographs(tmp_path, 8, 256), deployed_inputs(network.checked))
    for precision, least in (("fp16", 0.99999), ("int8", 0.999)):
        _, accuracy = lowered(prepare(network.checked, weights, Deployment()), precision, samples)  # type: ignore[arg-type]
        (logits,) = accuracy.outputs
        assert logits.worst >= least
        assert logits.apart is not None
        assert 1 - logits.worst < (1 - logits.apart) / 10
