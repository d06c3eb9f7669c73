"""One image through an ONNX model: the top classes and the latency."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from archdsl.language.diagnostics import error
from archdsl.runtime.image import load_image, preprocess_of
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
    runs after warm-up, without reading the image.
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


def run(
    model: str | Path | bytes, image: str | Path, device: Device = "cpu", top: int = 5, repeats: int = 10
) -> RunResult:
    """Run the model on one image; an archdsl `.onnx` file carries its preprocessing with it.

    Raises `ArchError`: `not-an-image-network`, and those of `open_session` and `load_image`.
    """
    session = open_session(model, device)
    name, batch, shape = _image_input(session.get_inputs())
    stored = session.get_modelmeta().custom_metadata_map.get("archdsl.preprocessing", "{}")
    pixels = load_image(image, shape, preprocess_of(json.loads(stored).get(name, {})))
    feed = {name: np.repeat(pixels[None], batch, axis=0)}
    names = [output.name for output in session.get_outputs()]
    arrays = dict(zip(names, session.run(None, feed), strict=True))
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
    )


def probabilities(scores: np.ndarray) -> tuple[np.ndarray, bool]:
    """Scores as probabilities, and whether softmax was applied for that.

    The rule: scores that are all at least 0 and sum to 1 (to 0.001) are probabilities already.
    """
    if not scores.size or (scores.min() >= 0 and abs(float(scores.sum()) - 1) < 1e-3):
        return scores, False
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


def _image_input(inputs: list[Any]) -> tuple[str, int, tuple[int, int, int]]:
    """Name, batch (1 where it is free) and `[C, H, W]` of the only input."""
    if len(inputs) == 1 and len(inputs[0].shape) == 4 and inputs[0].type == "tensor(float)":
        batch, *shape = inputs[0].shape
        if all(isinstance(size, int) for size in shape):
            channels, height, width = shape
            return inputs[0].name, batch if isinstance(batch, int) else 1, (channels, height, width)
    found = ", ".join(f"`{item.name}` {item.shape}" for item in inputs)
    message = "an image needs a network with one float32 input [N, C, H, W] of known size"
    raise error("not-an-image-network", message, notes=(f"its inputs: {found}",))


def _is_scores(array: np.ndarray) -> bool:
    """One vector a sample, axes of size 1 aside."""
    return array.ndim >= 2 and array[0].size == max(array.shape[1:])
