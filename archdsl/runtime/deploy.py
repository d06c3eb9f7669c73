"""A network and its weights -> the ONNX file that is shipped: passes, metadata, and weights written in a stream."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np

from archdsl.emit.onnx.model import skeleton, weights_as_inputs
from archdsl.emit.onnx.tensors import Skeleton
from archdsl.emit.onnx.versions import first_runtime
from archdsl.emit.onnx.writer import External, save
from archdsl.graph.costs import Costs, Totals, costs
from archdsl.graph.graph import CheckedGraph
from archdsl.graph.refit import refitted
from archdsl.language.diagnostics import error
from archdsl.passes.counts import Comparison, compare_counts
from archdsl.passes.pipeline import DEPLOYMENT, run_passes
from archdsl.runtime.labels import check_labels
from archdsl.version import __version__

#: Largest difference from PyTorch, over the largest output, that `prove` passes; folding rounds a few times more.
TOLERANCE = 1e-5


@dataclass(frozen=True, slots=True)
class Deployment:
    """What a file is to be like.

    `batch`: None leaves it open. `inputs`: shapes without the batch that the inputs get after the passes. `external`:
    whether weights go to a file of their own (`auto`: only above 2 GB). `with_weights`: False gives a skeleton, whose
    weights are inputs. `labels`: names of the classes in their order. `metadata` joins the model's own.
    """

    passes: tuple[str, ...] = DEPLOYMENT
    opset: int = 17
    batch: int | None = None
    inputs: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    external: External = "auto"
    with_weights: bool = True
    labels: tuple[str, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Written:
    """The files, and what is in them. `runtime`: the first onnxruntime that reads them, None if none is known to."""

    files: tuple[Path, ...]
    opset: int
    ir_version: int
    runtime: str | None
    applied: tuple[str, ...]
    counts: tuple[Comparison, ...]
    nodes: int


@dataclass(frozen=True, slots=True)
class Prepared:
    """A network after its passes: the model without weights, the weights, and what is to be said of it."""

    frame: Skeleton
    weights: Mapping[str, np.ndarray]
    applied: tuple[str, ...]
    counts: tuple[Comparison, ...]
    deployed: CheckedGraph
    still: tuple[str, ...] = ()  # outputs of which a comparison proved little


def prepare(
    graph: CheckedGraph, weights: Mapping[str, np.ndarray], how: Deployment, counted: Costs | None = None
) -> Prepared:
    """Everything but reading the weights; raises `ArchError` of the passes and of `skeleton`, and `labels`.

    `counted`: the graph's costs, if known. Images are prepared for the size that the inputs have in the end.
    """
    check_labels(how.labels, {output.name: output.type.shape for output in graph.deployed_outputs})
    deployed = run_passes(graph, weights, how.passes, how.inputs)
    final = refitted(deployed.graph)
    before, after = (counted or costs(graph)).totals, costs(final).totals
    metadata = {**_metadata(before, after, deployed.applied, how.labels), **how.metadata}
    frame = skeleton(final, opset=how.opset, batch=how.batch, metadata=metadata)
    return Prepared(frame, deployed.weights, deployed.applied, compare_counts(before, after), final)


def prove(
    graph: CheckedGraph,
    weights: Mapping[str, np.ndarray],
    prepared: Prepared,
    how: Deployment,
    seed: int = 0,
    tolerance: float = TOLERANCE,
) -> Prepared:
    """Run the PyTorch module and the deployed model on the same random inputs; the model then carries the result.

    Both compute in 32-bit floats, and the proof says so: the file may yet be written in fewer bits. Raises `ArchError`
    (`verify-differs`) where an output parts by more than `tolerance` of its largest value, or is not finite.
    """
    from archdsl.runtime.verify import VerifyResult, difference, draw_inputs, run_onnx, run_torch  # brings onnxruntime

    batches = (1, 2, 5) if how.batch is None else (how.batch,)
    if how.inputs:
        message = "a model for other input sizes than the spec's cannot be compared with PyTorch"
        raise error("verify-differs", message, help="leave out `--verify` or `--input`")
    inputs = [draw_inputs(graph, batch, seed) for batch in batches]
    theirs = run_torch(graph, weights, inputs)
    ours = run_onnx(prepared.deployed, prepared.weights, inputs, how.opset)
    found = [
        difference(batch, output.name, left[output.name], right[output.name])
        for batch, left, right in zip(batches, theirs, ours, strict=True)
        for output in graph.deployed_outputs
    ]
    worst = max(found, key=lambda item: item.max_rel)
    result = VerifyResult(tolerance, how.opset, tuple(found), None)
    if not result.finite:
        help = "these weights make numbers that no float holds; give trained ones with `--weights`"
        raise error("verify-differs", "outputs are not finite numbers, so nothing is verified", help=help)
    if not worst.max_rel <= tolerance:
        notes = (f"`{worst.tensor}`, batch {worst.batch}: max rel {worst.max_rel:.3g}",)
        help = "`archdsl verify` names the first layer that parts; rounding alone is allowed for by `--tolerance`"
        raise error("verify-differs", f"PyTorch and ONNX differ by more than {tolerance:g}", notes=notes, help=help)
    proof = {
        "against": "PyTorch", "archdsl": __version__, "batches": batches, "max_abs": max(f.max_abs for f in found),
        "max_rel": worst.max_rel, "precision": "fp32", "seed": seed, "tolerance": tolerance,
    }  # fmt: skip
    prepared.frame.model.metadata_props.add(key="archdsl.verify", value=json.dumps(proof))
    return replace(prepared, still=result.still)


def deploy(
    graph: CheckedGraph,
    weights: Mapping[str, np.ndarray],
    path: str | Path,
    how: Deployment,
    counted: Costs | None = None,
) -> Written:
    """Write the file, or a model and its data; at most one weight is in memory at a time where `weights` is lazy.

    Raises `ArchError`: those of `prepare` and `archdsl.emit.onnx.writer.save`.
    """
    return write(prepare(graph, weights, how, counted), path, how)


def write(prepared: Prepared, path: str | Path, how: Deployment) -> Written:
    """The last step of `deploy`."""
    frame = prepared.frame
    if how.with_weights:
        model, files = frame.model, save(frame.model, path, how.external, frame.pending(prepared.weights))
    else:
        model = weights_as_inputs(frame)
        files = save(model, path, how.external)
    return Written(
        tuple(files),
        how.opset,
        model.ir_version,
        first_runtime(how.opset),
        prepared.applied,
        prepared.counts,
        len(model.graph.node),
    )


def _metadata(before: Totals, after: Totals, applied: tuple[str, ...], labels: tuple[str, ...]) -> dict[str, str]:
    """What a file says of itself: what it computes for one sample, and as `archdsl.logical` what the spec has."""
    found = {
        "archdsl.params": str(after.params),
        "archdsl.macs": str(after.macs),
        "archdsl.flops": str(after.flops),
        "archdsl.logical": json.dumps(asdict(before), sort_keys=True),
        "archdsl.passes": ",".join(applied),
    }
    if labels:
        found["archdsl.labels"] = json.dumps(labels, ensure_ascii=False)
    return found
