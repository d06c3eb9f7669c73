"""What one layer costs, from its op's own rules and its weights."""

from __future__ import annotations

from fractions import Fraction

from archdsl.graph.graph import Layer
from archdsl.language.records import Record, record
from archdsl.ops.base import DTYPE_BYTES, Global, Op, TensorType, Weight, Window

Stride = int | Fraction


@record
class LayerCost(Record):
    """One layer, for one sample. Weights are those it applies; with `shared`, another layer counts them in the totals.

    `weights` are the params that are not biases. `receptive_field` and `effective_stride` have one entry
    per spatial axis of the network's input. `live_bytes` are held while the layer runs, its inputs and
    outputs included; `kept_bytes` of results wait for the backward pass in training.
    """

    path: str
    params: int
    trainable_params: int
    buffers: int
    weights: int
    biases: int
    weight_bytes: int
    macs: int
    flops: int
    live_bytes: int
    kept_bytes: int
    receptive_field: tuple[int, ...]
    effective_stride: tuple[Stride, ...]
    shared: bool


@record
class Figures(Record):
    """What an op does on inputs of given types."""

    macs: int
    flops: int
    window: Window | Global | None


@record
class Weighed(Record):
    """Elements of a layer's weights by kind, and the bytes of all of them."""

    params: int = 0
    buffers: int = 0
    biases: int = 0
    bytes: int = 0


def all_figures(layers: list[Layer]) -> dict[str, Figures]:
    """Figures by path; worked out once for equal ops on equal inputs, which repeats are full of."""
    known: dict[tuple[Op, tuple[TensorType, ...]], Figures] = {}
    found = {}
    for layer in layers:
        key = layer.op, layer.input_types
        if key not in known:
            known[key] = _figures(layer)
        found[layer.path] = known[key]
    return found


def _figures(layer: Layer) -> Figures:
    op, inputs, outputs = layer.op, layer.input_types, layer.output_types
    macs = op.macs(inputs, outputs)
    return Figures(macs, 2 * macs + op.elementwise_ops(inputs, outputs), op.window(inputs))


def weigh(weights: tuple[Weight, ...]) -> Weighed:
    """Biases are the params called so: `bias`, `bias_ih_l0`, `in_proj_bias`; of normalizations too."""
    if not weights:
        return Weighed()
    params = sum(weight.elements for weight in weights if weight.trainable)
    biases = sum(weight.elements for weight in weights if weight.trainable and "bias" in weight.name)
    buffers = sum(weight.elements for weight in weights if not weight.trainable)
    return Weighed(params, buffers, biases, sum(weight.elements * DTYPE_BYTES[weight.dtype] for weight in weights))


def sharing(layers: list[Layer]) -> set[str]:
    """Layers whose weights another one counts: the first deployed one of the module, else its first."""
    owners: dict[str, Layer] = {}
    shared = set()
    for layer in sorted(layers, key=lambda layer: layer.training_only):
        owner = owners.setdefault(layer.module or layer.path, layer)
        if layer.weights and owner is not layer:
            shared.add(layer.path)
    return shared
