"""The report as data: what every format prints, and the JSON of `archdsl report --format json`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, field, replace
from fractions import Fraction
from typing import Any

from archdsl.emit.report.settings import plain_arguments, settings
from archdsl.graph.costs import Costs, LayerCost, StageCost, Stride, Totals, TrainingTotals, costs
from archdsl.graph.counting import COUNTING_RULE, counting_rule
from archdsl.graph.graph import CheckedGraph, Layer, Verdict
from archdsl.graph.recipe import TERMS, Term
from archdsl.graph.sizes import nominal
from archdsl.language.records import Record, record
from archdsl.ops.base import TensorType
from archdsl.ops.dims import Dim, symbolic

SCHEMA = "archdsl.report/1"

Shape = tuple[int, ...]


@record
class Port(Record):
    """An input or output of the deployed network; the shape is without the batch."""

    name: str
    dtype: str
    shape: Shape


@record
class LayerRow(Record):
    """One layer. Where `shared`, its weights are counted in another row and its counts of them are 0 here."""

    path: str
    op: str
    line: int
    inputs: tuple[str, ...]
    training_only: bool
    output_shapes: tuple[Shape, ...]
    params: int
    buffers: int
    macs: int
    flops: int
    receptive_field: tuple[int, ...]
    effective_stride: tuple[Stride, ...]
    weights: tuple[tuple[str, Shape], ...]
    settings: str
    shared: bool


@record
class StageRow(Record):
    """All layers under a path. `kind` is the block it instantiates, `settings` its arguments, or `kind` its parts.

    With `shared`, some of its weights are counted in an earlier stage too.
    """

    path: str
    layers: int
    output_shapes: tuple[Shape, ...]
    params: int
    macs: int
    training_only: bool
    kind: str
    settings: str
    receptive_field: tuple[int, ...]
    shared: bool


@record
class ClaimRow(Record):
    """A stated figure and the computed one, for one sample."""

    kind: str
    path: str
    quantity: str
    stated: str
    actual: int | tuple[Stride, ...] | None
    holds: bool
    source: str | None
    because: str | None


@record
class Report(Record):
    """Everything a report says. MACs, FLOPs and activation bytes are for `batch` samples, claims for one.

    `symbols` are the open sizes with the nominal ones that everything is counted at; shapes keep their expressions.

    `stages` are the graph's; `groups` adds every other path that has layers below it, "" apart.
    """

    network: str
    title: str | None
    source: str
    parameters: Mapping[str, object]
    overridden: tuple[str, ...]
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    totals: Totals
    training_totals: TrainingTotals
    layers: tuple[LayerRow, ...]
    stages: tuple[StageRow, ...]
    groups: Mapping[str, StageRow]
    claims: tuple[ClaimRow, ...]
    batch: int = 1
    rule: str = COUNTING_RULE
    symbols: Mapping[str, int] = field(default_factory=dict)
    recipe: Mapping[str, object] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON data; shapes begin with "N", or with the batch where counts are for several samples."""
        return {
            "schema": SCHEMA,
            "network": self.network,
            "source": self.source,
            **({"symbols": dict(self.symbols)} if self.symbols else {}),
            "parameters": {name: _plain(value) for name, value in self.parameters.items()},
            "inputs": [self._port(port) for port in self.inputs],
            "outputs": [self._port(port) for port in self.outputs],
            "totals": asdict(self.totals),
            "training_totals": asdict(self.training_totals),
            "layers": [self._layer(row) for row in self.layers],
            "stages": [self._stage(row) for row in self.stages],
            "claims": [_claim(row) for row in self.claims],
            **({"recipe": {name: _recipe(value) for name, value in self.recipe.items()}} if self.recipe else {}),
        }

    def _shape(self, shape: Shape) -> list[int | str]:
        sizes = map(_plain, shape) if symbolic(shape) else shape
        return ["N" if self.batch == 1 else self.batch, *sizes]

    def _port(self, port: Port) -> dict[str, Any]:
        return {"name": port.name, "dtype": port.dtype, "shape": self._shape(port.shape)}

    def _layer(self, row: LayerRow) -> dict[str, Any]:
        return {
            "path": row.path,
            "op": row.op,
            "line": row.line,
            "inputs": list(row.inputs),
            "training_only": row.training_only,
            "output_shapes": [self._shape(shape) for shape in row.output_shapes],
            "params": row.params,
            "buffers": row.buffers,
            "macs": row.macs,
            "flops": row.flops,
            "receptive_field": list(row.receptive_field),
            "effective_stride": [_plain(stride) for stride in row.effective_stride],
            "weights": [[name, list(shape)] for name, shape in row.weights],
        }

    def _stage(self, row: StageRow) -> dict[str, Any]:
        shapes = [self._shape(shape) for shape in row.output_shapes]
        return {"path": row.path, "output_shapes": shapes, "params": row.params, "macs": row.macs}

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        from archdsl.emit.report.page import fragment

        return fragment(self)


def report(graph: CheckedGraph, batch: int = 1, counted: Costs | None = None) -> Report:
    """The report of a network; counts of work and memory are multiplied by `batch`. `counted`: its costs, if known."""
    cost = counted or costs(graph)
    layers = tuple(_layer_row(layer, cost.layers[layer.path], batch) for layer in graph.layers)
    groups = _groups(graph, cost, layers, batch)
    empty = [_stage_row(cost.stages[path], [], ("", ""), batch) for path in graph.stages if path not in groups]
    return Report(
        network=graph.name,
        title=(graph.title or graph.docstring or "").strip().partition("\n")[0] or None,
        source=graph.source,
        parameters=dict(graph.parameters),
        overridden=graph.overridden,
        inputs=tuple(Port(node.path, node.type.dtype, node.type.shape) for node in graph.inputs),
        outputs=tuple(Port(o.name, o.type.dtype, o.type.shape) for o in graph.deployed_outputs),
        totals=_times(cost.totals, batch),
        training_totals=replace(cost.training_totals, macs=cost.training_totals.macs * batch),
        layers=layers,
        stages=(*(row for path, row in groups.items() if path in graph.stages), *empty),
        groups=groups,
        claims=tuple(_claim_row(verdict) for verdict in graph.verdicts),
        batch=batch,
        symbols=nominal(graph),
        recipe=graph.recipe,
        rule=counting_rule(graph.layers),
    )


