"""What is shipped: passes, metadata, skeletons and proofs in one ONNX file."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from support import compiled

from archdsl.emit.onnx.versions import FIRST_RUNTIME
from archdsl.language.diagnostics import ArchError
from archdsl.runtime.deploy import Deployment, deploy, prepare, prove
from archdsl.weights.initialize import lazy_initialize
from archdsl.weights.lazy import Lazy

TEXT = """
network small {
    input image: [3, 8, 8] preprocess scale = 1, mean = [0.5, 0.5, 0.5]
    conv: conv(4, 3, bias = false) -> batchnorm -> relu
    output logits: flatten -> dropout(0.5) -> fc: linear(5)
}
"""
NET = compiled(TEXT)
IMAGES = np.random.default_rng(0).standard_normal((2, 3, 8, 8)).astype(np.float32)


def made(tmp_path: Path, how: Deployment) -> tuple[onnx.ModelProto, Path]:
    path = tmp_path / "net.onnx"
    deploy(NET.checked, NET.initialize(3), path, how)
    return onnx.load(str(path)), path


def metadata(model: onnx.ModelProto) -> dict[str, str]:
    return {item.key: item.value for item in model.metadata_props}


def outputs(path: Path) -> np.ndarray:
    (found,) = onnxruntime.InferenceSession(str(path)).run(None, {"image": IMAGES})
    return np.asarray(found)


def test_the_deployed_file_computes_what_the_network_computes(tmp_path: Path) -> None:
    model, path = made(tmp_path, Deployment())
    assert [node.op_type for node in model.graph.node] == ["Conv", "Relu", "Flatten", "Gemm"]
    plain = NET.save_onnx(tmp_path / "plain.onnx", seed=3)[0]
    np.testing.assert_allclose(outputs(path), outputs(plain), rtol=1e-5, atol=1e-6)


def test_a_file_tells_its_counts_those_of_the_spec_and_its_passes(tmp_path: Path) -> None:
    found = metadata(made(tmp_path, Deployment())[0])
    logical = json.loads(found["archdsl.logical"])
    assert logical["params"] == NET.report().totals.params == 108 + 8 + 725
    assert int(found["archdsl.params"]) == 108 + 4 + 725
    assert int(found["archdsl.macs"]) == logical["macs"] == NET.report().totals.macs
    assert found["archdsl.passes"] == "remove_training,fold_batchnorm"
    assert json.loads(found["archdsl.preprocessing"]) == {"image": {"scale": 1, "mean": [0.5, 0.5, 0.5]}}


def test_a_skeleton_has_its_weights_as_inputs(tmp_path: Path) -> None:
    model, path = made(tmp_path, Deployment(passes=(), with_weights=False))
    onnx.checker.check_model(model, full_check=True)
    names = [value.name for value in model.graph.input]
    weights = {name: array for name, array in NET.initialize(3).items() if name in names}
    assert names == ["image", *weights]
    assert not any("." in tensor.name for tensor in model.graph.initializer)
    (found,) = onnxruntime.InferenceSession(str(path)).run(None, {"image": IMAGES, **weights})
    whole = NET.save_onnx(tmp_path / "whole.onnx", seed=3)[0]
    np.testing.assert_allclose(found, outputs(whole), rtol=1e-4, atol=1e-6)  # onnxruntime folds constants only


def test_labels_are_kept_if_there_are_as_many_as_classes(tmp_path: Path) -> None:
    labels = ("ant", "bee", "cat", "dog", "eel")
    found = metadata(made(tmp_path, Deployment(labels=labels))[0])
    assert json.loads(found["archdsl.labels"]) == list(labels)
    with pytest.raises(ArchError, match="2 labels are given, but no output has that many classes"):
        made(tmp_path, Deployment(labels=("yes", "no")))


def test_a_proof_is_kept_in_the_model() -> None:
    how, weights = Deployment(), NET.initialize(3)
    prepared = prove(NET.checked, weights, prepare(NET.checked, weights, how), how)
    proof = json.loads(metadata(prepared.frame.model)["archdsl.verify"])
    assert proof["batches"] == [1, 2, 5]
    assert 0 < proof["max_rel"] <= proof["tolerance"] == 1e-5
    assert proof["precision"] == "fp32"  # whatever the file is written in


@pytest.mark.filterwarnings("ignore:invalid value")
def test_numbers_that_are_not_finite_prove_nothing() -> None:
    how, weights = Deployment(), NET.initialize(3)
    weights["fc.bias"] = np.full(5, np.nan, np.float32)
    with pytest.raises(ArchError, match="outputs are not finite numbers") as caught:
        prove(NET.checked, weights, prepare(NET.checked, weights, how), how)
    assert caught.value.diagnostics[0].code == "verify-differs"


def test_a_model_that_computes_something_else_is_not_proved() -> None:
    how, weights = Deployment(), NET.initialize(3)
    other = {**weights, "fc.bias": weights["fc.bias"] + 1}
    with pytest.raises(ArchError, match=r"PyTorch and ONNX differ by more than 1e-05") as caught:
        prove(NET.checked, weights, prepare(NET.checked, other, how), how)
    assert caught.value.diagnostics[0].code == "verify-differs"


def test_each_weight_is_read_once_and_one_after_the_other(tmp_path: Path) -> None:
    read: list[str] = []
    drawn = lazy_initialize(NET.checked, 3)

    def note(key: str) -> np.ndarray:
        read.append(key)
        return drawn[key]

    lazy = Lazy({key: lambda key=key: note(key) for key in drawn})  # type: ignore[misc]
    deploy(NET.checked, lazy, tmp_path / "net.onnx", Deployment(passes=()))
    assert read == [name for name in drawn if not name.endswith("num_batches_tracked")]


def test_every_opset_says_what_reads_it() -> None:
    newest = int(onnxruntime.__version__.split(".")[1])
    for opset, release in FIRST_RUNTIME.items():
        assert opset >= 13
        if int(release.split(".")[1]) <= newest:
            content = NET.onnx(opset=opset).SerializeToString()
            onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    assert sorted(FIRST_RUNTIME) == list(range(13, max(FIRST_RUNTIME) + 1))


KILLED = """
import os, sys
from archdsl.api import load
from archdsl.runtime.deploy import Deployment, deploy
from archdsl.weights.lazy import Lazy, makers
net = load(sys.argv[1])
def die():
    os._exit(9)
lazy = makers(net.initialize(5))
lazy["fc.weight"] = die
deploy(net.checked, Lazy(lazy), sys.argv[2], Deployment(external=sys.argv[3]))
"""


@pytest.mark.parametrize("external", ["never", "always"])
@pytest.mark.parametrize("older", [True, False])
def test_a_process_that_dies_while_writing_leaves_what_was_there(tmp_path: Path, external: str, older: bool) -> None:
    path, spec = tmp_path / "net.onnx", tmp_path / "small.arch"
    spec.write_text(TEXT)
    if older:
        deploy(NET.checked, NET.initialize(3), path, Deployment(external=external))  # type: ignore[arg-type]
    before = {file.name: file.read_bytes() for file in tmp_path.glob("net.onnx*")}
    child = subprocess.run([sys.executable, "-c", KILLED, spec, path, external], timeout=60, check=False)
    assert child.returncode == 9
    assert {file.name: file.read_bytes() for file in tmp_path.glob("net.onnx*")} == before
