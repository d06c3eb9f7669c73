"""onnxruntime sessions on the device that was asked for, or a clear error."""

from __future__ import annotations

import contextlib
import io
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as native

from archdsl.language.diagnostics import ArchError, error

Device = Literal["cpu", "cuda"]
PROVIDERS: dict[Device, str] = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}
#: onnxruntime's exceptions have no common base of their own
FAILURES = tuple(item for item in vars(native).values() if isinstance(item, type) and issubclass(item, Exception))
FATAL_ONLY = 4  # everything else arrives as an exception


@dataclass(frozen=True, slots=True)
class Profiling:
    """A folder of its own for what onnxruntime writes about the session, and where the model's external data lie."""

    folder: Path
    data: Path

    @property
    def optimized(self) -> Path:
        """The graph as it runs, after fusions."""
        return self.folder / "optimized.onnx"


def open_session(
    model: str | Path | bytes,
    device: Device = "cpu",
    *,
    threads: int = 0,
    profile: Profiling | None = None,
    name: str = "",
) -> onnxruntime.InferenceSession:
    """A session of an ONNX file, or of its bytes, that runs every node on the device.

    `threads` are those within one operation, 0 for onnxruntime's choice (one for each core). `name` is what the user
    calls the model, where that is no path of it. Raises `ArchError`:
    `cuda-unavailable` where CUDA cannot run the whole model (nothing ever falls back to the CPU), `model-unreadable`
    where onnxruntime refuses the model.
    """
    if device == "cuda":
        _require_cuda()
    options = onnxruntime.SessionOptions()
    options.log_severity_level = FATAL_ONLY
    options.intra_op_num_threads = threads
    # else they spin for some 50 ms after a run, and whatever runs next has that many cores less
    options.add_session_config_entry("session.force_spinning_stop", "1")
    if profile is not None:
        _profiled(options, profile)
    if device == "cuda":  # a node that CUDA lacks fails the session instead of moving to the CPU
        options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    source = model if isinstance(model, bytes) else str(model)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a provider that does not load is reported below
            session = onnxruntime.InferenceSession(source, options, providers=[PROVIDERS[device]])
    except FAILURES as problem:
        raise _refused(model, device, name, str(problem)) from problem
    session.disable_fallback()
    if session.get_providers()[0] != PROVIDERS[device]:
        raise _no_cuda(f"the session runs on {session.get_providers()[0]}")
    return session


def _profiled(options: onnxruntime.SessionOptions, profile: Profiling) -> None:
    options.enable_profiling = True
    options.profile_file_prefix = str(profile.folder / "profile")
    options.optimized_model_filepath = str(profile.optimized)
    # the weights of the optimized graph are not of interest, and one file may be too small for them
    options.add_session_config_entry("session.optimized_model_external_initializers_file_name", "optimized.data")
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", str(profile.data))


def _require_cuda() -> None:
    available = onnxruntime.get_available_providers()
    if PROVIDERS["cuda"] not in available:
        raise _no_cuda(f"the installed onnxruntime has {', '.join(available)}")
    if hasattr(onnxruntime, "preload_dlls"):  # since 1.21: finds the CUDA libraries that pip installed
        with contextlib.redirect_stdout(io.StringIO()):
            onnxruntime.preload_dlls()


def _no_cuda(note: str) -> ArchError:
    return error(
        "cuda-unavailable",
        "onnxruntime cannot run this model on CUDA",
        notes=(note,),
        help="install `onnxruntime-gpu` with a matching CUDA, or use `--device cpu`",
    )


def _refused(model: str | Path | bytes, device: Device, name: str, reason: str) -> ArchError:
    if device == "cuda":
        return _no_cuda(reason)
    called = name or ("" if isinstance(model, bytes) else str(model))
    shown = f"`{called}`" if called else "the model"
    return error("model-unreadable", f"onnxruntime cannot load {shown}", notes=(reason,))
