"""A network with open sizes as it is at given ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypeVar

from archdsl.graph.graph import Graph, Input, Layer
from archdsl.ops.base import Op, TensorType, Weight, parameters
from archdsl.ops.dims import Dim

AnyGraph = TypeVar("AnyGraph", bound=Graph)
Sizes = Mapping[str, int]


def nominal(graph: Graph) -> dict[str, int]:
    """The size of each symbol that figures are counted at."""
    return {symbol.name: symbol.nominal for symbol in graph.symbols}


def at(graph: AnyGraph, sizes: Sizes) -> AnyGraph:
    """The same network with plain numbers for sizes: `sizes` has one for each of its symbols."""
    if not graph.symbols:
        return graph
    return replace(
        graph,
        nodes={path: _node_at(node, sizes) for path, node in graph.nodes.items()},
        outputs=tuple(replace(output, type=_at(output.type, sizes)) for output in graph.outputs),
        stages={path: replace(stage, type=_at(stage.type, sizes)) for path, stage in graph.stages.items()},
        symbols=(),
    )


def _node_at(node: Input | Layer, sizes: Sizes) -> Input | Layer:
    if isinstance(node, Input):
        return replace(node, type=_at(node.type, sizes))
    types = {"input_types": _at(node.input_types, sizes), "output_types": _at(node.output_types, sizes)}
    fixed = {"op": _at(node.op, sizes), "weights": _at(node.weights, sizes), "repeats": _at(node.repeats, sizes)}
    return replace(node, **fixed, **types)


def _at(value: Any, sizes: Sizes) -> Any:
    """Tuples, types, weights and ops with numbers in place of sizes; everything else as it is."""
    if isinstance(value, Dim):
        return value.at(sizes)
    if isinstance(value, tuple):
        return tuple(_at(item, sizes) for item in value)
    if isinstance(value, TensorType | Weight):
        return replace(value, shape=_at(value.shape, sizes))
    if isinstance(value, Op):
        names = (field.name for field in parameters(type(value)))
        return type(value)(**{name: _at(getattr(value, name), sizes) for name in names})
    return value
