"""Rows of `tools/bench.py` on large networks: time and memory of getting weights into ONNX files."""

from __future__ import annotations

import sys
from pathlib import Path

from bench_run import ARCHDSL, DYNAMO, MIB, Cost, Line, at_least, mib, module, ratio, run, seconds

#: 806 million parameters in three layers
LARGE = """
network large {
    input x: [16384]
    a: linear(16384) -> relu
    b: linear(16384) -> relu
    output y: linear(16384)
}
"""
LARGE_BYTES = 3 * (16384 * 16384 + 16384) * 4
READ_LARGE = """
import sys, numpy, onnx, onnxruntime
onnx.checker.check_model(sys.argv[1])
session = onnxruntime.InferenceSession(sys.argv[1])
(y,) = session.run(None, {"x": numpy.ones((1, 16384), "float32")})
assert y.shape == (1, 16384) and numpy.isfinite(y).all()
"""


def measure_resnet152(folder: Path, quick: bool) -> list[Line]:
    """`export resnet152` against the dynamo exporter, in time, and against its own weights, in memory."""
    source = module("torchvision/resnet152", folder / "resnet152.py")
    dynamo = [sys.executable, "-c", DYNAMO, source, "3x224x224", folder / "theirs.onnx"]
    ours, theirs = run(
        [*ARCHDSL, "export", "torchvision/resnet152", "-o", folder / "ours.onnx"], dynamo, times=1 if quick else 3
    )
    weights = (folder / "ours.onnx").stat().st_size / MIB
    return [
        at_least("export resnet152 / torch.onnx dynamo", ours.seconds, theirs.seconds, 8),
        _memory("... peak memory / weights", ours, weights, 2.2),
    ]


def measure_vgg16(folder: Path, quick: bool) -> list[Line]:
    """VGG-16's 138 million parameters from a `.safetensors` file to ONNX."""
    checkpoint = folder / "vgg16.safetensors"
    run([*ARCHDSL, "weights", "torchvision/vgg16", "-o", checkpoint], times=1)
    export = [*ARCHDSL, "export", "torchvision/vgg16", "--weights", checkpoint, "-o", folder / "vgg16.onnx"]
    (cost,) = run(export, times=1 if quick else 3)
    return [
        Line("vgg16, .safetensors to ONNX", seconds(cost.seconds), "", "", "< 3 s", cost.seconds < 3),
        Line("... peak memory", mib(cost), "", "", "< 1.3 GB", cost.mib * MIB < 1.3e9),
    ]


def measure_large(folder: Path, quick: bool) -> list[Line]:
    """A network of 3.2 GB: exported, checked by path, and run."""
    spec, path = folder / "large.arch", folder / "large.onnx"
    spec.write_text(LARGE, "utf-8")
    (cost,) = run([*ARCHDSL, "export", spec, "-o", path], times=1)
    (read,) = run([sys.executable, "-c", READ_LARGE, path], times=1)  # ends the benchmark if it fails
    return [
        _memory("export of a 3.2 GB network, peak / weights", cost, LARGE_BYTES / MIB, 1.5),
        Line("... checked by path and run", seconds(read.seconds), "", "", "", None),
    ]


def _memory(what: str, cost: Cost, weights: float, most: float) -> Line:
    return Line(
        what, mib(cost), f"{weights:.0f} MiB", ratio(cost.mib / weights), f"<= {most:g}x", cost.mib <= most * weights
    )
