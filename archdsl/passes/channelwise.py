"""Who can do the work of a layer that maps each channel on its own, and how the layer then disappears."""

from __future__ import annotations

from archdsl.graph.graph import Layer, TensorRef
from archdsl.ops.convolution import Conv, Depthwise
from archdsl.ops.linear import Linear
from archdsl.ops.transposed import Deconv
from archdsl.passes.absorb import Host, Map, follow, map_of, precede
from archdsl.passes.draft import Draft
from archdsl.weights.stored import is_plain


def fold(draft: Draft, layer: Layer) -> None:
    """Let what makes the layer's input do its work, else what reads its result; leave it where neither can.

    Nothing else may read the tensor between the two, and nobody else may have the weights that change.
    """
    does, source, result = map_of(draft, layer), draft.source(layer), TensorRef(layer.path)
    producer, reader = draft.nodes[source.path], draft.only_reader(result)
    if isinstance(producer, Layer) and draft.only_reader(source) and _can_take(draft, layer, producer, does):
        follow(draft, producer, does)
        draft.remove(layer, keeps="result")
    elif reader and _can_take(draft, layer, reader, does) and not (does.shifts and _mixes_zeros(reader)):
        precede(draft, reader, does)
        draft.remove(layer, keeps="input")


def _can_take(draft: Draft, layer: Layer, host: Layer, does: Map) -> bool:
    """A linear layer on a sequence `[T, F]` works on the last axis, everyone else on the first, as the map does."""
    if not isinstance(host.op, Host) or not draft.owns(host) or layer.loop != host.loop or not is_plain(host.op):
        return False
    sequence = isinstance(host.op, Linear) and len(host.input_types[0].shape) > 1
    return does.uniform or not sequence


def _mixes_zeros(host: Layer) -> bool:
    """Some windows see zeros around the input, which the map would have moved (`same_tf`: at another size, maybe)."""
    if isinstance(host.op, Deconv):
        return True
    if not isinstance(host.op, Conv | Depthwise):
        return False
    return host.op.pad == "same_tf" or any(map(any, host.op.window(host.input_types).padding))