def _times(totals: Totals, batch: int) -> Totals:
    return replace(
        totals,
        macs=totals.macs * batch,
        flops=totals.flops * batch,
        peak_activation_bytes=totals.peak_activation_bytes * batch,
        training_activation_bytes=totals.training_activation_bytes * batch,
    )


def _layer_row(layer: Layer, cost: LayerCost, batch: int) -> LayerRow:
    return LayerRow(
        path=layer.path,
        op=layer.op.name,
        line=layer.span.line,
        inputs=tuple(ref.name for ref in layer.inputs),
        training_only=layer.training_only,
        output_shapes=_shapes(layer.output_types),
        params=0 if cost.shared else cost.params,
        buffers=0 if cost.shared else cost.buffers,
        macs=cost.macs * batch,
        flops=cost.flops * batch,
        receptive_field=cost.receptive_field,
        effective_stride=cost.effective_stride,
        weights=tuple((weight.name, weight.shape) for weight in layer.weights),
        settings=settings(layer),
        shared=cost.shared,
    )


def _shapes(types: Sequence[TensorType]) -> tuple[Shape, ...]:
    return tuple(type.shape for type in types)


def _groups(graph: CheckedGraph, cost: Costs, layers: Sequence[LayerRow], batch: int) -> dict[str, StageRow]:
    """Rows of every stage and every path with layers below it, in the order of their first layers, parents first."""
    members: dict[str, list[LayerRow]] = {}
    for row in layers:
        for path in _chain(row.path):
            if path in cost.stages:
                members.setdefault(path, []).append(row)
    return {
        path: _stage_row(cost.stages[path], rows, _kind(graph, path, rows), batch) for path, rows in members.items()
    }


def _shares(cost: StageCost, rows: list[LayerRow]) -> bool:
    """Some of the stage's weights are not counted in its own layers, but in others that share them."""
    return sum(row.params for row in rows if row.training_only == cost.training_only) < cost.params


def _chain(path: str) -> Iterator[str]:
    for end, char in enumerate(path):
        if char == ".":
            yield path[:end]
    yield path


def _kind(graph: CheckedGraph, path: str, rows: list[LayerRow]) -> tuple[str, str]:
    """Block and arguments, or the kinds of the parts, `3 bottleneck` or `maxpool + lrn`, where they are few."""
    scope = graph.scopes.get(path)
    if scope is not None and scope.block is not None:
        return scope.block, plain_arguments(scope.arguments)
    parts = Counter(_part_kind(graph, path, row) for row in {_part(path, row): row for row in rows}.values())
    if None in parts or len(parts) > 3:
        return f"{len(rows)} layers", ""
    return " + ".join(f"{count} {kind}" if count > 1 else f"{kind}" for kind, count in parts.items()), ""


def _part(path: str, row: LayerRow) -> str:
    """The path of the part of a stage that a layer in it belongs to, one level below; the layer's own at the stage."""
    if row.path == path:
        return path
    return f"{path}.{row.path[len(path) + 1 :].partition('.')[0]}"


def _part_kind(graph: CheckedGraph, path: str, row: LayerRow) -> str | None:
    part = _part(path, row)
    scope = graph.scopes.get(part)
    return row.op if part == row.path else scope.block if scope is not None else None


def _stage_row(cost: StageCost, rows: list[LayerRow], kind: tuple[str, str], batch: int) -> StageRow:
    return StageRow(
        path=cost.path,
        layers=len(rows),
        output_shapes=_shapes(cost.types),
        params=cost.params,
        macs=cost.macs * batch,
        training_only=cost.training_only,
        kind=kind[0],
        settings=kind[1],
        receptive_field=cost.receptive_field,
        shared=_shares(cost, rows),
    )


def _claim_row(verdict: Verdict) -> ClaimRow:
    claim = verdict.claim
    return ClaimRow(
        claim.kind, claim.path, claim.quantity, claim.stated, verdict.actual, verdict.holds, claim.source, claim.because
    )


def _claim(row: ClaimRow) -> dict[str, Any]:
    return {
        "kind": row.kind,
        "path": row.path,
        "quantity": row.quantity,
        "stated": row.stated,
        "actual": _plain(row.actual),
        "holds": row.holds,
        "source": row.source,
        "because": row.because,
    }


def _recipe(value: object) -> Any:
    """A number, a term of the recipe with its arguments (a loss with its tensors and weight), or a list of terms."""
    if isinstance(value, tuple):
        return [_recipe(item) for item in value]
    if not isinstance(value, Term):
        return value
    arguments = {name: _plain(argument) for name, argument in value.arguments}
    loss = {"tensors": list(value.tensors), "weight": value.weight} if value.name in TERMS["loss"] else {}
    return {"name": value.name, "arguments": arguments, **loss}


def _plain(value: object) -> Any:
    """A value of the language as JSON data; strides below 1 become floating-point numbers."""
    if isinstance(value, Dim):
        return str(value)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Fraction):
        return float(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, Sequence):
        return [_plain(item) for item in value]
    return str(value)
