"""Weights under which even very deep networks give ordinary numbers, so that outputs can be compared."""

from __future__ import annotations

import zlib

import numpy as np

import archdsl
from archdsl.ops.merge import Add
from archdsl.ops.normalization import BatchNorm

Weights = dict[str, np.ndarray]


def ordinary_weights(net: archdsl.Network) -> Weights:
    """Random weights by key, He-scaled, with normalizations that are no identities.

    Initial weights would not do: each residual unit doubles the variance until, after a few hundred, nothing but
    infinities is compared. Here the sum of all residuals has about the variance of what they are added to.
    """
    graph = net.checked
    adds = [layer for layer in graph.layers if isinstance(layer.op, Add)]
    branches = {ref.path: len(layer.inputs) for layer in adds for ref in layer.inputs if ".residual." in ref.path}
    weights = {
        layer.key(weight): _drawn(layer.key(weight), weight.shape, weight.name)
        for layer in graph.layers
        for weight in layer.weights
    }
    shares: dict[str, int] = {}  # by key: the uses of a module share one weight
    for path, count in branches.items():
        layer = graph.layer(path)
        weight = next(weight for weight in layer.weights if weight.name == "weight")
        shares[layer.key(weight)] = len(adds) if isinstance(layer.op, BatchNorm) else count
    for key, share in shares.items():
        weights[key] /= np.float32(np.sqrt(share))
    return weights


def _drawn(key: str, shape: tuple[int, ...], name: str) -> np.ndarray:
    if name == "num_batches_tracked":
        return np.zeros(shape, np.int64)
    noise = np.random.default_rng(zlib.crc32(key.encode())).standard_normal(shape, dtype=np.float32)
    if len(shape) > 1:
        return noise * np.float32(np.sqrt(2 / np.prod(shape[1:])))
    if name in ("weight", "running_var"):
        return 1 + np.float32(0.1) * np.abs(noise)
    return np.float32(0.1) * noise
