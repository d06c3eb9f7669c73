"""A deployed model in fewer bits, and how far its results are from those of 32-bit floats."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Literal

import numpy as np
import onnx
from onnx import ModelProto

from archdsl.emit.onnx.tensors import Skeleton, attach
from archdsl.emit.onnx.writer import save
from archdsl.graph.graph import CheckedGraph
from archdsl.language.diagnostics import error
from archdsl.runtime.bound import run_once
from archdsl.runtime.calibration import Feed, Samples
from archdsl.runtime.deploy import Prepared
from archdsl.runtime.memory import room_for
from archdsl.runtime.scratch import scratch
from archdsl.runtime.session import open_session
from archdsl.runtime.verify import difference, draw_inputs

Lower = Literal["fp16", "int8"]
Basis = Literal["held back", "calibrated on", "given", "random"]
RANDOM_SAMPLES = 4
DIGITS = 6  # of what is written into the file


@dataclass(frozen=True, slots=True)
class Likeness:
    """One output against that of fp32: the cosine of the angle between them, the mean and the least over the samples.

    `apart` is what such a cosine is worth: the mean one between fp32's results for different samples (None for a single
    sample). `same_class`: on how many samples the largest score is the same one; None for an output that is no vector.
    """

    output: str
    cosine: float
    worst: float
    apart: float | None
    same_class: int | None


@dataclass(frozen=True, slots=True)
class Accuracy:
    """What lowering the precision cost, measured on `samples` samples.

    `basis` says which: `held back` from calibration, `calibrated on` where there were too few for that, all `given`
    ones (fp16 calibrates nothing), or `random` numbers. `bytes`: files' sizes of fp32 and of the result.
    """

    precision: Lower
    basis: Basis
    samples: int
    calibrated: int
    outputs: tuple[Likeness, ...]
    bytes: tuple[int, int]


def lowered(prepared: Prepared, precision: Lower, samples: Samples | None = None) -> tuple[Prepared, Accuracy]:
    """The network as prepared for its file, in another precision; raises `ArchError` as `lower_precision`."""
    model = attach(prepared.frame, prepared.weights)
    lower, accuracy = lower_precision(model, prepared.deployed, precision, samples)
    return replace(prepared, frame=Skeleton(lower, {}), weights={}), accuracy


def lower_precision(
    model: ModelProto, graph: CheckedGraph, precision: Lower, samples: Samples | None = None
) -> tuple[ModelProto, Accuracy]:
    """The model of that graph in `fp16` or `int8`, which carries `archdsl.precision` and `archdsl.accuracy`.

    `samples`: what `int8` is calibrated on, and what either is compared on; `fp16` takes random numbers without them.
    Equal arguments give equal bytes on one machine. Raises `ArchError`: `calibration` for int8 without samples,
    `precision` where a result is no longer finite.
    """
    batch = _batch(model)
    lower, trial = _half(model) if precision == "fp16" else _int8(model, samples, batch)
    basis, feeds = _compared_on(graph, precision, samples)
    sizes, outputs = _compare(model, lower, trial, [_run(feed, batch, model) for feed in feeds])
    calibrated = len(samples.calibration) if precision == "int8" and samples else 0
    accuracy = Accuracy(precision, basis, len(feeds), calibrated, outputs, sizes)
    _require_finite(accuracy)
    lower.metadata_props.add(key="archdsl.precision", value=precision)
    lower.metadata_props.add(key="archdsl.accuracy", value=_as_json(accuracy))
    return lower, accuracy


def _half(model: ModelProto) -> tuple[ModelProto, ModelProto]:
    from archdsl.runtime.half import half_precision, rounding

    return half_precision(model), rounding(model)


def _int8(model: ModelProto, samples: Samples | None, batch: int) -> tuple[ModelProto, ModelProto]:
    from archdsl.runtime.quantize import quantized

    if samples is None:
        message = "int8 needs samples to calibrate on: the ranges of its numbers come from them"
        raise error("calibration", message, help="name a folder of images: `--calibrate DIR`")
    found = quantized(model, (_run(feed, batch, model) for feed in samples.calibration))
    return found, found


def _batch(model: ModelProto) -> int:
    """The batch that the model is fixed to, 1 where it is open."""
    return int(model.graph.input[0].type.tensor_type.shape.dim[0].dim_value) or 1


def _run(feed: Feed, batch: int, model: ModelProto) -> Feed:
    """The model's inputs for one run: the sample as often as the batch needs it."""
    with room_for(f"samples of a batch of {batch}"):
        return {item.name: np.repeat(feed[item.name][None], batch, axis=0) for item in model.graph.input}


