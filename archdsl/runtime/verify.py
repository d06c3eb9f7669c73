"""The PyTorch module and the ONNX file on the same weights and inputs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from archdsl.emit.onnx.model import onnx_model
from archdsl.emit.onnx.writer import save
from archdsl.graph.graph import CheckedGraph, Input, Output, TensorRef
from archdsl.graph.sizes import at
from archdsl.graph.symbolic import trials
from archdsl.ops.dims import sizes_text
from archdsl.ops.embedding import Embedding
from archdsl.ops.normalization import BatchNorm
from archdsl.ops.recurrence import Steps
from archdsl.runtime.bound import run_once
from archdsl.runtime.memory import room_for
from archdsl.runtime.scratch import scratch
from archdsl.runtime.session import open_session

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True, slots=True)
class Difference:
    """PyTorch against ONNX on one tensor: `max_rel` is `max_abs` over the largest absolute value of PyTorch's.

    `moves` is how far the samples of the batch lie apart, over that value too; infinite for a single one.
    """

    batch: int
    tensor: str
    max_abs: float
    max_rel: float
    cosine: float
    sizes: str = ""  # of the symbols, `H = 224, W = 224`
    moves: float = math.inf


@dataclass(frozen=True, slots=True)
class VerifyResult:
    """One difference for each batch size and output, and the first layer that parts where one is beyond `tolerance`."""

    tolerance: float
    opset: int
    differences: tuple[Difference, ...]
    first_divergence: Difference | None

    @property
    def finite(self) -> bool:
        """No output has a NaN or an infinity: of those, equal ones prove nothing."""
        return all(math.isfinite(difference.cosine) for difference in self.differences)

    @property
    def agrees(self) -> bool:
        return self.finite and all(difference.max_rel <= self.tolerance for difference in self.differences)

    @property
    def still(self) -> tuple[str, ...]:
        """Outputs that are almost the same for every input: whatever went wrong before their last bias is not seen."""
        most: dict[str, float] = {}
        for row in self.differences:
            if row.batch > 1:
                most[row.tensor] = max(row.moves, most.get(row.tensor, 0))
        return tuple(name for name, moves in most.items() if moves < STILL)


STILL = 1e-3  # of the largest number: a hundred times what may differ

LEAST_VARIANCE = 1e-3  # a channel that was constant in the one batch would be magnified without bound


def verify(
    graph: CheckedGraph,
    weights: Mapping[str, np.ndarray],
    batches: tuple[int, ...] = (1, 2, 5),
    tolerance: float = 1e-5,
    *,
    opset: int = 17,
    seed: int = 0,
) -> VerifyResult:
    """Run both in inference form on standard normal inputs drawn from `seed`, at each batch size.

    Open sizes are the nominal ones; the first batch size also runs at others.

    Where an output parts by more than `tolerance`, both are run again with every layer's tensor as an output, and the
    first layer beyond it is named. Raises `ArchError` where either form cannot be made.
    """
    found = compare(graph, weights, batches, opset, seed)
    worst = max(found, key=lambda item: item.max_rel)
    first = None
    if worst.max_rel > tolerance:
        whole, tensors = opened(graph)
        layers = compare(whole, weights, (worst.batch,), opset, seed)
        parted = next((item for item in layers if item.max_rel > tolerance), None)
        first = parted and replace(parted, tensor=tensors[parted.tensor])
    return VerifyResult(tolerance, opset, tuple(found), first)


def opened(graph: CheckedGraph) -> tuple[CheckedGraph, dict[str, str]]:
    """The same network with every deployed layer's tensors as its outputs, in topological order.

    Outputs are numbered, since a path may not do as a variable in Python; the dictionary gives each one's tensor.
    """
    paths = [node.path for node in graph.inputs] + [layer.path for layer in graph.layers]
    prefix = "tensor"
    while any(path.startswith(prefix) for path in paths):
        prefix += "_"
    whole = [layer for layer in graph.deployed if not layer.loop and not isinstance(layer.op, Steps)]
    refs = [TensorRef(layer.path, i) for layer in whole for i in range(len(layer.output_types))]
    outputs = tuple(Output(f"{prefix}{i}", ref, graph.type_of(ref)) for i, ref in enumerate(refs))
    training = tuple(output for output in graph.outputs if output.training_only)
    return replace(graph, outputs=(*outputs, *training)), {o.name: o.tensor.name for o in outputs}


def compare(
    graph: CheckedGraph, weights: Mapping[str, np.ndarray], batches: tuple[int, ...], opset: int, seed: int
) -> list[Difference]:
    """The differences of every output at every batch size, outputs in the spec's order."""
    drawn, *others = trials(graph)
    cases = [(batch, drawn) for batch in batches] + [(batches[0], sizes) for sizes in others]
    inputs = [draw_inputs(at(graph, sizes), batch, seed) for batch, sizes in cases]
    theirs = run_torch(graph, weights, inputs)
    ours = run_onnx(graph, weights, inputs, opset)
    found = []
    for (batch, sizes), left, right in zip(cases, theirs, ours, strict=True):
        rows = [difference(batch, item.name, left[item.name], right[item.name]) for item in graph.deployed_outputs]
        found += [replace(row, sizes=sizes_text(sizes)) for row in rows]
    return found


