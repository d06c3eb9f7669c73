"""Layers on other elements than float32: what the checker takes is right on onnxruntime, or refused by its rule."""

from __future__ import annotations

import functools

import numpy as np
import onnx
import pytest
import torch
from hand_built import random_inputs, run_onnx, single
from support import compiled, messages
from test_onnx_rules import CASES
from torch_reference import REFERENCE

import archdsl
from archdsl.emit.onnx.model import onnx_model
from archdsl.graph.graph import CheckedGraph
from archdsl.language.diagnostics import ArchError
from archdsl.ops.arithmetic import Clamp
from archdsl.ops.base import Op, ShapeError, TensorType
from archdsl.ops.rearranging import DepthToSpace, PixelShuffle, PixelUnshuffle, SpaceToDepth
from archdsl.runtime.verify import verify

Types = tuple[TensorType, ...]
OPSETS = (13, 17, 18, 21, 26)
FLOATS, WHOLE = ("float16", "float64"), ("int64", "int32", "uint8", "bool")
#: Of an attribute, which ONNX holds in float32, a float64 network has no more digits.
TOLERANCE = {"float16": 1e-2, "float64": 1e-6}
#: What onnxruntime has no kernel for, in some cases at least.
REFUSED = {
    "float16": {"nms"},
    "float64": {
        "adaptive_avgpool", "adaptive_maxpool", "avgpool", "elu", "gelu", "hardsigmoid", "hardswish", "lppool", "lrn",
        "maxpool", "mish", "nms", "resize", "roi_pool", "selu", "softplus", "upsample",
    },
}  # fmt: skip
#: At the later opsets onnxruntime has these for no type.
BEYOND_21 = {"roi_align", "roi_pool"}


def _retyped(shapes: tuple[tuple[int, ...] | TensorType, ...], dtype: str) -> list[Types]:
    """The inputs with those of float32 of this type, with the first one too, and with all."""
    types = tuple(shape if isinstance(shape, TensorType) else TensorType(shape) for shape in shapes)
    every = tuple(TensorType(type.shape, dtype) for type in types)
    floats = tuple(new if old.dtype == "float32" else old for old, new in zip(types, every, strict=True))
    return [found for found in {floats, (every[0], *floats[1:]), every} if found != types]


def _accepted(op: Op, types: Types) -> CheckedGraph | None:
    """What the checker takes: weights are of float32 alone."""
    if op.weighted or not (op.any_dtype or all(type.dtype.startswith("float") for type in types)):
        return None
    try:
        return single(op, *types)
    except ShapeError:
        return None


@functools.cache
def cases(dtype: str) -> list[tuple[Op, CheckedGraph]]:
    pairs = [(op, _accepted(op, types)) for op, shapes in CASES for types in _retyped(shapes, dtype)]
    return [(op, graph) for op, graph in pairs if graph is not None]


def exported(graph: CheckedGraph, opset: int) -> onnx.ModelProto | None:
    """None where the rule refuses."""
    try:
        return onnx_model(graph, {}, opset=opset)
    except ArchError as failure:
        if failure.diagnostics[0].code == "onnx-unsupported":
            return None
        raise


def assert_right(op: Op, graph: CheckedGraph, model: onnx.ModelProto, dtype: str) -> None:
    """As PyTorch computes it in float64: of float16 it lacks some."""
    inputs = random_inputs(graph)
    tensors = [torch.from_numpy(array) for array in inputs.values()]
    doubled = [tensor.double() if tensor.is_floating_point() else tensor for tensor in tensors]
    found = REFERENCE[type(op)](op, doubled, {})
    tolerance = TOLERANCE.get(dtype, 1e-6)
    expected = found if isinstance(found, tuple) else (found,)
    for ours, theirs, output in zip(run_onnx(model, inputs), expected, graph.outputs, strict=True):
        assert ours.dtype == output.type.dtype, op
        np.testing.assert_allclose(ours, theirs.numpy(), rtol=tolerance, atol=tolerance, err_msg=str(op))


@pytest.mark.parametrize("opset", OPSETS)
@pytest.mark.parametrize("dtype", FLOATS + WHOLE)
def test_every_type_is_right_or_refused(dtype: str, opset: int) -> None:
    refused = set()
    for op, graph in cases(dtype):
        model = exported(graph, opset)
        if model is None:
            refused.add(op.name)
        else:
            assert_right(op, graph, model, dtype)
    expected = REFUSED.get(dtype, set())
    assert refused == (expected | BEYOND_21 if opset > 21 and dtype in FLOATS else expected)


