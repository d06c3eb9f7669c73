"""A profile by the lines of the spec that it was made from."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any

from archdsl.graph.costs import costs
from archdsl.graph.graph import CheckedGraph
from archdsl.language.source import Source, Span
from archdsl.runtime.profile import Profile

SCHEMA = "archdsl.profile/1"
LAYOUT = "(layout)"  # what onnxruntime adds: changes of layout, copies
Place = tuple[Source, int]


@dataclass(frozen=True, slots=True)
class Cost:
    """Milliseconds of one run, MACs of the batch, and bytes read and written."""

    ms: float = 0.0
    macs: int = 0
    bytes: int = 0

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.ms + other.ms, self.macs + other.macs, self.bytes + other.bytes)


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a source file. `own` is the cost of the layers that it states itself, in all their instances; `whole`
    adds those of the blocks that it calls. `layers` are the paths behind `own`."""

    source: Source
    number: int
    own: Cost
    whole: Cost
    layers: tuple[str, ...]

    @property
    def text(self) -> str:
        return self.source.line(self.number).strip()


@dataclass(frozen=True)
class Attributed:
    """Every kernel's cost is either in `layers` or in `layout`; the lines' own costs add up to the layers'."""

    layers: dict[str, Cost]
    layout: Cost
    lines: tuple[Line, ...]

    @property
    def total(self) -> Cost:
        return sum(self.layers.values(), self.layout)


def attributed(profile: Profile, graph: CheckedGraph) -> Attributed:
    """The kernels' costs by layer and by line; a fused kernel's time and bytes are those of its main layer.

    MACs are counted as reports do, so they are a layer's own, whatever kernel it runs in.
    """
    counted = costs(graph).layers
    layers = {layer.path: Cost(macs=counted[layer.path].macs * profile.batch) for layer in graph.deployed}
    ends = {output.name: output.tensor.path for output in graph.outputs}
    layout = Cost()
    for kernel in profile.kernels:
        cost = Cost(kernel.ms, 0, kernel.bytes)
        # a helper node is called `path/word`, the copy of an output after that
        path = next((name.partition("/")[0] for name in kernel.nodes), "")
        path = path if path in layers else ends.get(path, "")
        if path in layers:
            layers[path] += cost
        else:
            layout += cost
    return Attributed(layers, layout, tuple(_lines(graph, layers)))


def _lines(graph: CheckedGraph, by_layer: dict[str, Cost]) -> Iterable[Line]:
    """Lines that have layers, in the order in which their files and layers first appear."""
    found: dict[Place, Line] = {}
    paths: dict[Place, list[str]] = defaultdict(list)
    for layer in graph.deployed:
        cost, place = by_layer[layer.path], _place(layer.span)
        paths[place].append(layer.path)
        # a line that calls a block in itself, by a loop say, meets a layer once
        for here in dict.fromkeys([*(_place(frame.span) for frame in layer.stack), place]):
            line = found.setdefault(here, Line(*here, Cost(), Cost(), ()))
            own = line.own + cost if here == place else line.own
            found[here] = replace(line, own=own, whole=line.whole + cost)
    for place, line in found.items():
        yield replace(line, layers=tuple(paths[place]))


def _place(span: Span) -> Place:
    return span.source, span.line


def to_dict(profile: Profile, found: Attributed | None) -> dict[str, Any]:
    """The JSON of `archdsl profile --format json`; lines and layers are empty where there is no spec."""
    return {
        "schema": SCHEMA,
        **asdict(profile),
        "kernels_ms": profile.kernels_ms,
        "between_ms": profile.between_ms,
        "lines": [_line(line) for line in found.lines] if found else [],
        "layers": [{"path": path, **asdict(cost)} for path, cost in found.layers.items()] if found else [],
        "layout": asdict(found.layout) if found else None,
    }


def _line(line: Line) -> dict[str, Any]:
    return {
        "file": line.source.name,
        "line": line.number,
        "text": line.text,
        "own": asdict(line.own),
        "whole": asdict(line.whole),
        "layers": list(line.layers),
    }
