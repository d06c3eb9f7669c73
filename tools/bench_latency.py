"""Rows of `tools/bench.py` on speed at work: exported models and generated modules against what people have now."""

from __future__ import annotations

import statistics
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from bench_run import ARCHDSL, DYNAMO, Line, module, run
from handwritten import NETWORKS

import archdsl
from archdsl.runtime.bench import Candidate, bench
from archdsl.runtime.timing import Call, in_turns, median, relative

THREADS = 2
FORWARDS = 30  # of each module of a pair
#: share of the machine's matrix product rate that these are to reach
SHARES = {"googlenet": 0.75, "resnet50": 0.75}
#: pairs of sessions: a file against itself came out between 0.985 and 1.017 in one
SESSIONS = 3
#: pairs of modules made anew. Where their weights happen to lie moves one pair by 2%: two copies of one module do not
#: take the same time either
PAIRS = 7
#: a ratio is told to two decimals; more than that the machine does not repeat
EVEN = 1.005


def measure_latency(folder: Path, quick: bool) -> list[Line]:
    """fp32 latency on onnxruntime: `archdsl export` against `torch.onnx.export` of the same module, batch 1."""
    lines: list[Line] = []
    for name in NETWORKS:
        ours, theirs = folder / f"{name}.ours.onnx", folder / f"{name}.theirs.onnx"
        network = f"torchvision/{name}"
        size = "x".join(map(str, archdsl.load(network).checked.inputs[0].type.shape))
        source = module(network, folder / f"{name}.py")
        run([*ARCHDSL, "export", network, "-o", ours], times=1)
        run([sys.executable, "-c", DYNAMO, source, size, theirs], times=1)
        macs = archdsl.load(network).report().totals.macs
        candidates = [Candidate(str(path), path, macs=macs) for path in (theirs, ours)]
        times = [bench(candidates, threads=THREADS, runs=20 if quick else 150) for _ in range(1 if quick else SESSIONS)]
        pairs = [each.timings for each in times]
        other, own = (statistics.median(timing.median_ms for timing in column) for column in zip(*pairs, strict=True))
        ratio = statistics.median(timing.ratio for _, timing in pairs)
        lines.append(_even(f"{name} on onnxruntime / torch.onnx", own, other, ratio))
        if name in SHARES:
            share = statistics.median(timing.share or 0 for _, timing in pairs)
            met = share >= SHARES[name]
            lines.append(Line("... of the GEMM rate", f"{share:.0%}", "", "", f">= {SHARES[name]:.0%}", met))
    return lines


def measure_modules(folder: Path, quick: bool) -> list[Line]:
    """Forward of the generated module against a hand-written one with the same weights, batch 1, eager."""
    torch.set_num_threads(THREADS)
    return [line for name in NETWORKS for line in _forwards(name, 1 if quick else PAIRS)]


def _forwards(name: str, pairs: int) -> Iterator[Line]:
    network = archdsl.load(f"torchvision/{name}")
    image = torch.rand(1, *network.checked.inputs[0].type.shape)
    for layout in (torch.contiguous_format, torch.channels_last):
        times = [in_turns(_pair(network, name, image, layout), FORWARDS, 3) for _ in range(pairs)]
        own, other = (statistics.median(map(median, each)) / 1e6 for each in zip(*times, strict=True))
        where = "eager" if layout == torch.contiguous_format else "channels_last"
        title = f"{name}, generated / hand-written, {where}"
        ratios = [relative(*each) for each in times]
        yield _apart(_even(title, own, other, statistics.median(ratios)), ratios)


def _apart(line: Line, ratios: Sequence[float]) -> Line:
    """With the quartiles of the pairs; missed where three of four of them are too long."""
    if len(ratios) < 2:
        return line
    low, _, high = statistics.quantiles(ratios, n=4)
    return replace(line, ratio=f"{line.ratio} ({low:.2f} to {high:.2f})", met=low < EVEN)


def _pair(network: archdsl.Network, name: str, image: torch.Tensor, layout: torch.memory_format) -> list[Call]:
    """Forwards of both with equal weights, on an image in that layout."""
    ours, theirs = network.torch().eval(), NETWORKS[name]().eval()
    found = theirs.load_state_dict(ours.state_dict(), strict=False)
    assert not found.missing_keys, found.missing_keys
    x = image.to(memory_format=layout)
    return [_call(each.to(memory_format=layout), x) for each in (ours, theirs)]  # type: ignore[call-overload]


def _call(network: torch.nn.Module, x: torch.Tensor) -> Call:
    def forward() -> None:
        with torch.inference_mode():
            network(x)

    return forward


def _even(what: str, ours: float, theirs: float, longer: float) -> Line:
    return Line(what, f"{ours:.1f} ms", f"{theirs:.1f} ms", f"{longer:.2f}x", "<= 1.00x", longer < EVEN)
