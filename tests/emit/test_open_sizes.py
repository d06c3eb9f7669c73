"""Every rule at sizes that are left open: right at other sizes, or refused; never the nominal number written down."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hand_built import random_inputs, random_weights, run_onnx, single
from test_onnx_rules import CASES
from torch_reference import REFERENCE

from archdsl.emit.onnx.model import onnx_model
from archdsl.emit.torch.module import module
from archdsl.graph.graph import CheckedGraph
from archdsl.graph.sizes import at, nominal
from archdsl.language.diagnostics import ArchError, Diagnostic
from archdsl.ops import pooling
from archdsl.ops.base import Op, ShapeError, TensorType
from archdsl.ops.dims import Symbol, dim, symbolic

Shape = tuple[int, ...]
OPSETS = (13, 21)


def _types(shapes: Sequence[Shape | TensorType]) -> tuple[TensorType, ...]:
    return tuple(shape if isinstance(shape, TensorType) else TensorType(shape) for shape in shapes)


def _opened(types: tuple[TensorType, ...], sizes: set[int]) -> tuple[TensorType, ...]:
    """The types with a symbol for each of these sizes, wherever it stands: equal sizes are one symbol."""
    symbols = {size: dim(Symbol(f"S{size}", size, 1, 99)) for size in sizes}
    return tuple(TensorType(tuple(symbols.get(size, size) for size in type.shape), type.dtype) for type in types)


@functools.cache
def open_cases(cls: type[Op]) -> list[tuple[Op, CheckedGraph]]:
    """Every case with each of its sizes open, and with all but those of first axes, as far as the checker takes it."""
    found = []
    for op, shapes in CASES:
        types = _types(shapes)
        every = {size for type in types for size in type.shape if size > 1}
        inner = {size for type in types for size in type.shape[1:] if size > 1}
        for sizes in [{size} for size in sorted(every)] + [inner] * (len(inner) > 1):
            if type(op) is cls:
                found += _accepted(op, _opened(types, sizes))
    return found


def _accepted(op: Op, types: tuple[TensorType, ...]) -> list[tuple[Op, CheckedGraph]]:
    try:
        graph = single(op, *types)
    except ShapeError:
        return []
    if any(symbolic(weight.shape) for layer in graph.layers for weight in layer.weights):
        return []
    symbols = {s.name: s for node in graph.inputs for size in node.type.shape if symbolic(size) for s in size.symbols}
    return [(op, replace(graph, symbols=tuple(symbols.values())))]


def sizes_of(graph: CheckedGraph) -> list[dict[str, int]]:
    """Sizes besides the nominal ones at which the checker finds the same layer."""
    start = nominal(graph)
    others = [
        {name: size + 1 + i for i, (name, size) in enumerate(start.items())},
        {n: s + 5 for n, s in start.items()},
    ]
    return [sizes for sizes in others if _same(graph, sizes)]


def _same(graph: CheckedGraph, sizes: dict[str, int]) -> bool:
    (layer,) = at(graph, sizes).layers
    try:
        results = layer.op.infer(layer.input_types)
    except ShapeError:
        return False
    return results == layer.output_types and layer.op.weights(layer.input_types) == layer.weights


def _expected(graph: CheckedGraph, inputs: dict[str, np.ndarray], weights: dict[str, np.ndarray]) -> list[np.ndarray]:
    (layer,) = graph.layers
    own = {weight.name: torch.from_numpy(weights[layer.key(weight)]) for weight in layer.weights}
    found = REFERENCE[type(layer.op)](layer.op, [torch.from_numpy(value) for value in inputs.values()], own)
    return [tensor.numpy() for tensor in (found if isinstance(found, tuple) else (found,))]


#: By these in some of their cases: padding by TensorFlow's rule at a stride, and shares of an open size ...
REFUSED = {"conv", "maxpool", "avgpool", "adaptive_avgpool", "adaptive_maxpool"}
#: ... and where features or channels are open, which are known everywhere else.
REFUSED |= {"instancenorm", "layernorm", "attention", "pixel_unshuffle", "roi_align", "roi_pool", "nms"}


def attempt(make: Callable[[], Any]) -> tuple[Any, Diagnostic | None]:
    """What is made, or why not."""
    try:
        return make(), None
    except ArchError as failure:
        return None, failure.diagnostics[0]


def assert_about_sizes(refusal: Diagnostic | None, code: str) -> None:
    assert refusal is not None
    assert refusal.code == code
    assert re.search("depends? on S|is open", refusal.message)


def assert_close(ours: np.ndarray, theirs: np.ndarray, what: str) -> None:
    """Within 2e-5 of each number, and what rounding leaves of the largest where sums cancel."""
    finite = theirs[np.isfinite(theirs)] if theirs.dtype.kind == "f" else np.zeros(0)
    rounding = 2e-6 * float(np.abs(finite).max(initial=0))
    np.testing.assert_allclose(ours, theirs, rtol=2e-5, atol=2e-5 + rounding, err_msg=what)


@functools.cache
def exported(cls: type[Op], opset: int) -> list[tuple[Op, CheckedGraph, Any, Diagnostic | None]]:
    """The cases with their models, or why there is none."""
    return [
        (op, graph, *attempt(lambda graph=graph: onnx_model(graph, random_weights(graph), opset=opset)))
        for op, graph in open_cases(cls)
    ]


@pytest.mark.parametrize("opset", OPSETS)
@pytest.mark.parametrize("cls", list(REFERENCE), ids=lambda cls: cls.name)
def test_an_onnx_rule_is_right_at_every_size_or_refuses(cls: type[Op], opset: int) -> None:
    for op, graph, model, refusal in exported(cls, opset):
        if model is None:
            assert_about_sizes(refusal, "onnx-unsupported")
            continue
        for sizes in sizes_of(graph):
            there = at(graph, sizes)
            inputs = random_inputs(there)
            for ours, theirs in zip(
                run_onnx(model, inputs), _expected(there, inputs, random_weights(graph)), strict=True
            ):
                assert_close(ours, theirs, f"{op} {sizes}")


@pytest.mark.parametrize("cls", list(REFERENCE), ids=lambda cls: cls.name)
def test_a_module_is_right_at_every_size_or_refused(cls: type[Op]) -> None:
    for op, graph in open_cases(cls):
        weights = random_weights(graph)
        made, refusal = attempt(lambda graph=graph, weights=weights: module(graph, weights).eval())
        if made is None:
            assert_about_sizes(refusal, "torch-unsupported")
            continue
        for sizes in sizes_of(graph):
            there = at(graph, sizes)
            inputs = random_inputs(there)
            result = made(*map(torch.from_numpy, inputs.values()))
            results = list(result.values()) if isinstance(result, dict) else [result]
            for ours, theirs in zip(results, _expected(there, inputs, weights), strict=True):
                assert_close(ours.detach().numpy(), theirs, f"{op} {sizes}")


def test_what_is_refused() -> None:
    """What writes a number that follows from an open size; everything else has a form that does not."""
    refused = {cls.name for cls in REFERENCE if any(model is None for _, _, model, _ in exported(cls, 21))}
    assert refused <= REFUSED


def case_with(op: Op, shape: Shape) -> CheckedGraph:
    ((_, graph),) = _accepted(op, _opened((TensorType(shape),), set(shape[1:])))
    return graph


def test_ceil_mode_needs_a_later_opset() -> None:
    graph = case_with(pooling.MaxPool(3, 2, ceil=True), (4, 8, 9))
    with pytest.raises(ArchError, match="opset 19"):
        onnx_model(graph, {}, opset=18)
    assert onnx_model(graph, {}, opset=19).graph.node[0].op_type == "MaxPool"


def test_open_sizes_are_named_in_the_file() -> None:
    model = onnx_model(case_with(pooling.MaxPool(2), (4, 8, 9)), {})
    shown = [[d.dim_param or d.dim_value for d in item.type.tensor_type.shape.dim] for item in model.graph.output]
    assert shown == [["N", 4, "S8 // 2", "S9 // 2"]]


def test_a_type_of_other_sizes_is_another_type() -> None:
    a, b = (TensorType((4, dim(Symbol(name, 8, 1, 99)))) for name in "ab")
    assert a != b


CASE_TYPES = {type(op) for op, _ in CASES}


def test_most_ops_take_open_sizes() -> None:
    """The cases are no empty set: all but those of fixed sizes are tried."""
    assert {cls.name for cls in CASE_TYPES if not open_cases(cls)} <= {"rbf", "local_conv"}
