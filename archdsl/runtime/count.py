"""Multiply-accumulates of any ONNX graph, from its shapes."""

from __future__ import annotations

import math
from collections.abc import Callable

import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from onnx import ModelProto, NodeProto

from archdsl.language.diagnostics import error
from archdsl.runtime.shapes import Shape, Shapes, Sized, sized


class Unknown(Exception):
    """The MACs cannot be known; the message is the reason."""


def read_model(path: str) -> ModelProto:
    """The model of a file, without the data that it keeps in others; raises `ArchError` (`model-unreadable`)."""
    try:
        return onnx.load(path, load_external_data=False)
    except (OSError, DecodeError, ValueError) as problem:
        if isinstance(problem, OSError) and problem.strerror:
            raise error("model-unreadable", f"`{path}` cannot be read: {problem.strerror}") from problem
        raise error("model-unreadable", f"`{path}` is not an ONNX model", notes=(str(problem),)) from problem


def node_macs(model: ModelProto, inputs: Shapes) -> dict[int, int]:
    """MACs of the nodes that have any, by their number in the graph, when the inputs have these shapes.

    Counted as in reports: convolutions and matrix products, no biases. Raises `Unknown` where a node hides its
    products (a recurrent layer, an operator that is not ONNX's own) or a shape cannot be inferred.
    """
    shapes = tensor_shapes(model, inputs)
    found = {}
    for number, node in enumerate(model.graph.node):
        if node.domain not in ("", "ai.onnx") or node.op_type in OPAQUE:
            raise Unknown(f"`{node.op_type}` may multiply, but does not say how much")
        rule = RULES.get(node.op_type)
        if rule is not None:
            found[number] = _apply(rule, node, shapes)
    return found


def tensor_shapes(model: ModelProto, inputs: Shapes) -> dict[str, Shape]:
    """The shapes of all tensors, as far as they follow from those of the inputs."""
    return sized_at(model, inputs).shapes


def sized_at(model: ModelProto, inputs: Shapes) -> Sized:
    """The graph where its inputs have these shapes; raises `Unknown` where onnx cannot infer any."""
    try:
        return sized(model, inputs)
    except (onnx.shape_inference.InferenceError, ValueError) as problem:
        raise Unknown(f"onnx cannot infer its shapes: {problem}") from problem


def _apply(rule: Rule, node: NodeProto, shapes: Shapes) -> int:
    try:
        return rule(node, shapes)
    except KeyError as missing:
        raise Unknown(f"the shape of {missing} is not known") from missing


def _conv(weight: int) -> Rule:
    """Each output element sums over the kernel and its group's channels: `[M, C / groups, *kernel]`."""
    return lambda node, shapes: math.prod(shapes[node.output[0]]) * math.prod(shapes[node.input[weight]][1:])


def _conv_transpose(node: NodeProto, shapes: Shapes) -> int:
    """Each input element is spread over the kernel and its group's outputs: `[C, M / groups, *kernel]`."""
    return math.prod(shapes[node.input[0]]) * math.prod(shapes[node.input[1]][1:])


def _gemm(node: NodeProto, shapes: Shapes) -> int:
    transposed = any(item.name == "transA" and item.i for item in node.attribute)
    return math.prod(shapes[node.output[0]]) * shapes[node.input[0]][0 if transposed else 1]


def _matmul(node: NodeProto, shapes: Shapes) -> int:
    return math.prod(shapes[node.output[0]]) * shapes[node.input[0]][-1]


Rule = Callable[[NodeProto, Shapes], int]
RULES: dict[str, Rule] = {
    "Conv": _conv(1),
    "ConvInteger": _conv(1),
    "QLinearConv": _conv(3),
    "ConvTranspose": _conv_transpose,
    "Gemm": _gemm,
    "MatMul": _matmul,
    "MatMulInteger": _matmul,
    "QLinearMatMul": _matmul,
}
OPAQUE = {"LSTM", "GRU", "RNN", "Einsum", "Attention", "DeformConv", "If", "Loop", "Scan"}
