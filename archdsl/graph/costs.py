"""What a network costs: parameters, operations, memory, depth and receptive fields, for one sample.

Everything is an exact integer derived from the ops' own `weights`, `macs`, `elementwise_ops` and
`window`; `archdsl.graph.counting` says what is counted. `costs` walks the graph a constant number of times.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields, replace
from itertools import zip_longest
from typing import Any

from archdsl.graph import mixing, resampled  # noqa: F401 (their rules of receptive fields)
from archdsl.graph.graph import Graph, Layer, TensorRef
from archdsl.graph.layer_cost import Figures, LayerCost, Stride, all_figures, sharing, weigh
from archdsl.graph.memory import Memory, memory
from archdsl.graph.receptive import Field, source, through
from archdsl.graph.sizes import at, nominal
from archdsl.graph.tally import Tally, tallies
from archdsl.language.records import Record, record
from archdsl.ops.base import TensorType

__all__ = [
    "QUANTITIES",
    "Costs",
    "LayerCost",
    "StageCost",
    "Stride",
    "Totals",
    "TrainingTotals",
    "costs",
    "quantity",
]


@record
class StageCost(Record):
    """All layers at or under a path: the deployed ones, unless every one is training-only.

    `types` are those of the result (the outputs where `path` is ""), and `activations` its elements;
    receptive field and stride are the result's (the largest of several outputs). Weights that are
    shared within the stage count once. `peak_activation_bytes` is the most that is held while a layer
    of the stage runs, `training_activation_bytes` what the stage keeps for the backward pass;
    `training_params` and `training_macs` include training-only layers.
    """

    path: str
    types: tuple[TensorType, ...]
    training_only: bool
    params: int
    trainable_params: int
    buffers: int
    weights: int
    biases: int
    weight_bytes: int
    macs: int
    flops: int
    activations: int
    layers: int
    depth: int
    peak_activation_bytes: int
    training_activation_bytes: int
    training_params: int
    training_macs: int
    receptive_field: tuple[int, ...]
    effective_stride: tuple[Stride, ...]


@record
class Totals(Record):
    """The deployed network; only `training_activation_bytes` is of the training graph."""

    params: int
    trainable_params: int
    buffers: int
    macs: int
    flops: int
    weight_bytes: int
    peak_activation_bytes: int
    training_activation_bytes: int
    layers: int
    depth: int


@record
class TrainingTotals(Record):
    """The whole network, training-only parts included."""

    params: int
    macs: int


@record
class Costs(Record):
    """Layers by path in topological order; stages by path: the graph's, every path with layers below it, and ""."""

    layers: dict[str, LayerCost]
    stages: dict[str, StageCost]
    totals: Totals
    training_totals: TrainingTotals


#: What a claim may state.
QUANTITIES = ("shape", *(f.name for f in fields(StageCost) if f.name not in ("path", "types", "training_only")))

#: What modules have besides their uses.
OWNED = ("params", "trainable_params", "buffers", "weights", "biases", "weight_bytes")

#: Receptive field and effective stride by spatial axis of the network's input.
Extent = tuple[tuple[int, ...], tuple[Stride, ...]]
#: Extents of a node's results, by its path.
Extents = dict[str, tuple[Extent, ...]]
End = tuple[TensorRef, TensorType]


def costs(graph: Graph) -> Costs:
    """All costs of an elaborated graph, in time linear in its layers and the length of their paths.

    Open sizes count as their nominal ones; only the types of stages keep their expressions.
    """
    drawn = at(graph, nominal(graph)) if graph.symbols else graph
    layers = drawn.layers
    figures = all_figures(layers)
    extents = _extents(drawn, layers, figures)
    held = memory(drawn, layers)
    shared = sharing(layers)
    by_path = {
        layer.path: _layer_cost(layer, figures[layer.path], extents[layer.path][0], held, layer.path in shared)
        for layer in layers
    }
    counts = tallies(layers, by_path, graph.stages)
    ends = {path: [(ref, graph.type_of(ref)) for ref in refs] for path, refs in _ends(graph, counts).items()}
    stages = {path: _stage_cost(path, counts.get(path, Tally()), end, extents) for path, end in ends.items()}
    stages[""] = _with_inputs(stages[""], held)
    totals = Totals(**{f.name: getattr(stages[""], f.name) for f in fields(Totals)})
    return Costs(by_path, stages, totals, TrainingTotals(stages[""].training_params, stages[""].training_macs))


