"""Short ways to graphs whose costs are worked out by hand."""

from __future__ import annotations

from dataclasses import replace

from hand_built import NOWHERE, image, layer, network

from archdsl.graph.graph import CheckedGraph, Input, Layer, Stage, TensorRef
from archdsl.ops.base import Op

__all__ = ["chain", "graph_of", "image", "layer"]


def graph_of(*items: Input | Layer, outputs: tuple[Layer, ...], stages: dict[str, Layer] | None = None) -> CheckedGraph:
    """The network of these nodes; `stages` says which layer a label ends in."""
    labels = {
        path: Stage(path, TensorRef(end.path), end.output_types[0], NOWHERE, end.training_only)
        for path, end in (stages or {}).items()
    }
    return replace(network(list(items), **{output.path: output for output in outputs}), stages=labels)


def chain(source: Input, *ops: Op, prefix: str = "") -> list[Layer]:
    """Layers `prefix0`, `prefix1`, ... one after the other."""
    layers: list[Layer] = []
    for index, op in enumerate(ops):
        layers.append(layer(f"{prefix}{index}", op, layers[-1] if layers else source))
    return layers
