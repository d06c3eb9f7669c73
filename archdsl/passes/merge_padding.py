"""A `pad` of zeros into the convolutions and poolings that read it."""

from __future__ import annotations

from dataclasses import replace

from archdsl.graph.graph import CheckedGraph, Layer, Output, TensorRef
from archdsl.ops.base import Op, ShapeError
from archdsl.ops.convolution import Conv, Depthwise
from archdsl.ops.dims import symbolic
from archdsl.ops.geometry import Pair as Ends
from archdsl.ops.pooling import AvgPool
from archdsl.ops.shaping import Pad
from archdsl.passes.draft import Draft, Pair, Weights


def merge_padding(graph: CheckedGraph, weights: Weights) -> Pair:
    """A border of zeros becomes padding of the convolutions and average poolings that read it, if all of them can.

    Before: no training-only layers. After: the same sums of the same terms, without the larger copy of the tensor.
    A pooling counts the zeros in its mean, as it did. The `pad` stays before one whose windows would lie elsewhere
    (half the kernel is the limit; `ceil` drops other windows, at some size maybe), and before a padding that depends
    on the size (`same_tf`).
    """
    draft = Draft(graph, weights)
    for layer in reversed(graph.layers):  # of two borders in a row, the inner one last
        if isinstance(layer.op, Pad) and layer.op.mode == "zero" and layer.op.value == 0:
            _merge(draft, layer, layer.op)
    return draft.finish()


def _merge(draft: Draft, layer: Layer, pad: Pad) -> None:
    pairs = pad.pairs(layer.input_types)
    found = [(reader, _padded(draft, layer, reader, pairs)) for reader in draft.readers(TensorRef(layer.path))]
    merged = [(reader, op) for reader, op in found if isinstance(reader, Layer) and op is not None]
    if not merged or len(merged) < len(found):
        return
    for reader, op in merged:
        draft.rewrite(replace(reader, input_types=layer.input_types), op, {})
    draft.remove(layer, keeps="input")


def _padded(draft: Draft, layer: Layer, reader: Layer | Output, pairs: tuple[Ends, ...]) -> Op | None:
    """The reader's op with these zeros as well; None where it cannot put them there itself."""
    if not isinstance(reader, Layer) or reader.loop != layer.loop:
        return None
    op = reader.op
    if isinstance(op, Conv | Depthwise) and op.pad != "same_tf" and draft.owns(reader):
        return replace(op, pad=_sum(op.window(reader.input_types).padding, pairs))
    if not isinstance(op, AvgPool) or (op.ceil and symbolic(layer.input_types[0].shape)):
        return None
    own = op.geometry(reader.input_types)
    if own is None or op.pad == "same_tf" or (any(map(any, own.padding)) and not op.count_include_pad):
        return None
    pooled = replace(op, pad=_sum(own.padding, pairs), count_include_pad=True)
    try:
        return pooled if pooled.infer(layer.input_types) == reader.output_types else None
    except ShapeError:
        return None


def _sum(own: tuple[Ends, ...], more: tuple[Ends, ...]) -> tuple[int, ...]:
    """Both paddings together, all begins and then all ends."""
    begins = (a + c for (a, _), (c, _) in zip(own, more, strict=True))
    ends = (b + d for (_, b), (_, d) in zip(own, more, strict=True))
    return (*begins, *ends)
