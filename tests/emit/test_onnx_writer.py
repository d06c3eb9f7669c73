"""ONNX files on disk: complete or absent, one file or two."""

from __future__ import annotations

import errno
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from hand_built import random_inputs, random_weights, run_onnx, single

from archdsl.emit.onnx import writer
from archdsl.emit.onnx.model import onnx_model, skeleton
from archdsl.language import output
from archdsl.language.diagnostics import ArchError
from archdsl.ops.linear import Linear
from archdsl.weights.lazy import Lazy

GRAPH = single(Linear(40), (50,))


def model(seed: int = 0) -> onnx.ModelProto:
    return onnx_model(GRAPH, random_weights(GRAPH, seed))


def test_one_file_for_small_models(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    assert writer.save(model(), path) == [path]
    assert path.read_bytes() == model().SerializeToString(deterministic=True)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("how", ["always", "auto"])
def test_large_weights_lie_next_to_the_model(tmp_path: Path, how: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    if how == "auto":
        monkeypatch.setattr(writer, "SINGLE_FILE_BYTES", 8000)  # the weight alone has 40 * 50 * 4
    path = tmp_path / "net.onnx"
    assert writer.save(model(), path, how) == [path, tmp_path / "net.onnx.data"]
    onnx.checker.check_model(str(path), full_check=True)
    stored = onnx.load(str(path), load_external_data=False)
    sizes = {t.name: t.data_location == onnx.TensorProto.EXTERNAL for t in stored.graph.initializer}
    assert sizes == {"block.op.weight": True, "block.op.bias": False}
    inputs = random_inputs(GRAPH)
    (ours,) = onnxruntime.InferenceSession(str(path)).run(None, inputs)
    np.testing.assert_array_equal(ours, run_onnx(model(), inputs)[0])


def test_the_two_files_hold_the_same_model(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    original = model()
    writer.save(original, path, "always")
    assert original == model()
    loaded = onnx.load(str(path))
    for tensor in loaded.graph.initializer:
        tensor.ClearField("data_location")
        del tensor.external_data[:]
    assert loaded == original


def test_never_refuses_what_one_file_cannot_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "SINGLE_FILE_BYTES", 8000)
    with pytest.raises(ArchError) as caught:
        writer.save(model(), tmp_path / "net.onnx", "never")
    assert caught.value.diagnostics[0].code == "too-large"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("failing", [1, 2])
def test_a_full_disk_leaves_both_older_files_as_they_were(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: int
) -> None:
    path = tmp_path / "net.onnx"
    writer.save(model(), path, "always")
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    calls = []

    def full(file: object) -> None:
        calls.append(file)
        if len(calls) == failing:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(writer, "sync", full)
    monkeypatch.setattr(output, "sync", full)
    with pytest.raises(ArchError, match="no space left on the device"):
        writer.save(model(seed=5), path, "always")
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before


def test_no_old_model_is_ever_left_with_new_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process may die between the two renames: then there is no model rather than a wrong one."""
    path = tmp_path / "net.onnx"
    writer.save(model(), path, "always")
    seen = []
    original = Path.replace

    def replace(self: Path, target: Path) -> Path:
        seen.append((target.name, path.exists()))
        return original(self, target)

    monkeypatch.setattr(Path, "replace", replace)
    writer.save(model(seed=5), path, "always")
    assert seen == [("net.onnx.data", False), ("net.onnx", False)]


@pytest.mark.parametrize("how", ["always", "never"])
def test_weights_that_are_made_while_they_are_written_give_the_same_files(tmp_path: Path, how: Any) -> None:
    weights = random_weights(GRAPH, 0)
    made: list[str] = []

    def make(key: str) -> np.ndarray:
        made.append(key)
        return weights[key]

    lazy = Lazy({key: partial(make, key) for key in weights})
    frame = skeleton(GRAPH)
    streamed = writer.save(frame.model, tmp_path / "net.onnx", how, frame.pending(lazy))
    contents = [path.read_bytes() for path in streamed]
    assert made == list(frame.declared)
    whole = writer.save(model(), tmp_path / "net.onnx", how)
    assert [path.read_bytes() for path in whole] == contents
    assert how == "always" or contents == [model().SerializeToString(deterministic=True)]


def test_a_weight_of_another_shape_leaves_no_file(tmp_path: Path) -> None:
    frame = skeleton(GRAPH)
    wrong = {**random_weights(GRAPH), "block.op.bias": np.zeros(3)}
    with pytest.raises(ArchError, match=r"`block.op.bias` is \[40\], but its array is \[3\]"):
        writer.save(frame.model, tmp_path / "net.onnx", weights=frame.pending(wrong))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [0, 1, 127, 128, 300, 2**31 - 1])
def test_sizes_are_written_as_protobuf_writes_them(number: int) -> None:
    weight = onnx.TensorProto(dims=[number]).SerializeToString()  # a tag of one byte, then the number
    assert weight[1:] == bytes(writer._varint(number))
