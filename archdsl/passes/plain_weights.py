"""Weights that are stored in another form than they are used in, as what they are used as."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from archdsl.graph.graph import CheckedGraph, Layer
from archdsl.ops.convolution import Conv
from archdsl.passes.draft import Draft, Pair, Weights
from archdsl.weights.lazy import Make
from archdsl.weights.stored import Stored, is_plain, plain_weight


def plain_weights(graph: CheckedGraph, weights: Weights) -> Pair:
    """Layers with `norm` or `table` become ordinary ones, with the weights that they compute with.

    Before: no training-only layers. After: the same function but for rounding; a length for each channel less, and
    weights of 0 for the pairs of channels that a table does not connect. Weights that several layers share stay shared.
    """
    draft = Draft(graph, weights)
    done: set[str] = set()
    for layer in graph.layers:
        if isinstance(layer.op, Stored) and not is_plain(layer.op):
            draft.rewrite(layer, _plain(layer.op), {} if layer.module in done else _made(draft, layer, layer.op))
            done.add(layer.module)
    return draft.finish()


def _plain(op: Stored) -> Stored:
    return replace(op, norm="none", table=()) if isinstance(op, Conv) else replace(op, norm="none")


def _made(draft: Draft, layer: Layer, op: Stored) -> Mapping[str, Make]:
    makers = {weight.name: draft.maker(layer, weight.name) for weight in layer.weights}
    stored = {name: make for name, make in makers.items() if make is not None}
    channels = layer.input_types[0].shape[0]
    return {"weight": lambda: plain_weight(op, channels, lambda name: stored[name]())}