def test_the_cases_are_many() -> None:
    """The comparison is not of an empty set."""
    names = {dtype: {op.name for op, _ in cases(dtype)} for dtype in FLOATS + WHOLE}
    assert min(len(names[dtype]) for dtype in FLOATS) > 60
    assert all({"concat", "where", "pixel_shuffle", "split"} <= names[dtype] for dtype in WHOLE)


ON_IMAGES = (
    "relu6", "hardtanh", "clamp(0, 1)", "clamp(max = 1)", "gelu", "scale(2)", "scale(2, 1)", "l2_normalize",
    "lppool(2)", "pad(1, value = 2)", "anchors([8, 16], [16, 8], stride = 4)", "pow(0.5)",
)  # fmt: skip


@pytest.mark.parametrize("call", ON_IMAGES)
def test_constants_have_the_type_of_what_they_meet(call: str) -> None:
    net = compiled(f"network n {{ input x: float16 [4, 4, 4]; exp -> {call} }}")
    assert verify(net.checked, {}, batches=(2,), tolerance=2e-2).agrees


@pytest.mark.parametrize("dtype", FLOATS)
def test_of_several_tensors(dtype: str) -> None:
    attention = f"network n {{ input x: {dtype} [5, 4]; attention(in, in, in, heads = 2, causal = true) }}"
    pools = "maxpool: maxpool(2, indices = true); unpool(@maxpool, @maxpool.indices, 2)"
    unpool = f"network n {{ input x: {dtype} [3, 6, 4]; {pools} }}"
    for text in (attention, unpool):
        assert verify(compiled(text).checked, {}, batches=(2,), tolerance=1e-2).agrees


@pytest.mark.parametrize("dtype", FLOATS)
def test_anchors_of_open_sizes(dtype: str) -> None:
    call = "anchors([8, 16], [16, 8], stride = 4, offset = 0.5)"
    net = compiled(f"network n {{ input x: {dtype} [3, H: 2 .. 64 = 6, W: 2 .. 64 = 5]; {call} }}")
    assert verify(net.checked, {}, batches=(2,), tolerance=0).agrees


def test_constants_beyond_the_type_are_infinite() -> None:
    model = onnx_model(single(Clamp(max=1e6), TensorType((3,), "float16")), {})
    (bound,) = model.graph.initializer
    assert onnx.numpy_helper.to_array(bound) == np.float16(np.inf)


def test_scales_stay_float32() -> None:
    net = compiled("network n { input x: float16 [3, 5, 4]; upsample(2) -> resize(scale = 1.5, mode = bilinear) }")
    model = onnx_model(net.checked, {})
    kinds = {tensor.data_type for tensor in model.graph.initializer}
    assert kinds == {onnx.TensorProto.FLOAT}
    assert verify(net.checked, {}, batches=(2,), tolerance=1e-2).agrees


@pytest.mark.parametrize("dtype", ["int64", "bool"])
@pytest.mark.parametrize(
    "op", [PixelShuffle(3), DepthToSpace(2), SpaceToDepth(2), PixelUnshuffle(1), PixelUnshuffle(2)]
)
def test_whole_numbers_move_between_channels_and_space(op: Op, dtype: str) -> None:
    graph = single(op, TensorType((36, 4, 6), dtype))
    model = onnx_model(graph, {})
    assert {node.op_type for node in model.graph.node} == {"Reshape", "Transpose"}
    assert_right(op, graph, model, dtype)


@pytest.mark.parametrize("name", ["pixel_shuffle", "depth_to_space", "space_to_depth", "pixel_unshuffle"])
def test_and_with_open_sizes(name: str) -> None:
    sizes = "[8, H: 4 .. 64 by 2 = 6, W: 4 .. 64 by 2 = 8]"
    net = compiled(f"network n {{ input x: int64 {sizes}; {name}(2) }}")
    assert verify(net.checked, {}, batches=(1, 3), tolerance=0).agrees


def test_a_refusal_is_at_the_layer() -> None:
    text = "network n {\n    input x: float64 [4, 6, 6]\n    relu\n    pool: avgpool(2)\n}\n"
    with pytest.raises(archdsl.ArchError) as caught:
        onnx_model(compiled(text).checked, {})
    (found,) = caught.value.diagnostics
    assert found.span is not None
    assert (found.code, text[found.span.start :].split("(")[0]) == ("onnx-unsupported", "avgpool")
    assert found.message == "`pool` cannot be written as ONNX: onnxruntime has no `AveragePool` for float64"


@pytest.mark.parametrize("name", ["greater", "less"])
def test_bools_have_no_order(name: str) -> None:
    assert messages(f"network n {{ input x: bool [4, 4, 4]; {name}(in, in) }}") == [
        f"dtype-mismatch: `{name}` compares numbers, but gets bool and bool"
    ]
    assert messages("network n { input x: bool [4, 4, 4]; equal(in, in) }") == []
