"""onnxruntime's own profile of a model: what each node costs as it runs, and which of the model's nodes that is."""

from __future__ import annotations

import json
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
from onnx import ModelProto

from archdsl.runtime.bound import bound
from archdsl.runtime.count import Unknown, node_macs, read_model
from archdsl.runtime.feed import Shape, batch_of, random_inputs, shapes_of
from archdsl.runtime.machine import Machine, machine
from archdsl.runtime.origin import kind_of, name_nodes, origins
from archdsl.runtime.scratch import scratch
from archdsl.runtime.session import Profiling, open_session

WARM_UP = 3
KERNEL = "_kernel_time"
SIZES = ("activation_size", "parameter_size", "output_size")


@dataclass(frozen=True, slots=True)
class Kernel:
    """One node of the optimized graph: milliseconds of a run, and bytes that it reads (weights too) and writes.

    `nodes` are the model's nodes whose work it does, the main one first; none where it only copies to another layout.
    """

    name: str
    op: str
    nodes: tuple[str, ...]
    ms: float
    bytes: int


@dataclass(frozen=True, slots=True)
class Node:
    """A node of the model, named as in its file, or `OP#number`; `macs` are those of the whole batch."""

    name: str
    op: str
    macs: int


@dataclass(frozen=True)
class Profile:
    """Means over the calmer half of the runs. `total_ms` is a whole run, with what lies between the kernels.

    `nodes` are in the order of the file. `note` says why no node has MACs, where they cannot be counted.
    """

    machine: Machine
    batch: int
    inputs: Mapping[str, Shape]
    runs: int
    total_ms: float
    kernels: tuple[Kernel, ...]
    nodes: tuple[Node, ...]
    note: str = ""

    @property
    def kernels_ms(self) -> float:
        return sum(kernel.ms for kernel in self.kernels)

    @property
    def between_ms(self) -> float:
        """What a run takes besides its kernels: choosing the next, allocating, and the profiler's own work."""
        return self.total_ms - self.kernels_ms


def profile(
    path: Path,
    name: str,
    batch: int | None = None,
    inputs: Mapping[str, Shape] | None = None,
    *,
    threads: int = 0,
    runs: int = 20,
) -> Profile:
    """Run the model on the CPU with onnxruntime's profiler on; `inputs` are shapes without the batch.

    Raises `ArchError`: `model-unreadable`, `onnx-input`, `run-failed`.
    """
    model = read_model(str(path))
    name_nodes(model)
    with scratch() as folder:
        place = Profiling(folder, path.absolute().parent)
        session = open_session(model.SerializeToString(), threads=threads, profile=place, name=name)
        wanted = session.get_inputs()
        size = batch_of(wanted, batch, name)
        shapes = shapes_of(wanted, size, inputs or {}, name)
        call = bound(session, random_inputs(wanted, shapes), "cpu", name)
        for _ in range(WARM_UP - 1 + runs):  # it was run once to be bound
            call()
        events = json.loads(Path(session.end_profiling()).read_text("utf-8"))
        optimized = onnx.load(place.optimized, load_external_data=False)
    nodes, note = _nodes(model, shapes)
    total, kernels = _kernels(events, runs, optimized, _main_first(origins(model, optimized), optimized, nodes))
    return Profile(machine("cpu", threads), size, shapes, runs, total, kernels, nodes, note)


def _nodes(model: ModelProto, shapes: Mapping[str, Shape]) -> tuple[tuple[Node, ...], str]:
    try:
        macs, note = node_macs(model, shapes), ""
    except Unknown as reason:
        macs, note = {}, str(reason)
    found = (Node(node.name, node.op_type, macs.get(i, 0)) for i, node in enumerate(model.graph.node))
    return tuple(found), note


def _main_first(
    groups: Mapping[str, tuple[int, ...]], optimized: ModelProto, nodes: tuple[Node, ...]
) -> dict[str, tuple[str, ...]]:
    """Of what is fused, the node of the fused node's own kind leads, then the one with the most MACs."""
    kinds = {kernel.name: kind_of(kernel.op_type) for kernel in optimized.graph.node}

    def rank(kind: str, node: Node) -> tuple[bool, int]:
        return node.op != kind, -node.macs

    return {
        name: tuple(node.name for node in sorted((nodes[i] for i in group), key=lambda node: rank(kinds[name], node)))
        for name, group in groups.items()
    }


def _kernels(
    events: list[dict[str, Any]], runs: int, optimized: ModelProto, nodes: Mapping[str, tuple[str, ...]]
) -> tuple[float, tuple[Kernel, ...]]:
    """Milliseconds of a run, and its kernels in their order. Nodes inside a loop or branch are counted in that."""
    spans = sorted((event["ts"], event["dur"]) for event in events if event["name"] == "model_run")[-runs:]
    calm = set(sorted(spans, key=lambda span: span[1])[: (len(spans) + 1) // 2])
    starts = [start for start, _ in spans]
    spent: dict[str, int] = defaultdict(int)
    sizes: dict[str, int] = {}
    for event in events:
        run = bisect_right(starts, event["ts"]) - 1
        if event["cat"] == "Node" and event["name"].endswith(KERNEL) and run >= 0 and spans[run] in calm:
            kernel = event["name"].removesuffix(KERNEL)
            spent[kernel] += event["dur"]
            sizes[kernel] = sum(int(event["args"].get(size, 0)) for size in SIZES)
    ops = {node.name: node.op_type for node in optimized.graph.node if node.name in sizes}
    found = (Kernel(name, op, nodes[name], spent[name] / len(calm) / 1000, sizes[name]) for name, op in ops.items())
    return sum(length for _, length in calm) / len(calm) / 1000, tuple(found)
