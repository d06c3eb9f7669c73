"""Weights from files: which format a file has, and the names in it without what training programs put before them."""

from __future__ import annotations

from pathlib import Path

from archdsl.language.diagnostics import Diagnostic
from archdsl.weights.checkpoint import Checkpoint, Reader, Stored, unreadable
from archdsl.weights.from_npz import read_npz
from archdsl.weights.from_onnx import read_onnx
from archdsl.weights.from_safetensors import read_safetensors
from archdsl.weights.from_torch import read_torch

READERS: dict[str, Reader] = {
    ".safetensors": read_safetensors, ".npz": read_npz, ".pth": read_torch, ".pt": read_torch, ".onnx": read_onnx,
}  # fmt: skip
#: what `DataParallel` and `torch.compile` put before every name
WRAPPERS = ("module.", "_orig_mod.")


def read_weights(path: str | Path) -> Checkpoint:
    """The arrays of a file by name: its header is read, each array when it is asked for.

    The format is told by the end of the file's name. Raises `ArchError` (`weights-unreadable`, `torch-missing`), at
    first or when an array is asked for. Nothing in a file is executed.
    """
    path = str(path)
    reader = READERS.get(Path(path).suffix.lower())
    if reader is None:
        raise unreadable(path, f"it is none of {', '.join(READERS)}")
    stored, remarks = reader(path), []
    for wrapper in WRAPPERS:
        if stored and all(name.startswith(wrapper) for name in stored):
            stored = _without(stored, wrapper)
            message = f"all names in `{path}` begin with `{wrapper}`, which is taken off"
            remarks.append(Diagnostic("weights-prefix", message, severity="note"))
    return Checkpoint(path, stored, tuple(remarks))


def _without(stored: dict[str, Stored], prefix: str) -> dict[str, Stored]:
    return {name.removeprefix(prefix): array for name, array in stored.items()}
