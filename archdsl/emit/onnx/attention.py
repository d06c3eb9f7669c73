"""ONNX rules of matrix products and attention, composed of MatMul and Softmax; lengths stay open."""

from __future__ import annotations

import math
from dataclasses import dataclass

from archdsl.emit.onnx.embedding import positions_of
from archdsl.emit.onnx.rules import ELEMENT_TYPES, Site, rule
from archdsl.ops.attention import Attention, MatMul, MultiheadAttention
from archdsl.ops.base import TensorType
from archdsl.ops.dims import symbolic


@dataclass(frozen=True, slots=True)
class Named:
    """A tensor of the file."""

    name: str
    type: TensorType


Sequences = tuple[Named, Named, Named]


@rule(MatMul)
def matmul(site: Site, _: MatMul) -> None:
    site.final("MatMul", site.inputs)


@rule(Attention)
def attention(site: Site, op: Attention) -> None:
    query, key, value = (Named(*pair) for pair in zip(site.inputs[:3], site.layer.input_types, strict=False))
    context = _weigh(site, op, (query, key, value), op.scale)
    if op.heads == 1:
        return site.final("MatMul", context)
    shared = TensorType((op.heads, query.type.shape[0], value.type.shape[1] // op.heads), query.type.dtype)
    found = site.node("MatMul", context, "context", shared)
    site.reshape(_side_by_side(site, found, shared), _turned(shared), site.result)
    return None


@rule(MultiheadAttention)
def multihead_attention(site: Site, op: MultiheadAttention) -> None:
    parts = _projections(site, op)
    query, _, value = parts
    context = _weigh(site, op, parts, None)
    shape = (query.type.shape[0], value.type.shape[1] // op.heads)
    if op.heads == 1:
        joined = site.node("MatMul", context, "context", query.type)
    else:
        shared = TensorType((op.heads, *shape), query.type.dtype)
        found = site.node("MatMul", context, "context", shared)
        joined = site.reshape(_side_by_side(site, found, shared), _turned(shared), query.type, "joined")
    width = query.type.shape[1]
    square = TensorType((width, width))
    weight = site.weight_node("Transpose", [site.weight("out_proj.weight")], "out_weight", square, perm=(1, 0))
    if not op.bias:
        return site.final("MatMul", [joined, weight])
    product = site.node("MatMul", [joined, weight], "out", query.type)
    return site.final("Add", [product, site.weight("out_proj.bias")])


# Projections ----------------------------------------------------------------------------------------------------------


def _projections(site: Site, op: MultiheadAttention) -> Sequences:
    """Query, key and value after their share of the input projection; of one sequence all at once."""
    if len(set(site.inputs[:3])) == 1:
        return _self_projections(site, op)
    query, key, value = op.sequences(site.layer.input_types)
    names = (site.inputs[0], site.inputs[1], site.inputs[2] if len(site.inputs) > 2 else site.inputs[1])
    kinds = enumerate(zip(("query", "key", "value"), names, (query, key, value), strict=True))
    first, second, third = (_projected(site, op, kind, i, Named(name, type)) for i, (kind, name, type) in kinds)
    return first, second, third


def _self_projections(site: Site, op: MultiheadAttention) -> Sequences:
    length, width = site.type.shape
    table, wide = TensorType((width, 3 * width)), TensorType((length, 3 * width), site.type.dtype)
    weight = site.weight_node("Transpose", [site.weight("in_proj_weight")], "in_weight", table, perm=(1, 0))
    product = site.node("MatMul", [site.inputs[0], weight], "in", wide)
    if op.bias:
        product = site.node("Add", [product, site.weight("in_proj_bias")], "in_biased", wide)
    sizes = site.constant("in_sizes", (width,) * 3)
    results = dict.fromkeys(("query", "key", "value"), (site.type, 0))
    query, key, value = site.nodes("Split", [product, sizes], results, axis=2)
    return Named(query, site.type), Named(key, site.type), Named(value, site.type)


def _projected(site: Site, op: MultiheadAttention, kind: str, index: int, source: Named) -> Named:
    """Its third of the rows of `in_proj_weight`, and of the bias."""
    width = site.type.shape[1]
    bounds = [site.constant(f"{kind}_{end}", ((index + i) * width,)) for i, end in enumerate(("begin", "end"))]
    rows = [*bounds, site.constant(f"{kind}_axis", (0,))]
    square = TensorType((width, width))
    third = site.weight_node("Slice", [site.weight("in_proj_weight"), *rows], f"{kind}_rows", square)
    weight = site.weight_node("Transpose", [third], f"{kind}_weight", square, perm=(1, 0))
    product = site.node("MatMul", [source.name, weight], kind, source.type)
    if op.bias:
        bias = site.weight_node("Slice", [site.weight("in_proj_bias"), *rows], f"{kind}_bias", TensorType((width,)))
        product = site.node("Add", [product, bias], f"{kind}_biased", source.type)
    return Named(product, source.type)


# Scores ---------------------------------------------------------------------------------------------------------------


def _weigh(
    site: Site, op: Attention | MultiheadAttention, sequences: Sequences, scale: float | None
) -> tuple[str, str]:
    """Attention weights and values, both apart for each head: their product is what is wanted."""
    query, key, value = sequences
    heads, length, count = op.heads, query.type.shape[0], key.type.shape[0]
    factor = _scale(site, query, heads) if scale is None else site.constant("scale", float(scale))
    scaled = Named(site.node("Mul", [query.name, factor], "scaled", query.type), query.type)
    rows = _by_head(site, scaled, heads, "query_heads", (0, 2, 1, 3))
    columns = _by_head(site, key, heads, "key_heads", (0, 2, 3, 1))
    values = _by_head(site, value, heads, "value_heads", (0, 2, 1, 3))
    type = TensorType((length, count) if heads == 1 else (heads, length, count), query.type.dtype)
    scores = site.node("MatMul", [rows, columns], "scores", type)
    if op.causal:
        scores = _hidden(site, _before(site, query, key), scores, type, "causal")
    if len(site.inputs) > 3:
        scores = _masked(site, scores, type)
    return site.node("Softmax", [scores], "weights", type, axis=-1), values


def _scale(site: Site, query: Named, heads: int) -> str:
    """1 / sqrt(D / heads); of an open D, worked out at run time."""
    width = query.type.shape[1]
    if not symbolic(width):
        return site.constant("scale", 1 / math.sqrt(width // heads))
    number, kind = TensorType((), query.type.dtype), ELEMENT_TYPES[query.type.dtype]
    sizes = site.weight_node("Shape", [query.name], "sizes", TensorType((3,), "int64"))
    last = site.weight_node("Gather", [sizes, site.constant("last", 2)], "width", TensorType((), "int64"))
    share = site.weight_node("Div", [last, site.constant("heads", heads)], "share", TensorType((), "int64"))
    root = site.weight_node("Sqrt", [site.weight_node("Cast", [share], "share_float", number, to=kind)], "root", number)
    return site.weight_node("Reciprocal", [root], "scale", number)


def _by_head(site: Site, source: Named, heads: int, suffix: str, order: tuple[int, ...]) -> str:
    """`[N, T, D]` as `[N, heads, T, D / heads]`, or with its last two axes exchanged."""
    length, width = source.type.shape
    exchanged = order[-1] == 1
    if heads == 1:
        turned = TensorType((width, length), source.type.dtype)
        return site.node("Transpose", [source.name], suffix, turned, perm=(0, 2, 1)) if exchanged else source.name
    apart = TensorType((length, heads, width // heads), source.type.dtype)
    split = site.reshape(source.name, source.type, apart, f"{suffix}_split")
    shape = tuple(apart.shape[axis - 1] for axis in order[1:])
    return site.node("Transpose", [split], suffix, TensorType(shape, source.type.dtype), perm=order)


def _before(site: Site, query: Named, key: Named) -> str:
    """Whether a key stands at the query's position or before it, `[T, S]`."""
    length, count = query.type.shape[0], key.type.shape[0]
    rows = positions_of(site, query.name, query.type, "rows")
    columns = positions_of(site, key.name, key.type, "columns")
    axis = site.constant("rows_axis", (1,))
    upright = site.weight_node("Unsqueeze", [rows, axis], "rows_upright", TensorType((length, 1), "int64"))
    return site.weight_node("LessOrEqual", [columns, upright], "before", TensorType((length, count), "bool"))


def _masked(site: Site, scores: str, type: TensorType) -> str:
    mask, found = site.inputs[3], site.layer.input_types[3]
    missing = len(type.shape) - len(found.shape)  # axes, which come after the batch's
    if missing > 0:
        axes = site.constant("mask_axes", tuple(range(1, 1 + missing)))
        mask = site.node("Unsqueeze", [mask, axes], "mask", TensorType((1,) * missing + found.shape, found.dtype))
    elif missing < 0:
        axes = site.constant("mask_axes", (1,))
        mask = site.node("Squeeze", [mask, axes], "mask", TensorType(found.shape[1:], found.dtype))
    if found.dtype == "bool":
        return _hidden(site, mask, scores, type, "masked")
    return site.node("Add", [scores, mask], "masked", type)


def _hidden(site: Site, visible: str, scores: str, type: TensorType, suffix: str) -> str:
    """Minus infinity where the key cannot be seen, which a softmax makes 0."""
    return site.node("Where", [visible, scores, site.constant(f"{suffix}_value", -math.inf)], suffix, type)


def _side_by_side(site: Site, context: str, shared: TensorType) -> str:
    """`[N, heads, T, D]` as `[N, T, heads, D]`."""
    return site.node("Transpose", [context], "side_by_side", _turned(shared), perm=(0, 2, 1, 3))


def _turned(shared: TensorType) -> TensorType:
    heads, length, width = shared.shape
    return TensorType((length, heads, width), shared.dtype)