def quantity(graph: Graph, costs: Costs, path: str, name: str) -> int | tuple[Stride, ...]:
    """One of `QUANTITIES` of the stage, layer or module at `path`, "" for the network; shapes are without the batch.

    Raises KeyError for a path that has none of them, ValueError for the shape of a network with several outputs
    and for what only the uses of a module have.
    """
    assert name in QUANTITIES, name
    if path not in costs.stages and path not in costs.layers:
        return _of_module(graph, costs, path, name)
    stage = costs.stages[path] if path in costs.stages else _as_stage(graph.layer(path), costs.layers[path])
    if name != "shape":
        value: int | tuple[Stride, ...] = getattr(stage, name)
        return value
    if len(stage.types) > 1:
        names = ", ".join(f"`{output.name}`" for output in graph.deployed_outputs)
        raise ValueError(f"the network has several outputs ({names}), so it has no one shape")
    return stage.types[0].shape


def _of_module(graph: Graph, costs: Costs, path: str, name: str) -> int:
    """What a declared module owns, counted once however often it is used."""
    owned = {layer.module: layer for layer in graph.layers if f"{layer.module}.".startswith(f"{path}.")}
    if not owned:
        raise KeyError(path)
    if name not in OWNED:
        raise ValueError(f"`{path}` is a module: only its uses have `{name}`")
    return sum(getattr(costs.layers[layer.path], name) for layer in owned.values())


def _as_stage(layer: Layer, cost: LayerCost) -> StageCost:
    """A layer alone, for questions that are put to stages."""
    same = {f.name: getattr(cost, f.name) for f in fields(StageCost) if hasattr(cost, f.name)}
    return StageCost(
        types=layer.output_types[:1],
        training_only=layer.training_only,
        activations=int(layer.output_types[0].elements),
        layers=1,
        depth=int(layer.op.counts_depth),
        peak_activation_bytes=cost.live_bytes,
        training_activation_bytes=cost.kept_bytes,
        training_params=cost.params,
        training_macs=cost.macs,
        **same,
    )


def _extents(graph: Graph, layers: list[Layer], figures: dict[str, Figures]) -> Extents:
    seen: dict[str, tuple[Field, ...]] = {input.path: (source(input.type),) for input in graph.inputs}
    for layer in layers:
        inputs = [seen[ref.path][ref.index] for ref in layer.inputs]
        seen[layer.path] = through(layer, inputs, figures[layer.path].window)
    known = {id(field): _extent(field) for fields in seen.values() for field in fields}
    return {path: tuple(known[id(field)] for field in fields) for path, fields in seen.items()}


def _extent(field: Field) -> Extent:
    return tuple(axis.size for axis in field), tuple(_integral(axis.stride) for axis in field)


def _integral(number: Stride) -> Stride:
    return int(number) if number == int(number) else number


def _layer_cost(layer: Layer, figures: Figures, extent: Extent, held: Memory, shared: bool) -> LayerCost:
    weights = weigh(layer.weights)
    return LayerCost(
        path=layer.path,
        params=weights.params,
        trainable_params=weights.params,
        buffers=weights.buffers,
        weights=weights.params - weights.biases,
        biases=weights.biases,
        weight_bytes=weights.bytes,
        macs=figures.macs * layer.repeats,
        flops=figures.flops * layer.repeats,
        live_bytes=held.live[layer.path],
        kept_bytes=held.kept[layer.path],
        receptive_field=extent[0],
        effective_stride=extent[1],
        shared=shared,
    )


def _ends(graph: Graph, counts: dict[str, Tally]) -> dict[str, list[TensorRef]]:
    """What each path results in: its last layer's first result, for a stage what it names, for "" the outputs."""
    lasts = {path: tally.last for path, tally in counts.items()}
    ends = {path: [TensorRef(last.path)] for path, last in lasts.items() if last is not None}
    ends |= {path: [stage.result] for path, stage in graph.stages.items()}
    ends[""] = [output.tensor for output in graph.deployed_outputs]
    return ends


def _stage_cost(path: str, tally: Tally, end: list[End], extents: Extents) -> StageCost:
    found = [extents[ref.path][ref.index] for ref, _ in end]
    return StageCost(
        path=path,
        types=tuple(type for _, type in end),
        training_only=tally.training_only,
        activations=int(sum(type.elements for _, type in end)),
        training_activation_bytes=tally.kept,
        training_params=tally.deployed.params + tally.training.params,
        training_macs=tally.deployed.macs + tally.training.macs,
        receptive_field=_largest(sizes for sizes, _ in found),
        effective_stride=_largest(strides for _, strides in found),
        **tally.own.figures(),
    )


def _largest(numbers: Iterable[tuple[int, ...]] | Iterable[tuple[Stride, ...]]) -> tuple[Any, ...]:
    """The largest of each axis, over tensors that may have different numbers of them."""
    return tuple(map(max, zip_longest(*numbers, fillvalue=0)))


def _with_inputs(network: StageCost, held: Memory) -> StageCost:
    """The whole network also holds its inputs, before its first layer and until the backward pass."""
    return replace(
        network,
        peak_activation_bytes=max(network.peak_activation_bytes, held.start),
        training_activation_bytes=network.training_activation_bytes + held.inputs,
    )
