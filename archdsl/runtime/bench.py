"""Latency, throughput, and the share of the machine's own rate that networks reach."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from archdsl.runtime.bound import bound
from archdsl.runtime.count import Unknown, node_macs, read_model
from archdsl.runtime.feed import Shape, batch_of, random_inputs, shapes_of
from archdsl.runtime.gemm import fastest_gemm
from archdsl.runtime.machine import Machine, machine
from archdsl.runtime.metadata import metadata
from archdsl.runtime.session import Device, open_session
from archdsl.runtime.timing import Call, Clock, in_turns, median, p90, relative

SCHEMA = "archdsl.bench/1"


@dataclass(frozen=True, slots=True)
class Candidate:
    """An ONNX file to measure under a name.

    `macs` are of one sample where they are known, else they are counted. `inputs` gives shapes without the batch.
    """

    name: str
    path: Path
    macs: int | None = None
    inputs: Mapping[str, Shape] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Timing:
    """What one network took. `ratio` is its time over the first network's in the same round, the median of all rounds.

    `macs` are those of one sample; `share` is 2 macs x throughput over the rate of the matrix product. Both are None
    where the MACs are not known, and `note` says why.
    """

    name: str
    batch: int
    inputs: Mapping[str, Shape]
    median_ms: float
    p90_ms: float
    throughput: float
    ratio: float
    macs: int | None
    share: float | None
    note: str


@dataclass(frozen=True, slots=True)
class GemmRate:
    """FLOP/s of the product of two `size` x `size` float32 matrices, by its median in the same turns."""

    size: int
    flops: float


@dataclass(frozen=True, slots=True)
class Bench:
    """Networks in the order asked for, each timed `runs` times in turns with the others and the matrix product."""

    machine: Machine
    runs: int
    warm_up: int
    gemm: GemmRate
    timings: tuple[Timing, ...]

    def to_dict(self) -> dict[str, Any]:
        """The JSON of `archdsl bench --format json`."""
        return {"schema": SCHEMA, **asdict(self)}


@dataclass(frozen=True, slots=True)
class Prepared:
    """A candidate ready to run."""

    name: str
    batch: int
    inputs: dict[str, Shape]
    call: Call
    macs: int | None
    note: str


def bench(
    candidates: Sequence[Candidate],
    batch: int | None = None,
    *,
    device: Device = "cpu",
    threads: int = 0,
    runs: int = 30,
    warm_up: int = 3,
    clock: Clock = time.perf_counter_ns,
) -> Bench:
    """Time the files in one process, round after round.

    Raises `ArchError`: `model-unreadable`, `cuda-unavailable`, `onnx-input`, `run-failed`.
    """
    ready = [_prepared(item, batch, device, threads) for item in candidates]
    gemm = fastest_gemm(device, threads, clock)
    *found, product = in_turns([*(item.call for item in ready), gemm.call], runs, warm_up, clock)
    rate = GemmRate(gemm.size, gemm.flop * 1e9 / median(product))
    timings = tuple(
        _timing(item, times, relative(times, found[0]), rate) for item, times in zip(ready, found, strict=True)
    )
    return Bench(machine(device, threads), runs, warm_up, rate, timings)


def _prepared(item: Candidate, batch: int | None, device: Device, threads: int) -> Prepared:
    session = open_session(item.path, device, threads=threads)
    inputs = session.get_inputs()
    size = batch_of(inputs, batch, item.name)
    shapes = shapes_of(inputs, size, item.inputs, item.name)
    macs, note = (item.macs, "") if item.macs is not None else _counted(item, session, shapes, size)
    call = bound(session, random_inputs(inputs, shapes), device, item.name)
    return Prepared(item.name, size, shapes, call, macs, note)


def _counted(item: Candidate, session: Any, shapes: Mapping[str, Shape], batch: int) -> tuple[int | None, str]:
    """MACs of one sample: those that archdsl wrote into the file, unless its inputs were resized, else counted."""
    stated = metadata(session, item.name).macs
    if stated is not None and not item.inputs:
        return stated, ""
    try:
        return sum(node_macs(read_model(str(item.path)), shapes).values()) // batch, ""
    except Unknown as reason:
        return None, str(reason)


def _timing(item: Prepared, times: list[int], ratio: float, rate: GemmRate) -> Timing:
    middle = median(times)
    throughput = item.batch * 1e9 / middle
    share = None if item.macs is None else 2 * item.macs * throughput / rate.flops
    return Timing(
        item.name, item.batch, item.inputs, middle / 1e6, p90(times) / 1e6, throughput, ratio, item.macs,
        share, item.note,
    )  # fmt: skip
