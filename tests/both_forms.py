"""A network in PyTorch and as ONNX on onnxruntime, on the same weights and inputs."""

from __future__ import annotations

import numpy as np
from spec_weights import ordinary_weights

import archdsl
from archdsl.runtime.verify import draw_inputs, run_torch, verify


def assert_agreement(net: archdsl.Network) -> None:
    """Outputs for one sample within 1e-4 of the largest; they are numbers, and the input makes a difference to them."""
    weights = ordinary_weights(net)
    result = verify(net.checked, weights, batches=(1,), tolerance=1e-4)
    assert result.agrees, result.first_divergence
    [output] = net.checked.deployed_outputs
    first, second = (_logits(net, weights, seed) for seed in (0, 1))
    assert np.isfinite(first).all()
    assert np.abs(first - second).max() > 0.01 * np.abs(first).max(), output.name


def _logits(net: archdsl.Network, weights: dict[str, np.ndarray], seed: int) -> np.ndarray:
    [found] = run_torch(net.checked, weights, [draw_inputs(net.checked, 1, seed)])
    (values,) = found.values()
    return values
