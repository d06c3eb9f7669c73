"""Batch norm and affine into the layer before or after."""

from __future__ import annotations

from archdsl.graph.graph import CheckedGraph
from archdsl.ops.channels import Affine
from archdsl.ops.normalization import BatchNorm
from archdsl.passes.channelwise import fold
from archdsl.passes.draft import Draft, Pair, Weights


def fold_batchnorm(graph: CheckedGraph, weights: Weights) -> Pair:
    """Batch norm, by its stored statistics, and affine into the weights of the layer before, else of the one after.

    With a = weight / sqrt(var + eps), a layer before it gets weight * a and (bias - mean) * a + the norm's bias; one
    after it gets its weight times a on the input's side, which needs an unpadded input. That layer is a convolution,
    a linear layer or another norm or affine, nothing else reads the tensor between, and its weights are its own.
    Before: no training-only layers. After: the same function but for rounding; a convolution that took one over has a
    bias; a norm after a merge, an activation or a pooling stays.
    """
    draft = Draft(graph, weights)
    for kind in (Affine, BatchNorm):  # an affine beside a norm goes into it, where it costs nothing
        for layer in graph.layers:
            if isinstance(layer.op, kind):
                fold(draft, draft.layer(layer.path))
    return draft.finish()
