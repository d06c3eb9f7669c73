"""Fully connected layers as convolutions, so that a larger image gives a map of scores."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import numpy as np

from archdsl.graph.graph import CheckedGraph, Layer, TensorRef
from archdsl.ops.base import Op, ShapeError, TensorType
from archdsl.ops.convolution import Conv
from archdsl.ops.linear import Linear
from archdsl.ops.pooling import AdaptiveAvgPool, AdaptiveMaxPool
from archdsl.ops.shaping import Flatten, Reshape
from archdsl.passes.draft import Draft, Pair, Weights
from archdsl.weights.lazy import Make
from archdsl.weights.stored import is_plain

ANY_SIZE = 5  # of a map on which ops are tried


@dataclass
class Region:
    """What depends on one `flatten`: tensors with the types they get, layers with the ops they become."""

    flatten: Layer
    types: dict[TensorRef, TensorType]
    ops: dict[str, Op] = field(default_factory=dict)
    members: set[str] = field(default_factory=set)
    obstacle: Layer | None = None  # what cannot be done for each position of a map

    @property
    def whole(self) -> bool:
        return self.obstacle is None

    @property
    def worthwhile(self) -> bool:
        return self.whole and any(isinstance(op, Conv) for op in self.ops.values())


def fc_to_conv(graph: CheckedGraph, weights: Weights) -> Pair:
    """`flatten -> linear` becomes a convolution as large as the feature map, each `linear` after it one of 1x1.

    Dense evaluation (Sermanet et al., 2014; Simonyan and Zisserman, 2014, section 3.2). Before: no training-only
    layers. After: at the spec's own size the same numbers but for rounding, as `[F, 1, 1]` where they were `[F]`; at a
    larger one (`retype`) a map with the scores of each window. An adaptive pooling before the `flatten` that did
    nothing at the spec's size goes, since it would squeeze the map. All that hangs on a `flatten` stays as it is where
    one layer of it needs a vector (a `reshape`, a `layernorm`) or has another's weights.
    """
    draft = Draft(graph, weights)
    for region in _regions(draft):
        if region.worthwhile:
            _convert(draft, region)
    return draft.finish()


def obstacle(graph: CheckedGraph, path: str) -> Layer | None:
    """The layer that keeps the one at `path` from becoming a convolution, itself perhaps; None if none does."""
    for region in _regions(Draft(graph, {})):
        if path in region.members:
            return region.obstacle
    return graph.layer(path)


def _regions(draft: Draft) -> list[Region]:
    """Every `flatten` of an image, with all that can be reached from it."""
    regions: list[Region] = []
    home: dict[TensorRef, Region] = {}
    for layer in draft.layers():
        results = [TensorRef(layer.path, i) for i in range(len(layer.output_types))]
        entered = {id(home[ref]): home[ref] for ref in layer.inputs if ref in home}
        if not entered and _flattens(layer):
            regions.append(Region(layer, {results[0]: layer.input_types[0]}))
            home[results[0]] = regions[-1]
        for region in entered.values():
            _enter(draft, region, layer, results)
            home |= dict.fromkeys(results, region)
    return regions


def _flattens(layer: Layer) -> bool:
    """It makes a vector of an image."""
    vector = isinstance(layer.op, Flatten | Reshape) and len(layer.output_types[0].shape) == 1
    return vector and 2 <= len(layer.input_types[0].shape) <= 4


def _enter(draft: Draft, region: Region, layer: Layer, results: list[TensorRef]) -> None:
    """Take the layer into the region, or find that the region cannot be converted."""
    region.members.add(layer.path)
    known = all(ref in region.types for ref in layer.inputs)
    types = tuple(region.types[ref] for ref in layer.inputs) if known else ()
    op = _on_map(draft, layer, types) if types and region.whole else None
    if op is None:
        region.obstacle = region.obstacle or layer
        return
    region.ops[layer.path] = op
    region.types |= zip(results, op.infer(types), strict=True)


def _on_map(draft: Draft, layer: Layer, types: tuple[TensorType, ...]) -> Op | None:
    """The op that does at each position of a map what the layer does with a vector; None if there is none.

    An op that looks at one position only treats the channels there as a vector, if it makes channels of them again.
    """
    if layer.loop:
        return None
    if isinstance(layer.op, Linear):
        return _convolution(layer.op, types[0]) if draft.owns(layer) and is_plain(layer.op) else None
    if any(math.prod(value.spatial) != 1 for value in types):
        return None
    op = replace(layer.op, axis=1) if getattr(layer.op, "axis", 1) == -1 else layer.op
    inputs = tuple(_spread(value, len(types[0].spatial)) for value in layer.input_types)
    results = tuple(_spread(value, len(types[0].spatial)) for value in layer.output_types)
    try:
        fits = op.infer(inputs) == results and op.window(inputs) is None
    except ShapeError:
        return None
    return op if fits else None


def _spread(vector: TensorType, axes: int) -> TensorType:
    """A map with such a vector at each position."""
    return TensorType((*vector.shape, *(ANY_SIZE,) * axes), vector.dtype)


def _convolution(op: Linear, value: TensorType) -> Conv:
    return Conv(op.out, value.spatial, bias=op.bias, init=op.init, bias_init=op.bias_init)


def _convert(draft: Draft, region: Region) -> None:
    for path, op in region.ops.items():
        layer = draft.layer(path)
        types = tuple(region.types[ref] for ref in layer.inputs)
        made = {"weight": _kernel(draft, layer, types[0])} if isinstance(op, Conv) else {}
        draft.rewrite(replace(layer, input_types=types), op, made)
    pool = draft.nodes[draft.source(region.flatten).path]
    if isinstance(pool, Layer) and _does_nothing(pool) and draft.only_reader(TensorRef(pool.path)):
        draft.remove(pool)
    draft.remove(region.flatten)


def _kernel(draft: Draft, layer: Layer, value: TensorType) -> Make:
    """A matrix [out, C * H * W] as [out, C, H, W], which is the order that `flatten` lays an image out in."""
    matrix = draft.maker(layer, "weight")
    assert matrix is not None, layer.path
    return lambda: np.reshape(matrix(), (-1, *value.shape))


def _does_nothing(pool: Layer) -> bool:
    """An adaptive pooling to the size that there was; to a single position, it means the whole map of any size."""
    adaptive = isinstance(pool.op, AdaptiveAvgPool | AdaptiveMaxPool)
    return adaptive and pool.input_types == pool.output_types and math.prod(pool.output_types[0].spatial) > 1
