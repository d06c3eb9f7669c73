"""Networks of the library, and whether one is the same in PyTorch and as ONNX on onnxruntime."""

from __future__ import annotations

import functools

import numpy as np
from spec_weights import ordinary_weights

import archdsl
from archdsl.runtime.verify import difference, draw_inputs, run_onnx, run_torch, verify

TOLERANCE = 1e-4  # of the largest output


@functools.cache
def declared(name: str) -> archdsl.Network:
    """A network of the library as its file declares it, loaded once."""
    return archdsl.load(name)


def assert_agreement(net: archdsl.Network) -> None:
    """Each output for one sample within the tolerance; it is numbers, and another input moves them ten times as far."""
    weights, inputs = ordinary_weights(net), [draw_inputs(net.checked, 1, seed) for seed in (0, 1)]
    here, there = run_torch(net.checked, weights, inputs)
    [ours] = run_onnx(net.checked, weights, inputs[:1], opset=17)
    for name in [output.name for output in net.checked.deployed_outputs]:
        first, second = here[name], there[name]
        assert np.isfinite(first).all()
        assert np.abs(first - second).max() > 10 * TOLERANCE * np.abs(first).max()
        if difference(1, name, first, ours[name]).max_rel > TOLERANCE:
            raise AssertionError(verify(net.checked, weights, batches=(1,), tolerance=TOLERANCE).first_divergence)
