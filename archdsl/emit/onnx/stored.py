"""Nodes that make a layer's weight of what is stored: all of weights alone, so that a runtime computes them once."""

from __future__ import annotations

import numpy as np

from archdsl.emit.onnx.rules import Site
from archdsl.ops.base import TensorType
from archdsl.ops.convolution import Conv
from archdsl.ops.linear import Linear
from archdsl.ops.stored import connections
from archdsl.ops.transposed import Deconv


def plain_weight(site: Site, op: Conv | Linear | Deconv) -> str:
    """The tensor that the layer computes with."""
    if isinstance(op, Conv) and op.table:
        return _connected(site, op)
    return {"none": _stored, "weight": _by_lengths, "spectral": _by_singular_value}[op.norm](site, op.rows)


def _stored(site: Site, rows: int) -> str:
    return site.weight("weight")


def _type(site: Site, name: str) -> TensorType:
    return next(TensorType(weight.shape, weight.dtype) for weight in site.layer.weights if weight.name == name)


def _by_lengths(site: Site, rows: int) -> str:
    """`v * (g / |v|)` (Salimans and Kingma, 2016, equation 2)."""
    names = [f"parametrizations.weight.original{number}" for number in (0, 1)]
    (length, direction), (wanted, whole) = map(site.weight, names), (_type(site, name) for name in names)
    axes = site.constant("weight_axes", tuple(range(1, len(whole.shape))))
    squares = site.weight_node("Mul", [direction, direction], "weight_squares", whole)
    sums = site.weight_node("ReduceSum", [squares, axes], "weight_sums", wanted, keepdims=1)
    lengths = site.weight_node("Sqrt", [sums], "weight_lengths", wanted)
    factors = site.weight_node("Div", [length, lengths], "weight_factors", wanted)
    return site.weight_node("Mul", [direction, factors], "weight", whole)


def _by_singular_value(site: Site, rows: int) -> str:
    """`W / (u^T W v)` (Miyato et al., 2018, equation 19), with the axis `rows` as the matrix's rows."""
    weight, left, right = (site.weight(f"parametrizations.weight.{name}") for name in ("original", "0._u", "0._v"))
    whole = _type(site, "parametrizations.weight.original")
    count = whole.shape[rows]
    turned, shape = weight, whole.shape
    if rows:
        order = (rows, *(axis for axis in range(len(shape)) if axis != rows))
        shape = tuple(shape[axis] for axis in order)
        turned = site.weight_node("Transpose", [weight], "weight_turned", TensorType(shape), perm=order)
    flat = TensorType((count, whole.elements // count))
    matrix = site.weight_node("Reshape", [turned, site.constant("weight_shape", flat.shape)], "weight_matrix", flat)
    product = site.weight_node("MatMul", [matrix, right], "weight_right", TensorType((count,)))
    value = site.weight_node("MatMul", [left, product], "weight_value", TensorType(()))
    return site.weight_node("Div", [weight, value], "weight", whole)


def _connected(site: Site, op: Conv) -> str:
    """The kernels of all connections and one of zeros, and from these the one of each pair of channels."""
    channels, kernel = site.type.shape[0], _type(site, "weight").shape[1:]
    count = connections(op.table)
    places = np.full((op.out, channels), count)
    rows = np.repeat(np.arange(op.out), [len(row) for row in op.table])
    places[rows, [channel for row in op.table for channel in row]] = np.arange(count)
    none = site.constant("weight_none", np.zeros((1, *kernel)))
    kernels = site.weight_node(
        "Concat", [site.weight("weight"), none], "weight_kernels", TensorType((count + 1, *kernel)), axis=0
    )
    found = TensorType((op.out, channels, *kernel))
    return site.weight_node("Gather", [kernels, site.constant("weight_places", places)], "weight", found, axis=0)
