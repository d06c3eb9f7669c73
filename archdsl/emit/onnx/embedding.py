"""ONNX rules of embeddings, positions and learned tensors. No length is written down: an open one stays open."""

from __future__ import annotations

import numpy as np

from archdsl.emit.onnx.rules import ELEMENT_TYPES, Site, refuse_open, rule
from archdsl.ops.base import TensorType
from archdsl.ops.dims import symbolic
from archdsl.ops.embedding import Embedding, Parameter, PositionalEncoding


@rule(Embedding)
def embedding(site: Site, _: Embedding) -> None:
    site.final("Gather", [site.weight("weight"), site.input], axis=0)


@rule(Parameter)
def parameter(site: Site, op: Parameter) -> None:
    """The weight, as often as there are samples in what flows in."""
    rank = len(site.type.shape) + 1
    sizes = site.weight_node("Shape", site.inputs, "sizes", TensorType((rank,), "int64"))
    batch = site.weight_node("Gather", [sizes, site.constant("first", (0,))], "batch", TensorType((1,), "int64"))
    rest = site.constant("rest", op.shape)
    target = site.weight_node("Concat", [batch, rest], "target", TensorType((len(op.shape) + 1,), "int64"), axis=0)
    site.final("Expand", [site.weight(""), target])


@rule(PositionalEncoding)
def positional_encoding(site: Site, _: PositionalEncoding) -> None:
    """Angles `t * 10000^(-2i / D)` in the input's type, as PyTorch's source has them; sines and cosines in turn."""
    (length, width), dtype = site.type.shape, site.type.dtype
    refuse_open(width)
    positions = positions_of(site, site.input, site.type, "positions")
    angles = TensorType((length, width // 2), dtype)
    column = TensorType((length, 1), dtype)
    floats = site.weight_node("Cast", [positions], "floats", TensorType((length,), dtype), to=ELEMENT_TYPES[dtype])
    times = site.weight_node("Unsqueeze", [floats, site.constant("one", (1,))], "times", column)
    frequencies = site.constant("frequencies", 10000.0 ** (-np.arange(0, width, 2) / width))
    angle = site.weight_node("Mul", [times, frequencies], "angles", angles)
    last = site.constant("last", (2,))
    pair = TensorType((length, width // 2, 1), dtype)
    waves = [site.weight_node(kind, [angle], kind.lower(), angles) for kind in ("Sin", "Cos")]
    parts = [site.weight_node("Unsqueeze", [wave, last], f"{wave.rpartition('/')[2]}_column", pair) for wave in waves]
    pairs = site.weight_node("Concat", parts, "pairs", TensorType((length, width // 2, 2), dtype), axis=2)
    table = site.weight_node("Reshape", [pairs, site.constant("table_shape", (0, width))], "table", site.type)
    site.final("Add", [site.input, table])


def positions_of(site: Site, source: str, value: TensorType, name: str) -> str:
    """0, 1, ... for each position of the sequence `source`, as an int64 vector; of open length, counted at run time."""
    length = value.shape[0]
    if not symbolic(length):
        return site.constant(name, range(length))
    number, zero, one = TensorType((), "int64"), site.constant(f"{name}_0", 0), site.constant(f"{name}_1", 1)
    rank = TensorType((len(value.shape) + 1,), "int64")
    sizes = site.weight_node("Shape", [source], f"{name}_sizes", rank)
    count = site.weight_node("Gather", [sizes, one], f"{name}_count", number)
    return site.weight_node("Range", [zero, count, one], name, TensorType((length,), "int64"))
