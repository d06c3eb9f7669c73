"""What a graph computes, layer by layer from the reference of each op: the oracle for generated PyTorch."""

from __future__ import annotations

import numpy as np
import torch
from hand_built import random_inputs, random_weights
from torch_reference import REFERENCE

from archdsl.emit.torch.module import module
from archdsl.graph.graph import CheckedGraph, TensorRef

torch.set_num_threads(1)  # tensors of a few hundred numbers: threads only wait for one another
BATCH_NORMS = (torch.nn.BatchNorm1d, torch.nn.BatchNorm2d, torch.nn.BatchNorm3d)
Tensors = dict[str, torch.Tensor]


def interpreted(
    graph: CheckedGraph, weights: dict[str, np.ndarray], inputs: Tensors, training: bool = False
) -> Tensors:
    """Outputs by name; with `training` also those that exist in training only. Dropout is the identity."""
    values = {TensorRef(name): value for name, value in inputs.items()}
    for layer in graph.layers:
        arrays = {weight.name: torch.from_numpy(weights[layer.key(weight)]).double() for weight in layer.weights}
        results = REFERENCE[type(layer.op)](layer.op, [values[ref] for ref in layer.inputs], arrays)
        results = results if isinstance(results, tuple) else (results,)
        values.update({TensorRef(layer.path, index): value for index, value in enumerate(results)})
    outputs = graph.outputs if training else graph.deployed_outputs
    return {output.name: values[output.tensor] for output in outputs}


def by_name(graph: CheckedGraph, result: object, training: bool = False) -> Tensors:
    """A network's result as a dict, also where it is the tensor of a single output."""
    outputs = graph.outputs if training else graph.deployed_outputs
    if isinstance(result, dict):
        return result
    (output,) = outputs
    assert isinstance(result, torch.Tensor)
    return {output.name: result}


def _doubled(array: np.ndarray) -> torch.Tensor:
    value = torch.from_numpy(array)
    return value.double() if value.is_floating_point() else value


def agree(graph: CheckedGraph, batch: int = 2, training: bool = False) -> None:
    """The module's keys and shapes are the graph's, and it computes what the graph means."""
    weights = {key: np.asarray(value * 0.4, value.dtype) for key, value in random_weights(graph).items()}
    network = module(graph, weights).double().train(training)
    for part in network.modules():
        if isinstance(part, (*BATCH_NORMS, torch.nn.Dropout)):  # the oracle knows inference only
            part.eval()
    shapes = {key: tuple(value.shape) for key, value in network.state_dict().items()}
    assert shapes == {n.key(w): w.shape for n in graph.layers for w in n.weights}
    inputs = {name: _doubled(value) for name, value in random_inputs(graph, batch, spread=0.5).items()}
    with torch.no_grad():
        found = by_name(graph, network(*inputs.values()), training)
        expected = interpreted(graph, weights, inputs, training)
    assert list(found) == list(expected)
    for name, value in expected.items():
        scale = float(value.double().abs().max())
        torch.testing.assert_close(found[name], value, rtol=1e-9, atol=1e-12 * max(1.0, scale), equal_nan=True)
