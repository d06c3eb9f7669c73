"""Sessions run on the device asked for, or fail clearly."""

from __future__ import annotations

from pathlib import Path

import onnxruntime
import pytest
from hand_built import random_inputs, single

from archdsl.emit.onnx.model import onnx_model
from archdsl.emit.onnx.writer import save
from archdsl.language.diagnostics import ArchError, Diagnostic
from archdsl.ops.activation import ReLU
from archdsl.runtime import session
from archdsl.runtime.session import open_session

GRAPH = single(ReLU(), (3,))
CONTENT = onnx_model(GRAPH, {}).SerializeToString()
no_cuda = pytest.mark.skipif(
    "CUDAExecutionProvider" in onnxruntime.get_available_providers(), reason="this onnxruntime has CUDA"
)


def refused(*arguments: object) -> Diagnostic:
    with pytest.raises(ArchError) as caught:
        open_session(*arguments)  # type: ignore[arg-type]
    return caught.value.diagnostics[0]


def test_bytes_and_files_run_on_the_cpu(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    save(onnx_model(GRAPH, {}), path)
    for model in (CONTENT, path, str(path)):
        opened = open_session(model)
        assert opened.get_providers() == ["CPUExecutionProvider"]
        assert opened.run(None, random_inputs(GRAPH))[0].min() == 0


@no_cuda
def test_cuda_is_refused_where_there_is_none() -> None:
    diagnostic = refused(CONTENT, "cuda")
    assert diagnostic.code == "cuda-unavailable"
    assert "CPUExecutionProvider" in diagnostic.notes[0]
    assert diagnostic.help is not None
    assert "onnxruntime-gpu" in diagnostic.help


@no_cuda
def test_cuda_never_falls_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """onnxruntime claims CUDA but cannot load it, as with a driver that does not fit: it would go on with the CPU."""
    monkeypatch.setattr(session.onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider"])
    assert refused(CONTENT, "cuda").code == "cuda-unavailable"


@no_cuda
def test_a_session_on_another_provider_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Even where onnxruntime opens a session without complaint, its first provider must be CUDA."""
    original = onnxruntime.InferenceSession
    monkeypatch.setattr(session.onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider"])
    monkeypatch.setattr(session.onnxruntime, "InferenceSession", lambda model, options, providers: original(CONTENT))
    diagnostic = refused(CONTENT, "cuda")
    assert diagnostic.code == "cuda-unavailable"
    assert diagnostic.notes == ("the session runs on CPUExecutionProvider",)


@pytest.mark.parametrize("content", [b"garbage", b"", CONTENT[: len(CONTENT) // 2]])
def test_broken_models_are_refused(content: bytes) -> None:
    assert refused(content).code == "model-unreadable"


def test_a_refused_model_has_the_name_that_the_user_gave_it() -> None:
    with pytest.raises(ArchError, match=r"cannot load `mine\.onnx`"):
        open_session(b"garbage", name="mine.onnx")


def test_missing_files_are_refused(tmp_path: Path) -> None:
    diagnostic = refused(tmp_path / "no.onnx")
    assert diagnostic.code == "model-unreadable"
    assert "no.onnx" in diagnostic.message
