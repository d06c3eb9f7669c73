"""Graphs built by hand, and what onnxruntime makes of them."""

from __future__ import annotations

import numpy as np
import onnxruntime

from archdsl.graph.graph import CheckedGraph, Input, Layer, Output, TensorRef, nodes_of
from archdsl.language.source import Source, Span
from archdsl.ops.activation import ReLU
from archdsl.ops.base import Op, TensorType
from archdsl.ops.convolution import Conv
from archdsl.ops.linear import Linear
from archdsl.ops.normalization import BatchNorm
from archdsl.ops.pooling import AvgPool
from archdsl.ops.shaping import Dropout, Flatten

NOWHERE = Span(Source("test.arch", ""), 0, 0)


def image(*shape: int, name: str = "image", **preprocess: object) -> Input:
    return Input(name, TensorType(shape), NOWHERE, tuple(preprocess.items()))


def layer(
    path: str, op: Op, *inputs: Input | Layer | tuple[Layer, int], module: str = "", training: bool = False
) -> Layer:
    """A layer whose types come from the op itself; an input may be (layer, result index)."""
    pairs = [item if isinstance(item, tuple) else (item, 0) for item in inputs]
    types = tuple(node.type if isinstance(node, Input) else node.output_types[i] for node, i in pairs)
    refs = tuple(TensorRef(node.path, i) for node, i in pairs)
    results, weights = op.infer(types), op.weights(types)
    return Layer(path, op, refs, types, results, NOWHERE, (), training, module or path, weights)


def network(items: list[Input | Layer], **outputs: Layer | Input | tuple[Layer, int]) -> CheckedGraph:
    """A checked graph of these nodes with these outputs."""
    found = []
    for name, item in outputs.items():
        node, index = item if isinstance(item, tuple) else (item, 0)
        kind = node.type if isinstance(node, Input) else node.output_types[index]
        training = isinstance(node, Layer) and node.training_only
        found.append(Output(name, TensorRef(node.path, index), kind, training))
    return CheckedGraph("net", "test.arch", nodes_of(items), tuple(found), {}, {}, digest="d1")


def classifier() -> CheckedGraph:
    """Convolution, normalization, an auxiliary head that exists in training only, dropout before the last layer."""
    x = image(3, 8, 8, resize=9, channels="bgr", scale=255, mean=(104, 117, 123))
    conv = layer("features.0.conv", Conv(4, 3, pad=1), x)
    norm = layer("features.0.bn", BatchNorm(), conv)
    relu = layer("features.1", ReLU(), norm)
    aux = layer("aux.fc", Linear(5), layer("aux.flat", Flatten(), relu, training=True), training=True)
    pool = layer("pool", AvgPool("global"), relu)
    flat = layer("classifier.0", Flatten(), pool)
    drop = layer("classifier.1", Dropout(0.5), flat)
    fc = layer("classifier.2", Linear(5), drop)
    flat_aux = layer("aux.flat", Flatten(), relu, training=True)
    return network([x, conv, norm, relu, flat_aux, aux, pool, flat, drop, fc], logits=fc, loss=aux)


def single(op: Op, *shapes: tuple[int, ...] | TensorType) -> CheckedGraph:
    """One op between inputs x0, x1, ... and outputs y0, y1, ...; a shape alone is one of float32."""
    types = [shape if isinstance(shape, TensorType) else TensorType(shape) for shape in shapes]
    inputs = [Input(f"x{i}", type, NOWHERE) for i, type in enumerate(types)]
    node = layer("block.op", op, *inputs)
    return network([*inputs, node], **{f"y{i}": (node, i) for i in range(len(node.output_types))})


def random_weights(graph: CheckedGraph, seed: int = 0) -> dict[str, np.ndarray]:
    """Arrays unlike any default; variances are positive."""
    generator = np.random.default_rng(seed)
    weights = {}
    for node in graph.layers:
        for weight in node.weights:
            values = generator.normal(size=weight.shape).astype(weight.dtype)
            weights[node.key(weight)] = np.abs(values) + 0.5 if weight.name == "running_var" else values
    return weights


def random_inputs(graph: CheckedGraph, batch: int = 2, seed: int = 1, spread: float = 2) -> dict[str, np.ndarray]:
    """Normal numbers; whole ones from 0 to 3, and of bool at least a true one in each row."""
    generator = np.random.default_rng(seed)
    return {node.path: _random(generator, (batch, *node.type.shape), node.type.dtype, spread) for node in graph.inputs}


def _random(generator: np.random.Generator, shape: tuple[int, ...], dtype: str, spread: float) -> np.ndarray:
    if dtype.startswith("float"):
        return generator.normal(scale=spread, size=shape).astype(dtype)
    values = generator.integers(0, 2 if dtype == "bool" else 4, shape).astype(dtype)
    if dtype == "bool":
        values[..., 0] = True
    return values


def run_onnx(model: object, inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 2
    content = model.SerializeToString()  # type: ignore[attr-defined]
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"]).run(None, inputs)
