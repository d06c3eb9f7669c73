"""Activation memory by liveness: which tensors must exist at the same time, for one sample.

Nothing is computed in place and nothing is reused early: a tensor lives from the layer that makes it
to the last layer that reads it, a view (`Op.view`) in its input's memory, an output to the end.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from archdsl.graph.graph import Graph, Input, Layer, TensorRef
from archdsl.language.records import Record, record

#: One result of one node; plain tuples because millions of them are hashed.
Tensor = tuple[str, int]


@record
class Memory(Record):
    """`live`: bytes held while each layer runs, by its path; training-only layers are taken in the training graph.

    `start` is what holding the inputs takes; `inputs` and `kept` what training keeps of the inputs
    and of each layer's results until the backward pass.
    """

    live: dict[str, int]
    start: int
    inputs: int
    kept: dict[str, int]


def memory(graph: Graph, layers: Sequence[Layer]) -> Memory:
    """Memory of the deployed graph (and of training-only layers) from its `layers` in topological order."""
    deployed = [layer for layer in layers if not layer.training_only]
    inputs = graph.inputs
    live, start = _live(inputs, deployed, [output.tensor for output in graph.deployed_outputs])
    if len(deployed) < len(layers):
        live = _live(inputs, layers, [output.tensor for output in graph.outputs])[0] | live
    kept = {layer.path: 0 if layer.op.view else _bytes(layer) * layer.repeats for layer in layers}
    return Memory(live, start, sum(input.type.bytes for input in inputs), kept)


def _bytes(layer: Layer) -> int:
    return sum(type.bytes for type in layer.output_types)


def _live(inputs: Iterable[Input], layers: Sequence[Layer], outputs: Iterable[TensorRef]) -> tuple[dict[str, int], int]:
    """Bytes live while each layer runs, and before the first one does; inputs that nobody reads take none."""
    last = _last_reads(layers, outputs)
    freed = [0] * (len(layers) + 1)
    held = 0
    for input in inputs:
        if (input.path, 0) in last:
            freed[last[input.path, 0]] += input.type.bytes
            held += input.type.bytes
    start, live = held, {}
    for step, layer in enumerate(layers):
        for index, type in enumerate(() if layer.op.view else layer.output_types):
            freed[last.get((layer.path, index), step)] += type.bytes
            held += type.bytes
        live[layer.path] = held
        held -= freed[step]
    return live, start


def _last_reads(layers: Sequence[Layer], outputs: Iterable[TensorRef]) -> dict[Tensor, int]:
    """Step that reads a tensor or a view of it last; outputs are read after the last layer."""
    owners: dict[Tensor, Tensor] = {}
    last: dict[Tensor, int] = {}
    for step, layer in enumerate(layers):
        for ref in layer.inputs:
            read = ref.path, ref.index
            last[owners.get(read, read)] = step
        if layer.op.view:
            owner = layer.inputs[0].path, layer.inputs[0].index
            owners |= {(layer.path, index): owners.get(owner, owner) for index in range(len(layer.output_types))}
    for ref in outputs:
        read = ref.path, ref.index
        last[owners.get(read, read)] = len(layers)
    return last
