"""Constant `scale` into the layer before or after."""

from __future__ import annotations

from archdsl.graph.graph import CheckedGraph
from archdsl.ops.shaping import Scale
from archdsl.passes.channelwise import fold
from archdsl.passes.draft import Draft, Pair, Weights


def fold_scale(graph: CheckedGraph, weights: Weights) -> Pair:
    """`factor * x + offset` into the weights of the layer before, else of the one after; a scale by 1 disappears.

    That layer is a convolution, a linear layer, a batch norm or an affine, nothing else reads the tensor between, and
    its weights are its own; one after an `offset` must not pad. Before: no training-only layers. After: the same
    function but for rounding.
    """
    draft = Draft(graph, weights)
    for layer in graph.layers:
        if not isinstance(layer.op, Scale):
            continue
        if layer.op.factor == 1 and layer.op.offset == 0:
            draft.remove(layer)
        else:
            fold(draft, layer)
    return draft.finish()
