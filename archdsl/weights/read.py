"""Weights from files: which format a file has, and the names in it without what training programs put before them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from archdsl.language.diagnostics import Diagnostic
from archdsl.weights.checkpoint import INTEGERS, Checkpoint, Reader, Stored, guarded, require_file, unreadable
from archdsl.weights.from_npz import read_npz
from archdsl.weights.from_onnx import read_onnx
from archdsl.weights.from_safetensors import read_safetensors
from archdsl.weights.from_torch import read_torch

READERS: dict[str, Reader] = {
    ".safetensors": read_safetensors, ".npz": read_npz, ".pth": read_torch, ".pt": read_torch, ".onnx": read_onnx,
}  # fmt: skip
#: what `DataParallel` and `torch.compile` put before every name
WRAPPERS = ("module.", "_orig_mod.")
#: what `AveragedModel` counts its averages in, besides `module.` before every other name
COUNTER = "n_averaged"


def read_weights(path: str | Path) -> Checkpoint:
    """The arrays of a file by name: its header is read, each array when it is asked for.

    The format is told by the end of the file's name. Raises `ArchError` (`weights-unreadable`, `torch-missing`), at
    first or when an array is asked for. Nothing in a file is executed.
    """
    path = str(path)
    reader = READERS.get(Path(path).suffix.lower())
    if reader is None:
        help = "rename it by what it is: what `torch.save` wrote ends in .pth, say; other formats have to be converted"
        raise unreadable(path, f"it is none of {', '.join(READERS)}", help)
    with guarded(path):
        require_file(Path(path))
        stored = _without_counter(reader(path))
    prefix = _wrapping([name for name, array in stored.items() if not array.aside])
    if not prefix:
        return Checkpoint(path, stored)
    message = f"all names in `{path}` begin with `{prefix}`, which is taken off"
    found = {name.removeprefix(prefix): array for name, array in stored.items()}
    return Checkpoint(path, found, (Diagnostic("weights-prefix", message, severity="note"),))


def _without_counter(stored: dict[str, Stored]) -> dict[str, Stored]:
    """The arrays of an averaged model, with its counter aside."""
    counter = stored.get(COUNTER)
    if counter is None or counter.shape or counter.dtype not in INTEGERS:
        return stored
    wrapped = all(name.startswith(WRAPPERS[0]) for name in stored if name != COUNTER)
    return {**stored, COUNTER: replace(counter, aside=True)} if wrapped else stored


def _wrapping(names: list[str]) -> str:
    """What all names begin with of the words of training programs, one after the other: `_orig_mod.module.`."""
    prefix = ""
    while names:
        longer = (prefix + word for word in WRAPPERS)
        found = next((word for word in longer if all(name.startswith(word) and name != word for name in names)), None)
        if found is None:
            break
        prefix = found
    return prefix