def draw_inputs(graph: CheckedGraph, batch: int, seed: int) -> Arrays:
    """Standard normal numbers for every input, open sizes at their nominal ones.

    Whole numbers are rows that the tables which look them up have. Raises `ArchError` (`out-of-memory`).
    """
    generator = np.random.default_rng((seed, batch))
    found = {}
    for node in graph.inputs:
        with room_for(f"the random input `{node.path}` of {[batch, *map(int, node.type.shape)]}"):
            found[node.path] = _drawn(generator, graph, node, batch)
    return found


def _drawn(generator: np.random.Generator, graph: CheckedGraph, node: Input, batch: int) -> np.ndarray:
    shape, dtype = (batch, *node.type.shape), np.dtype(node.type.dtype)
    if dtype.kind == "f":
        return generator.standard_normal(shape).astype(dtype)
    tables = [(layer.inputs[0].path, layer.op.count) for layer in graph.layers if isinstance(layer.op, Embedding)]
    rows = [count for path, count in tables if path == node.path] or [count for _, count in tables]
    return generator.integers(0, 2 if dtype.kind == "b" else min(rows, default=2), shape).astype(dtype)


def run_onnx(graph: CheckedGraph, weights: Mapping[str, np.ndarray], inputs: list[Arrays], opset: int) -> list[Arrays]:
    """The file as it would be deployed, written and read back; outputs by name for each of the inputs."""
    with scratch() as folder:
        path = folder / "model.onnx"
        save(onnx_model(graph, weights, opset=opset), path)
        session = open_session(path)
        names = [output.name for output in session.get_outputs()]
        taken = [node.name for node in session.get_inputs()]
        feeds = [{name: feed[name] for name in taken} for feed in inputs]
        return [dict(zip(names, run_once(session, feed, graph.name), strict=True)) for feed in feeds]


def calibrated(
    graph: CheckedGraph, weights: Mapping[str, np.ndarray], seed: int = 0, batch: int = 4
) -> dict[str, np.ndarray]:
    """The weights with the batch norm statistics of one random batch, as training would leave them.

    The statistics that a fresh network starts with (0 and 1) are those of no data: in a deep residual network
    activations then double from block to block, past what floats can hold.
    """
    from archdsl.emit.torch.module import module

    if not any(isinstance(layer.op, BatchNorm) for layer in graph.layers):
        return dict(weights)
    network = module(graph, weights).train()  # says so where torch is missing
    import torch

    for part in network.modules():
        if isinstance(part, torch.nn.modules.batchnorm._BatchNorm):
            part.momentum = None  # PyTorch's word for the plain average
    feed = draw_inputs(graph, batch, seed)
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)  # for dropout
        network(*map(torch.from_numpy, feed.values()))
    state = network.state_dict()
    found = dict(weights)
    for name in weights:
        if name.endswith(".running_mean"):
            found[name] = state[name].numpy()
        elif name.endswith(".running_var"):
            found[name] = state[name].numpy().clip(min=LEAST_VARIANCE)
    return found


def run_torch(graph: CheckedGraph, weights: Mapping[str, np.ndarray], inputs: list[Arrays]) -> list[Arrays]:
    """The generated module in eval mode; outputs by name for each of the inputs."""
    from archdsl.emit.torch.module import module

    network = module(graph, weights).eval()  # says so where torch is missing
    import torch

    names = [output.name for output in graph.deployed_outputs]
    found = []
    with torch.inference_mode():
        for feed in inputs:
            with room_for(f"what `{graph.name}` computes in PyTorch"):
                result = network(*map(torch.from_numpy, feed.values()))
            tensors = {names[0]: result} if len(names) == 1 else result
            found.append({name: tensors[name].numpy() for name in names})
    return found


def difference(batch: int, name: str, left: np.ndarray, right: np.ndarray) -> Difference:
    """`right` against `left`; places that are equal, infinite or NaN alike, do not differ."""
    a, b = left.astype(np.float64).ravel(), right.astype(np.float64).ravel()
    same = (a == b) | (np.isnan(a) & np.isnan(b))
    gap = np.abs(np.where(same, 0.0, a) - np.where(same, 0.0, b))
    max_abs = float(np.nan_to_num(gap, nan=np.inf, posinf=np.inf).max(initial=0.0))
    largest = float(np.abs(a[np.isfinite(a)]).max(initial=0.0))
    max_rel = 0.0 if max_abs == 0 else max_abs / largest if largest else np.inf
    return Difference(batch, name, max_abs, max_rel, _cosine(a, b), moves=_moves(left, largest))


def _moves(value: np.ndarray, largest: float) -> float:
    """How far samples lie apart; infinite where that says nothing."""
    if value.ndim == 0 or len(value) < 2 or value.dtype.kind != "f" or not np.isfinite(value).all():
        return math.inf
    return float(np.ptp(value.astype(np.float64), axis=0).max(initial=0)) / largest if largest else 0.0


def _cosine(a: np.ndarray, b: np.ndarray) -> float:
    """Cosine of the angle between them; 1 for two zero vectors, NaN where a number is missing or infinite."""
    lengths = float(np.linalg.norm(a) * np.linalg.norm(b))
    if not np.isfinite(lengths):
        return float("nan")
    if lengths == 0:
        return float(np.array_equal(a, b))
    return float(a @ b / lengths)
