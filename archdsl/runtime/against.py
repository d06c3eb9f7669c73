"""A network against somebody else's ONNX file of it: same weights, same inputs, layer by layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import ModelProto, NodeProto

from archdsl.emit.onnx.model import skeleton
from archdsl.emit.onnx.tensors import Skeleton, attach
from archdsl.graph.graph import CheckedGraph
from archdsl.graph.sizes import at, nominal
from archdsl.language.diagnostics import ArchError, error
from archdsl.passes.pipeline import run_passes
from archdsl.runtime.align import Alignment, Side, align
from archdsl.runtime.bound import run_once
from archdsl.runtime.count import Unknown, sized_at
from archdsl.runtime.feed import Shape, batch_of
from archdsl.runtime.session import open_session
from archdsl.runtime.transfer import transferred
from archdsl.runtime.verify import Arrays, Difference, difference, draw_inputs
from archdsl.weights.fit import Wrong, fit, headers_of, listed

#: one sample, and more of them than one: an even number and an odd one
BATCHES = (1, 2, 5)


@dataclass(frozen=True, slots=True)
class Compared:
    """One tensor of ours against one of theirs; `difference` is relative to theirs."""

    ours: str
    theirs: str
    difference: Difference


@dataclass(frozen=True)
class AgainstResult:
    """Outputs at every batch size, and the paired layers at the first.

    `by_name` and `by_structure` count the weights that came from the other file; both are 0 where others were given.
    `first_divergence` is the first layer beyond `tolerance` after which no layer agrees again, if an output is beyond.
    """

    tolerance: float
    outputs: tuple[Compared, ...]
    layers: tuple[Compared, ...]
    alignment: Alignment
    by_name: int
    by_structure: int
    first_divergence: Compared | None

    @property
    def finite(self) -> bool:
        return all(np.isfinite(item.difference.cosine) for item in self.outputs)

    @property
    def agrees(self) -> bool:
        return self.finite and not any(self.parted(item) for item in self.outputs)

    def parted(self, item: Compared) -> bool:
        return not item.difference.max_rel <= self.tolerance


@dataclass(frozen=True)
class Other:
    """The other file. `names` gives its input for each of ours."""

    path: Path
    model: ModelProto
    side: Side
    names: Mapping[str, str]
    batch: int | None  # None: free


@dataclass(frozen=True)
class Form:
    """One way to write our network, laid beside the other file; `found` are its weights as far as they are known."""

    skeleton: Skeleton
    side: Side
    alignment: Alignment
    found: Mapping[str, np.ndarray]
    by_name: int
    wrong: tuple[Wrong, ...]  # arrays of the right name that do not fit

    @property
    def missing(self) -> list[str]:
        return [key for key in self.skeleton.declared if key not in self.found]


def against(
    graph: CheckedGraph,
    path: str | Path,
    given: Mapping[str, np.ndarray] | None = None,
    named: Mapping[str, np.ndarray] | None = None,
    batches: Sequence[int] | None = None,
    tolerance: float = 1e-5,
    *,
    opset: int = 17,
    seed: int = 0,
) -> AgainstResult:
    """Run both on the CPU on inputs drawn from `seed`; open sizes are the nominal ones.

    `given` are the network's weights. Without them they come from the other file: from `named`, its arrays under the
    network's names, else from the node that does what the weight's own node does. If the file has no batch norms, ours
    are folded as `archdsl export` folds them. Unless `batches` are given, they are `BATCHES`, or the one that the file
    fixes.
    Raises `ArchError`: `model-unreadable`, `onnx-input` for a batch that the file does not take, `against-mismatch`,
    `weights-mismatch`, `run-failed`, those of `skeleton`.
    """
    graph = at(graph, nominal(graph))
    other = _read_other(graph, Path(path), batches)
    form = _fitting_form(graph, other, opset, named or {}) if given is None else _form(graph, other, opset, given)
    model = attach(form.skeleton, form.found)
    outputs = _output_pairs(form, other)
    layers = [(mine.output[0], theirs.output[0]) for mine, theirs in form.alignment.pairs]
    sizes = [other.batch] if other.batch else list(batches or BATCHES)
    compared = []
    for size in sizes:
        compared += _compare(model, other, outputs, draw_inputs(graph, size, seed), size)
    inside = _compare(model, other, layers, draw_inputs(graph, sizes[0], seed), sizes[0])
    by_name, rest = (form.by_name, len(form.found) - form.by_name) if given is None else (0, 0)
    result = AgainstResult(tolerance, tuple(compared), tuple(inside), form.alignment, by_name, rest, None)
    return result if result.agrees else replace(result, first_divergence=_first(result, form.side))


def _read_other(graph: CheckedGraph, path: Path, batches: Sequence[int] | None) -> Other:
    session = open_session(path)
    inputs = session.get_inputs()
    model = _loaded(path)
    names = _paired_inputs(graph, inputs, path)
    by_name = {item.name: item for item in inputs}
    ordered = [by_name[name] for name in names.values()]
    batch = _fixed_batch(ordered, batches, str(path))
    shapes = {names[node.path]: (batch or 1, *node.type.shape) for node in graph.inputs if node.path in names}
    try:
        known = sized_at(model, shapes)
    except Unknown as reason:
        raise error("against-mismatch", f"the layers of `{path}` cannot be compared: {reason}") from reason
    return Other(path, model, Side(model, known.shapes, known.made), names, batch)


def _fixed_batch(inputs: list[Any], asked: Sequence[int] | None, file: str) -> int | None:
    """None where it is free; raises `ArchError` where the file fixes another than those asked for."""
    if not all(item.shape and isinstance(item.shape[0], int) for item in inputs):
        return None
    found = [batch_of(inputs, size, file) for size in asked or (None,)]
    return found[0]


def _loaded(path: Path) -> onnx.ModelProto:
    """The model with its weights; onnx is stricter about where they lie than onnxruntime is."""
    try:
        return onnx.load(path)
    except onnx.checker.ValidationError as problem:
        reason = str(problem).strip().partition("\n")[0]
        help = "if its data are a link, hard or symbolic, copy both files instead"
        message = f"onnx does not read the data of `{path}`"
        raise error("model-unreadable", message, notes=(reason,), help=help) from problem


def _paired_inputs(graph: CheckedGraph, inputs: list[Any], path: Path) -> dict[str, str]:
    """Our input -> theirs: of the same name, else the next of the same shape; raises `ArchError`."""
    read = {ref.path for layer in graph.deployed for ref in layer.inputs}
    ours = {node.path: node.type.shape for node in graph.inputs if node.path in read}
    theirs = {item.name: item.shape for item in inputs}
    found = {name: name for name in ours if name in theirs and _fits(ours[name], theirs[name])}
    for name, shape in ours.items():
        left = [other for other in theirs if other not in found.values() and _fits(shape, theirs[other])]
        if name not in found and left:
            found[name] = left[0]
    if len(found) < max(len(ours), len(theirs)):
        sides = (("the spec", ours), (f"`{path}`", theirs))
        notes = tuple(f"inputs of {who}: {', '.join(f'{k} {list(v)}' for k, v in what.items())}" for who, what in sides)
        raise error("against-mismatch", f"the inputs of `{path}` are not the network's", notes=notes)
    return {name: found[name] for name in ours}


def _fits(ours: Shape, theirs: Sequence[Any]) -> bool:
    """Ours is without the batch; sizes that they leave open are any."""
    return len(ours) + 1 == len(theirs) and all(
        not isinstance(there, int) or here == there for here, there in zip(ours, theirs[1:], strict=True)
    )


# Our side -------------------------------------------------------------------------------------------------------------


def _fitting_form(graph: CheckedGraph, other: Other, opset: int, named: Mapping[str, np.ndarray]) -> Form:
    """The network as written, else as it is deployed, whichever the other file has all weights of."""
    forms = []
    for written in (graph, run_passes(graph, {}).graph):
        form = _form(written, other, opset, named)
        shapes = {key: form.skeleton.declared[key].shape for key in form.missing}
        extra = transferred(form.skeleton.model, shapes, form.alignment.pairs, other.model)
        forms.append(replace(form, found={**form.found, **extra}))
        if not forms[-1].missing:
            return forms[-1]
    raise _unfilled(min(forms, key=lambda form: len(form.missing)), other)


def _form(graph: CheckedGraph, other: Other, opset: int, arrays: Mapping[str, np.ndarray]) -> Form:
    made = skeleton(graph, opset=opset, batch=other.batch)
    side = Side(made.model, _declared_shapes(made))
    met = fit(graph, headers_of(arrays))
    found = {
        key: arrays[key].reshape(type.shape).astype(type.dtype, copy=False)
        for key, type in made.declared.items()
        if key in met.fitting
    }
    return Form(made, side, align(side, other.side), found, len(found), met.wrong)


def _declared_shapes(made: Skeleton) -> dict[str, Shape]:
    """Shapes as the skeleton states them; 1 for a free batch, and those of weights."""
    graph = made.model.graph
    found = {
        item.name: tuple(dim.dim_value or 1 for dim in item.type.tensor_type.shape.dim)
        for item in (*graph.input, *graph.value_info, *graph.output)
    }
    return found | {key: type.shape for key, type in made.declared.items()}


def _unfilled(form: Form, other: Other) -> ArchError:
    pairs, nodes = len(form.alignment.pairs), form.alignment.nodes
    notes = (
        f"missing: {listed(form.missing)}",
        *([f"misshapen: {listed(list(map(str, form.wrong)))}"] if form.wrong else []),
        f"of {nodes[0]} layers of the spec and {nodes[1]} of the file, {pairs} go together",
    )
    help = "rename its weights by `--map`, or give the same weights by `--weights`"
    raise error("weights-mismatch", f"`{other.path}` does not have all weights of the network", notes=notes, help=help)


def _output_pairs(form: Form, other: Other) -> list[tuple[str, str]]:
    """Our output and the tensor that it is held against: an output of that name, what the layers say, one of its shape.

    Where the other file goes on, with a softmax say, it is what our last layer is to them. Raises `ArchError`.
    """
    partners = {mine.output[0]: theirs.output[0] for mine, theirs in form.alignment.pairs}
    theirs = {item.name for item in other.model.graph.output}
    found: list[tuple[str, str]] = []
    for item in form.skeleton.model.graph.output:
        maker = form.side.made_by(item.name)
        alike = (name for name in theirs if _same(form.side.shapes[item.name], other.side.shapes.get(name)))
        partner = item.name if item.name in theirs else partners.get(maker.output[0]) if maker else None
        partner = partner or next((name for name in alike if name not in dict(found).values()), None)
        if partner is None:
            note = f"its outputs: {', '.join(sorted(theirs))}"
            raise error("against-mismatch", f"`{other.path}` has nothing like the output `{item.name}`", notes=(note,))
        found.append((item.name, partner))
    return found


def _same(ours: Shape, theirs: Shape | None) -> bool:
    return theirs is not None and ours[1:] == theirs[1:]


# Comparing ------------------------------------------------------------------------------------------------------------


def _compare(model: ModelProto, other: Other, pairs: list[tuple[str, str]], feed: Arrays, batch: int) -> list[Compared]:
    ours = _run(model, [mine for mine, _ in pairs], feed, "the network")
    renamed = {other.names[name]: array for name, array in feed.items() if name in other.names}
    theirs = _run(other.model, [their for _, their in pairs], renamed, str(other.path))
    return [
        Compared(mine, their, difference(batch, mine, theirs[their], ours[mine]))
        for mine, their in pairs
        if ours[mine].size == theirs[their].size
    ]


def _run(model: ModelProto, tensors: Sequence[str], feed: Arrays, name: str) -> Arrays:
    session = open_session(_showing(model, tensors))
    taken = [item.name for item in session.get_inputs()]
    arrays = run_once(session, {key: feed[key] for key in taken}, name)
    return dict(zip((item.name for item in session.get_outputs()), arrays, strict=True))


def _showing(model: ModelProto, tensors: Sequence[str]) -> bytes:
    """The model with these tensors as its outputs, or as it is."""
    shown = ModelProto()
    shown.CopyFrom(model)
    known = {item.name for item in model.graph.output}
    for name in dict.fromkeys(tensors):
        if name not in known:
            shown.graph.output.add(name=name)
    content: bytes = shown.SerializeToString()
    return content


def _first(result: AgainstResult, side: Side) -> Compared | None:
    """The first layer that parts, but for those after which all agree again: they are only written differently.

    A convolution that took over its batch norm gives what the norm gave.
    """
    parted = {item.ours: result.parted(item) for item in result.layers}
    readers: dict[str, list[NodeProto]] = {}
    for node in side.model.graph.node:
        for tensor in node.input:
            readers.setdefault(tensor, []).append(node)
    for item in result.layers:
        after = _next_compared(item.ours, readers, parted)
        if parted[item.ours] and (not after or any(parted[name] for name in after)):
            return item
    return None


def _next_compared(tensor: str, readers: Mapping[str, list[NodeProto]], parted: Mapping[str, bool]) -> set[str]:
    """The compared tensors behind this one, with none between."""
    found: set[str] = set()
    seen, waiting = {tensor}, [tensor]
    while waiting:
        for node in readers.get(waiting.pop(), []):
            new = [name for name in node.output if name not in seen]
            seen.update(new)
            found.update(name for name in new if name in parted)
            waiting += [name for name in new if name not in parted]
    return found
