"""A folder of samples -> the inputs that a network is calibrated on, and those held back to measure what that cost."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from archdsl.graph.graph import Input
from archdsl.language.diagnostics import ArchError, Diagnostic, error
from archdsl.runtime.image import load_image, preprocess_of
from archdsl.weights.checkpoint import Stored
from archdsl.weights.read import read_weights

Feed = dict[str, np.ndarray]

IMAGES = frozenset(".bmp .gif .jp2 .jpeg .jpg .pgm .png .ppm .tif .tiff .webp".split())
ARRAYS = ".npz"
#: More samples hardly move the ranges that calibration looks for. Fewer are taken where they are large.
MOST_SAMPLES = 128
MOST_BYTES = 2**29
#: One sample of this many is held back.
HELD_BACK = 4
#: element types, as the header names them, that become an input's
NUMBERS = frozenset("bool float16 float32 float64 int8 int16 int32 int64 uint8 uint16 uint32 uint64".split())


@dataclass(frozen=True, slots=True)
class Samples:
    """Inputs by name, without the batch, one mapping for each sample.

    `held_back` are not calibrated on; empty where there are too few samples. `skipped` has a warning for each file
    that could not be used.
    """

    calibration: tuple[Feed, ...]
    held_back: tuple[Feed, ...]
    skipped: tuple[Diagnostic, ...] = ()


def read_samples(folder: str | Path, inputs: Sequence[Input]) -> Samples:
    """The samples in a folder and its subfolders, in the order of their names.

    An image is a sample of a network with one input [C, H, W], prepared as the spec says. An `.npz` file with an array
    for each input, by name and without the batch, is a sample of any network. Of more than `MOST_SAMPLES` files (fewer
    where samples are large, so that all take `MOST_BYTES`) as many are read, evenly spread. Every fourth is held back.
    Raises `ArchError` (`calibration`).
    """
    files = _files(Path(folder), inputs)
    each = sum(math.prod(map(int, node.type.shape)) * 4 for node in inputs)
    chosen = _spread(files, min(MOST_SAMPLES, max(2 * HELD_BACK, MOST_BYTES // each)))
    found, skipped = [], []
    for path in chosen:
        try:
            found.append(_sample(path, inputs))
        except ArchError as problem:
            if problem.diagnostics[0].code not in ("calibration", "image-unreadable", "weights-unreadable"):
                raise  # the spec's own preprocessing does not fit, whatever the image
            skipped += [_as_warning(item) for item in problem.diagnostics]
    if not found:
        notes = tuple(item.message for item in skipped[:3])
        raise error("calibration", f"none of the {len(chosen)} samples in `{folder}` can be read", notes=notes)
    calibration = tuple(feed for place, feed in enumerate(found, 1) if place % HELD_BACK)
    return Samples(calibration, tuple(found[HELD_BACK - 1 :: HELD_BACK]), tuple(skipped))


def _files(folder: Path, inputs: Sequence[Input]) -> list[Path]:
    if not folder.exists():
        raise error("calibration", f"there is no folder `{folder}` to calibrate on")
    if not folder.is_dir():
        raise error("calibration", f"`{folder}` is a file; calibration takes a folder of samples")
    kinds = {ARRAYS, *(IMAGES if _takes_images(inputs) else ())}
    inside = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    found = [path for path in inside if path.suffix.lower() in kinds and not path.name.startswith(".")]
    if found:
        return [folder / path for path in sorted(found, key=Path.as_posix)]
    names = ", ".join(f"`{node.path}` {list(node.type.shape)}" for node in inputs)
    message = f"there are no samples in `{folder}`"
    if _takes_images(inputs):
        help = f"put images there ({', '.join(sorted(IMAGES))}), or .npz files with an array for each input"
    else:
        help = "put .npz files there, each with an array for each input"
    raise error("calibration", message, notes=(f"inputs: {names}",), help=help)


def _takes_images(inputs: Sequence[Input]) -> bool:
    return len(inputs) == 1 and len(inputs[0].type.shape) == 3 and inputs[0].type.shape[0] in (1, 3)


def _spread(files: list[Path], most: int) -> list[Path]:
    if len(files) <= most:
        return files
    return [files[place * len(files) // most] for place in range(most)]


def _sample(path: Path, inputs: Sequence[Input]) -> Feed:
    if path.suffix.lower() == ARRAYS:
        return _arrays(path, inputs)
    (node,) = inputs
    channels, height, width = map(int, node.type.shape)
    return {node.path: load_image(path, (channels, height, width), preprocess_of(dict(node.preprocess)))}


def _arrays(path: Path, inputs: Sequence[Input]) -> Feed:
    """The headers are held against the inputs before any array is read: they may promise anything."""
    archive = read_weights(path)
    for node in inputs:
        if node.path not in archive.stored:
            raise error("calibration", f"`{path}` has no array `{node.path}`")
        _check_header(path, node, archive.stored[node.path])
    return {node.path: _numbers(path, node, archive[node.path]) for node in inputs}


def _check_header(path: Path, node: Input, stored: Stored) -> None:
    shape = tuple(map(int, node.type.shape))
    if stored.shape != shape:
        raise error("calibration", f"`{node.path}` in `{path}` is {list(stored.shape)}, not {list(shape)}")
    if stored.dtype not in NUMBERS:
        raise error("calibration", f"`{node.path}` in `{path}` holds {stored.dtype}, which is no {node.type.dtype}")


def _numbers(path: Path, node: Input, array: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore", invalid="ignore"):  # refused below
        found = array.astype(node.type.dtype)
    if np.isfinite(array).all() and np.isfinite(found).all():
        return found
    raise error("calibration", f"`{node.path}` in `{path}` has numbers that are not finite as {node.type.dtype}")


def _as_warning(found: Diagnostic) -> Diagnostic:
    return Diagnostic("calibration", f"a sample is left out: {found.message}", severity="warning")