def _compared_on(graph: CheckedGraph, precision: Lower, samples: Samples | None) -> tuple[Basis, Sequence[Feed]]:
    if samples is None:
        drawn = draw_inputs(graph, RANDOM_SAMPLES, 0)
        return "random", [{name: array[i] for name, array in drawn.items()} for i in range(RANDOM_SAMPLES)]
    if precision == "fp16":
        return "given", (*samples.calibration, *samples.held_back)
    return ("held back", samples.held_back) if samples.held_back else ("calibrated on", samples.calibration)


# Comparison -----------------------------------------------------------------------------------------------------------


def _compare(
    model: ModelProto, lower: ModelProto, trial: ModelProto, feeds: Sequence[Mapping[str, np.ndarray]]
) -> tuple[tuple[int, int], tuple[Likeness, ...]]:
    """File sizes of the model and the lower one, which is checked and run once, and the likeness of every output.

    `trial` gives the results that are compared: those that the lower one has where it is at home.
    """
    with scratch() as folder:
        before, after, tried = (_saved(item, folder / str(i)) for i, item in enumerate((model, lower, trial)))
        onnx.checker.check_model(str(after[0]), full_check=True)
        run_once(open_session(after[0]), feeds[0], after[0].name)
        sessions = [(open_session(files[0]), files[0]) for files in (before, tried)]
        pairs = [tuple(run_once(session, feed, path.name) for session, path in sessions) for feed in feeds]
        sizes = _bytes(before), _bytes(after)
    names = [output.name for output in model.graph.output]
    likenesses = (_likeness(name, [(left[i], right[i]) for left, right in pairs]) for i, name in enumerate(names))
    return sizes, tuple(likenesses)


def _saved(model: ModelProto, folder: Path) -> list[Path]:
    folder.mkdir()
    return save(model, folder / "model.onnx")


def _bytes(files: Sequence[Path]) -> int:
    return sum(file.stat().st_size for file in files)


def _likeness(name: str, pairs: Sequence[tuple[np.ndarray, np.ndarray]]) -> Likeness:
    """Over (fp32, lower) pairs of the output's results, the batch being one sample repeated."""
    cosines = [difference(1, name, left[0], right[0]).cosine for left, right in pairs]
    apart = [difference(1, name, left[0], other[0]).cosine for (left, _), (other, _) in pairwise(pairs)]
    same = None
    if all(left[0].size > 1 and left[0].size == max(left.shape[1:]) for left, _ in pairs):
        same = sum(int(left[0].argmax() == right[0].argmax()) for left, right in pairs)
    between = float(np.mean(apart)) if apart else None
    return Likeness(name, float(np.mean(cosines)), float(np.min(cosines)), between, same)


def _require_finite(accuracy: Accuracy) -> None:
    for found in accuracy.outputs:
        if math.isfinite(found.cosine):
            continue
        message = f"`{found.output}` is infinite or not a number, in {accuracy.precision} or already in fp32"
        largest = ("the largest number of fp16 is 65,504",) if accuracy.precision == "fp16" else ()
        notes = (f"compared on {accuracy.samples} samples ({accuracy.basis})", *largest)
        help = "give trained weights (`--weights`) and real samples (`--calibrate`), or stay with fp32"
        raise error("precision", message, notes=notes, help=help)


def _as_json(accuracy: Accuracy) -> str:
    found = asdict(accuracy)
    del found["bytes"], found["precision"]
    for row in found["outputs"]:
        row |= {key: round(row[key], DIGITS) for key in ("cosine", "worst", "apart") if row[key] is not None}
    return json.dumps(found)
