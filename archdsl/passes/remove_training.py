"""Leave out what exists in training only."""

from __future__ import annotations

from dataclasses import replace

from archdsl.graph.graph import CheckedGraph, Input
from archdsl.passes.draft import Draft, Pair, Weights, needed_weights
from archdsl.weights.lazy import makers


def remove_training(graph: CheckedGraph, weights: Weights) -> Pair:
    """Training-only layers and outputs, inputs that nothing else reads, and ops that do nothing here, as dropout.

    Before: any checked graph. After: every layer and output is deployed, no op is an `identity`, and all that is left
    computes what it computed. An input that nobody ever read stays, since it is part of the interface.
    """
    draft = Draft(*_deployed(graph, weights))
    for layer in draft.layers():
        if layer.op.identity:
            draft.remove(layer)
    return draft.finish()


def _deployed(graph: CheckedGraph, weights: Weights) -> Pair:
    trained = [layer for layer in graph.layers if layer.training_only]
    gone = {layer.path for layer in trained} | _inputs_of(graph)
    if not gone and len(graph.deployed_outputs) == len(graph.outputs):
        return graph, weights
    smaller = replace(
        graph,
        nodes={path: node for path, node in graph.nodes.items() if path not in gone},
        outputs=tuple(graph.deployed_outputs),
        stages={path: stage for path, stage in graph.stages.items() if stage.result.path not in gone},
        claims=(),
        verdicts=(),
    )
    return smaller, needed_weights(smaller, makers(weights))


def _inputs_of(graph: CheckedGraph) -> set[str]:
    """Inputs that training-only parts read, and nothing else."""
    deployed = {ref.path for layer in graph.deployed for ref in layer.inputs}
    deployed |= {output.tensor.path for output in graph.deployed_outputs}
    trained = {ref.path for layer in graph.layers if layer.training_only for ref in layer.inputs}
    return {path for path in trained - deployed if isinstance(graph.nodes[path], Input)}
