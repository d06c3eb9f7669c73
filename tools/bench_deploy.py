"""Rows of `tools/bench.py` on deployed networks: what 8-bit integers gain and cost."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import sklearn.datasets
from bench_run import Line, ratio
from PIL import Image, ImageOps

import archdsl
from archdsl.emit.onnx.model import deployed_inputs
from archdsl.emit.onnx.writer import save
from archdsl.runtime.bound import bound
from archdsl.runtime.calibration import read_samples
from archdsl.runtime.deploy import Deployment, prepare
from archdsl.runtime.precision import lowered
from archdsl.runtime.session import open_session
from archdsl.runtime.timing import in_turns, median, relative
from archdsl.runtime.verify import calibrated

#: network, and how many times faster than fp32 its integers are to be
FASTER = {"torchvision/googlenet": 2.2, "torchvision/resnet50": 2.5}
COSINE = 0.99
THREADS = 2
VIEWS = 16  # of each photograph


def measure_int8(folder: Path, quick: bool) -> list[Line]:
    """Latency of int8 against fp32 for one photograph, and how alike their scores are on photographs held back.

    Weights are initialized, with the batch norm statistics of noise as `verify` takes them. Those of the photographs
    themselves are no better a stand-in for training: random layers that are normalized so strictly drive any two
    inputs apart, and rounding errors likewise.
    """
    photographs(folder / "photographs")
    lines: list[Line] = []
    for name, times in FASTER.items():
        lines += _against_fp32(name, times, folder, 10 if quick else 60)
    return lines


def photographs(folder: Path) -> None:
    """Views of scikit-learn's two photographs, from half of their height to all of it, every other one mirrored."""
    folder.mkdir(exist_ok=True)
    for source in sorted((Path(sklearn.datasets.__file__).parent / "images").glob("*.jpg")):
        with Image.open(source) as photo:
            for place, view in enumerate(_views(photo)):
                view.save(folder / f"{source.stem}{place:02}.png")


def _views(photo: Image.Image) -> Iterator[Image.Image]:
    generator = np.random.default_rng(0)
    for place in range(VIEWS):
        side = int(generator.integers(photo.height // 2, photo.height))
        left, top = int(generator.integers(photo.width - side)), int(generator.integers(photo.height - side))
        view = photo.crop((left, top, left + side, top + side))
        yield ImageOps.mirror(view) if place % 2 else view


def _against_fp32(name: str, times: float, folder: Path, runs: int) -> list[Line]:
    network = archdsl.load(name)
    weights = calibrated(network.checked, network.initialize())
    prepared = prepare(network.checked, weights, Deployment())
    samples = read_samples(folder / "photographs", deployed_inputs(prepared.deployed))
    whole, small = folder / "fp32.onnx", folder / "int8.onnx"
    save(prepared.frame.model, whole, weights=prepared.frame.pending(prepared.weights))
    lower, accuracy = lowered(prepared, "int8", samples)
    save(lower.frame.model, small)
    feed = {key: array[None] for key, array in samples.held_back[0].items()}
    sessions = [open_session(path, threads=THREADS) for path in (small, whole)]
    fast, slow = in_turns([bound(session, feed, "cpu", name) for session in sessions], runs, 3)
    ours, theirs = (f"{median(each) / 1e6:.1f} ms" for each in (fast, slow))
    scores, faster = accuracy.outputs[0], relative(slow, fast)
    title = f"{name.rpartition('/')[2]}, int8 / fp32"
    apart = f"{scores.apart:.4f} between photographs"
    return [
        Line(title, ours, theirs, ratio(faster), f">= {times:g}x faster", faster >= times),
        Line("... cosine of the scores", f"{scores.worst:.4f}", apart, "", f">= {COSINE:g}", scores.worst >= COSINE),
    ]
