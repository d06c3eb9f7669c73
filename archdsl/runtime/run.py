"""One image through an ONNX model: the top classes and the latency."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from archdsl.language.diagnostics import error
from archdsl.ops.dims import Symbol
from archdsl.runtime.bound import run_once
from archdsl.runtime.image import Preprocess, load_image, picture_size, preprocess_of
from archdsl.runtime.memory import room_for
from archdsl.runtime.metadata import metadata
from archdsl.runtime.session import Device, open_session

WARM_UP = 2


@dataclass(frozen=True, slots=True)
class TopClass:
    """A class by its index in the output, and its probability."""

    index: int
    probability: float


@dataclass(frozen=True, slots=True)
class RunResult:
    """What one image gave. `classes` come from the first output that is a vector of scores, `output`; best first.

    Both are empty where no output is one. `shapes` are all outputs' shapes. `latency_ms` is the median of `repeats`
    runs after warm-up, without reading the image. `labels` are those that the file carries.
    """

    device: Device
    input: str
    input_shape: tuple[int, ...]
    output: str
    classes: tuple[TopClass, ...]
    softmax_applied: bool
    shapes: dict[str, tuple[int, ...]]
    latency_ms: float
    repeats: int
    labels: tuple[str, ...] = ()


def run(
    model: str | Path | bytes, image: str | Path, device: Device = "cpu", top: int = 5, repeats: int = 10
) -> RunResult:
    """Run the model on one image; an archdsl `.onnx` file carries its preprocessing with it.

    An open height or width is the image's own, or the nearest below it that the network's range and step allow.
    Raises `ArchError`: `not-an-image-network`, and those of `open_session`, `metadata`, `load_image` and `run_once`.
    """
    session = open_session(model, device)
    called = "the model" if isinstance(model, bytes) else str(model)
    name, batch, shape = _image_input(session.get_inputs())
    stored = metadata(session, called)
    how = preprocess_of(stored.preprocessing.get(name, {}))
    with room_for(f"the input `{name}` of {[batch, *shape]}"):
        pixels = _pixels(image, shape, how, stored.symbols)
        feed = {name: np.repeat(pixels[None], batch, axis=0)}
    names = [output.name for output in session.get_outputs()]
    results = dict(zip(names, run_once(session, feed, called), strict=True))
    arrays = {key: array for key, array in results.items() if isinstance(array, np.ndarray)}
    output = next((key for key, array in arrays.items() if _is_scores(array)), "")
    scores = arrays[output][0].ravel() if output else np.empty(0, dtype=np.float32)
    likely, applied = probabilities(scores)
    best = np.argsort(-likely, kind="stable")[:top]
    return RunResult(
        device,
        name,
        feed[name].shape,
        output,
        tuple(TopClass(int(i), float(likely[i])) for i in best),
        applied,
        {key: array.shape for key, array in arrays.items()},
        latency(lambda: session.run(None, feed), repeats),
        repeats,
        stored.labels,
    )


def probabilities(scores: np.ndarray) -> tuple[np.ndarray, bool]:
    """Scores as probabilities, and whether softmax was applied for that.

    The rule: scores that are all at least 0 and sum to 1 (to 0.001) are probabilities already.
    """
    if not scores.size or (scores.min() >= 0 and abs(float(scores.sum()) - 1) < 1e-3):
        return scores, False
    with np.errstate(invalid="ignore"):  # infinite scores have no probabilities
        powers = np.exp((scores - scores.max()).astype(np.float64))
    return powers / powers.sum(), True


def latency(call: Callable[[], object], repeats: int) -> float:
    """Median milliseconds of `repeats` calls after warm-up."""
    for _ in range(WARM_UP):
        call()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return statistics.median(times) * 1000


def _pixels(
    image: str | Path, shape: tuple[int, int | str, int | str], how: Preprocess, symbols: Mapping[str, Symbol]
) -> np.ndarray:
    channels, height, width = shape
    if isinstance(height, int) and isinstance(width, int):
        return load_image(image, (channels, height, width), how)
    own = picture_size(image, how)
    height, width = _closed((height, width), own, symbols)
    if height > own[0] or width > own[1]:  # the spec's `resize` is less than the network takes
        how = replace(how, resize=None)
    return load_image(image, (channels, height, width), how)


def _closed(
    open_sizes: tuple[int | str, int | str], height_width: tuple[int, int], symbols: Mapping[str, Symbol]
) -> tuple[int, int]:
    """Height and width, the picture's where they are open; one symbol for both is the shorter side."""
    sizes: list[int] = []
    for size, own in zip(open_sizes, height_width, strict=True):
        if isinstance(size, str):
            own = min(height_width) if open_sizes.count(size) == 2 else own
            symbol = symbols.get(size, Symbol(size, own, 1, own))
            size = max(symbol.low, min(symbol.high, own // symbol.step * symbol.step))
        sizes.append(size)
    return sizes[0], sizes[1]


def _image_input(inputs: list[Any]) -> tuple[str, int, tuple[int, int | str, int | str]]:
    """Name, batch (1 where it is free) and `[C, H, W]` of the only input; an open size is its name."""
    if len(inputs) == 1 and len(inputs[0].shape) == 4 and inputs[0].type == "tensor(float)":
        batch, *shape = inputs[0].shape
        known = isinstance(shape[0], int) and all(isinstance(size, int | str) for size in shape)
        if known and 0 not in (batch, *shape):
            channels, height, width = shape
            return inputs[0].name, batch if isinstance(batch, int) else 1, (channels, height, width)
    found = ", ".join(f"`{item.name}` {item.shape}" for item in inputs)
    message = "an image needs a network with one float32 input [N, C, H, W] of known size"
    raise error("not-an-image-network", message, notes=(f"its inputs: {found}",))


def _is_scores(array: np.ndarray) -> bool:
    """One vector of numbers a sample, axes of size 1 aside."""
    return array.ndim >= 2 and array.size > 0 and array.dtype.kind in "fiu" and array[0].size == max(array.shape[1:])
