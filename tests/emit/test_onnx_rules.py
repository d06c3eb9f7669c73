"""Every ONNX rule against PyTorch on onnxruntime, at the opsets where operators change."""

from __future__ import annotations

import itertools

import numpy as np
import onnx
import pytest
import torch
from hand_built import image, layer, network, random_inputs, random_weights, run_onnx, single
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sequence_reference import SEQUENCE_CASES
from torch_reference import REFERENCE, compare
from vision_reference import VISION_CASES

from archdsl.emit.onnx.model import onnx_model
from archdsl.emit.onnx.rules import RULES
from archdsl.ops import activation, channels, convolution, linear, merge, normalization, pooling, resampling, shaping
from archdsl.ops.base import OPS, Op, ShapeError, TensorType
from archdsl.ops.recurrence import Recur, Steps
from archdsl.ops.regions import RoIAlign, RoIPool

Shapes = tuple[tuple[int, ...] | TensorType, ...]
Case = tuple[Op, Shapes]

VECTOR, SEQUENCE, IMAGE, VOLUME = (6,), (6, 8), (6, 7, 8), (6, 3, 7, 8)
#: 13: oldest; 14: HardSwish; 17: LayerNormalization; 18: Mish, reduction axes; 20: Gelu; 26: the newest of onnxruntime
OPSETS = (13, 17, 18, 21, 26)
NEWEST = onnx.defs.onnx_opset_version()
#: onnxruntime lacks their later versions
LAST_OPSET: dict[type[Op], int] = {RoIAlign: 21, RoIPool: 21}


def _pointwise() -> list[Case]:
    plain = "ReLU ReLU6 SELU SiLU Mish Sigmoid Tanh HardSigmoid HardSwish GELU Softplus LeakyReLU ELU HardTanh"
    ops: list[Op] = [getattr(activation, name)() for name in plain.split()]
    ops += [activation.LeakyReLU(0.1), activation.ELU(0.7), activation.GELU("tanh"), activation.Softplus(2.5)]
    ops += [activation.HardTanh(-0.5, 0.75)]
    return [(op, (IMAGE,)) for op in ops]


def _any_rank(shape: tuple[int, ...]) -> list[Case]:
    """Ops that take a vector as well as an image."""
    unary: list[Op] = [
        activation.PReLU(),
        activation.PReLU(per_channel=True),
        activation.Softmax(),
        activation.Softmax(1),
        activation.LogSoftmax(1),
        activation.LogSoftmax(),
        normalization.BatchNorm(),
        normalization.BatchNorm(1e-3, affine=False),
        normalization.LayerNorm(),
        normalization.LayerNorm(affine=False),
        normalization.GroupNorm(3),
        normalization.GroupNorm(2, 1e-3, affine=False),
        shaping.Scale(2.0, 1.0),
        shaping.Scale(2.0),
        shaping.Scale(1.0, 3.0),
        shaping.Scale(),
        shaping.Flatten(),
        shaping.Dropout(),
        shaping.Split(3),
        shaping.Slice(1, 5, step=2),
        shaping.Reshape((3, -1)),
        channels.Select((4, 0, -1, 4)),
        channels.Select((2,), -1),
        channels.PadChannels(2, 1),
        channels.PadChannels(),
        channels.Affine(),
    ]
    merges = [(merge.Concat(), 3), (merge.Concat(-1), 2), (merge.Add(), 1), (merge.Add(), 2), (merge.Add(), 4)]
    merges += [(merge.Mul(), 3), (merge.Max(), 3)]
    return [(op, (shape,)) for op in unary] + [(op, (shape,) * count) for op, count in merges]


def _spatial(shape: tuple[int, ...]) -> list[Case]:
    """Ops over one, two or three spatial axes."""
    rank = len(shape) - 1
    ops: list[Op] = [
        convolution.Conv(4, 3, 2, 1),
        convolution.Conv(4, 3, pad="same", groups=2, bias=False),
        convolution.Depthwise(3, multiplier=2),
        pooling.MaxPool("global"),
        pooling.AvgPool("global"),
        pooling.LPPool("global"),
        pooling.MaxPool(3, 2, 1),
        pooling.AvgPool(3, 2, 1),
        pooling.LPPool(2, 3, 1.5),
        pooling.LPPool(2, 1),
        pooling.LPPool(3, 2, 3, ceil=True),
        pooling.AdaptiveAvgPool(1),
        pooling.AdaptiveMaxPool(1),
        pooling.AdaptiveAvgPool(3),
        pooling.AdaptiveMaxPool(2),
        pooling.AdaptiveAvgPool((8, 3, 5)[:rank]),
        pooling.AdaptiveMaxPool(shape[1:]),
        normalization.LayerNorm(2),
        normalization.InstanceNorm(),
        normalization.InstanceNorm(1e-3, affine=True),
        normalization.LRN(3, 0.5, 0.9, 2.0),
        shaping.Pad(1),
        shaping.Pad((0, 1, 2)[:rank]),
        shaping.Pad((0, 1, 2)[:rank] + (2, 1, 0)[:rank], value=2.5),
        shaping.Pad(2, "reflect"),
        shaping.Pad(3, "replicate"),
        resampling.Upsample(2),
        resampling.Upsample((3, 1, 2)[:rank]),
        shaping.Transpose(tuple(range(rank + 1, 0, -1))),
        shaping.Slice(-3, axis=-1),
        shaping.Split((1, 2, 5), -1),
        shaping.Reshape((-1,)),
    ]
    return [(op, (shape,)) for op in ops]


def _particular() -> list[Case]:
    """Asymmetric windows, broadcasting, and what exists at one rank only."""
    image: list[Op] = [
        convolution.Conv(4, (3, 2), (2, 1), (1, 0, 0, 1), (1, 2)),
        convolution.Conv(4, 3, 2, "same_tf"),
        pooling.MaxPool(3, 2, "same_tf"),
        pooling.MaxPool(2, 2, (0, 0, 1, 1)),
        pooling.AvgPool(3, 2, "same_tf"),
        pooling.AvgPool(3, 2, "same_tf", ceil=True),
        pooling.AvgPool(3, 2, "same_tf", count_include_pad=False),
        resampling.Upsample(2, "bilinear"),
        resampling.Upsample((3, 1), "bilinear"),
        resampling.Upsample((2, 3), "bilinear", align_corners=True),
    ]
    cases: list[Case] = [(op, (IMAGE,)) for op in image]
    cases += [(linear.Linear(5, bias=bias), (shape,)) for bias in (True, False) for shape in (VECTOR, SEQUENCE)]
    cases += [(resampling.Upsample((2, 3), "bilinear", align_corners=True), ((2, 1, 1),))]
    cases += [
        (linear.RBF(5), (VECTOR,)),
        (merge.Add(), (IMAGE, (6, 1, 1))),
        (merge.Mul(), ((6, 1, 1), IMAGE, (1, 7, 1))),
    ]
    return cases


CASES = _pointwise() + _particular() + SEQUENCE_CASES + VISION_CASES
CASES += [case for shape in (VECTOR, SEQUENCE, IMAGE, VOLUME) for case in _any_rank(shape)]
CASES += [case for shape in (SEQUENCE, IMAGE, VOLUME) for case in _spatial(shape)]


def test_every_op_has_a_rule_a_case_and_a_reference() -> None:
    assert set(RULES) == {*OPS.values(), Steps, Recur}  # those two stand together, in tests/graph/test_recurrence.py
    assert set(OPS.values()) == set(REFERENCE)
    assert set(OPS.values()) == {type(op) for op, _ in CASES}


@pytest.mark.parametrize("opset", OPSETS)
@pytest.mark.parametrize("cls", list(REFERENCE), ids=lambda cls: cls.name)
def test_rule_computes_what_pytorch_computes(cls: type[Op], opset: int) -> None:
    for op, shapes in CASES:
        if type(op) is cls and opset <= LAST_OPSET.get(cls, NEWEST):
            compare(op, shapes, opset, batch=3)


@pytest.mark.parametrize("opset", [13, 17, 21, NEWEST])
@pytest.mark.parametrize("cls", list(REFERENCE), ids=lambda cls: cls.name)
def test_rule_passes_the_full_check_and_strict_inference_agrees(cls: type[Op], opset: int) -> None:
    for op, shapes in CASES:
        if type(op) is cls and opset <= LAST_OPSET.get(cls, NEWEST):
            graph = single(op, *shapes)
            model = onnx_model(graph, random_weights(graph), opset=opset)
            onnx.checker.check_model(model, full_check=True)
            _assert_described(model)


def _assert_described(model: onnx.ModelProto) -> None:
    """Every tensor's stated type is the one that ONNX infers on its own, the batch being the symbol N."""
    stated = {value.name: value.type for value in (*model.graph.value_info, *model.graph.output)}
    assert {name for node in model.graph.node for name in node.output} == set(stated)
    bare = onnx.ModelProto()
    bare.CopyFrom(model)
    del bare.graph.value_info[:]
    for output in bare.graph.output:
        output.type.tensor_type.ClearField("shape")
    inferred = onnx.shape_inference.infer_shapes(bare, check_type=True, strict_mode=True, data_prop=True)
    found = {value.name: value.type for value in (*inferred.graph.value_info, *inferred.graph.output)}
    for name, kind in stated.items():
        dims, ours = found[name].tensor_type.shape.dim, kind.tensor_type.shape.dim
        assert [d.dim_value for d in dims] == [d.dim_value for d in ours], name
        assert found[name].tensor_type.elem_type == kind.tensor_type.elem_type


def test_a_wrong_type_of_ours_would_fail_the_export(monkeypatch: pytest.MonkeyPatch) -> None:
    """The check on each export is not vacuous."""
    monkeypatch.setattr(shaping.Flatten, "infer", lambda self, inputs: (TensorType((inputs[0].elements + 1,)),))
    with pytest.raises(onnx.shape_inference.InferenceError):
        onnx_model(single(shaping.Flatten(), IMAGE), {})


@st.composite
def windows(draw: st.DrawFn) -> tuple[pooling.MaxPool | pooling.AvgPool, tuple[int, ...]]:
    """Pooling configurations of the grid where frameworks disagree: ceil mode, padding, dilation, counting."""
    rank = draw(st.integers(1, 3))
    sizes = st.tuples(*[st.integers(1, 11)] * rank)
    kernel = draw(st.tuples(*[st.integers(1, 4)] * rank))
    stride = draw(st.tuples(*[st.integers(1, 5)] * rank))
    pad = draw(st.integers(0, min(kernel) // 2))
    if draw(st.booleans()):
        dilation = draw(st.integers(1, 3))
        return pooling.MaxPool(kernel, stride, pad, dilation, draw(st.booleans())), (2, *draw(sizes))
    return pooling.AvgPool(kernel, stride, pad, draw(st.booleans()), draw(st.booleans())), (2, *draw(sizes))


@settings(max_examples=400, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.filter_too_much])
@given(windows(), st.sampled_from([13, 19, 22]))
def test_pooling_windows_match_pytorch(
    case: tuple[pooling.MaxPool | pooling.AvgPool, tuple[int, ...]], opset: int
) -> None:
    op, shape = case
    try:
        op.infer((TensorType(shape),))
    except ShapeError:
        return
    compare(op, (shape,), opset)


def _pools(size: int, ceil: bool) -> list[pooling.MaxPool | pooling.AvgPool]:
    ops: list[pooling.MaxPool | pooling.AvgPool] = []
    for kernel, stride in itertools.product((2, 3, 4), (1, 2, 3, 4)):
        for pad in range(kernel // 2 + 1):
            if size + 2 * pad >= kernel:
                ops += [pooling.AvgPool(kernel, stride, pad, ceil, counted) for counted in (True, False)]
                ops.append(pooling.MaxPool(kernel, stride, pad, ceil=ceil))
    return ops


@pytest.mark.parametrize("ceil", [False, True])
@pytest.mark.parametrize("size", range(3, 15))
def test_ceil_grid_matches_pytorch(size: int, ceil: bool) -> None:
    """All pools of one input size as outputs of one model: 2016 configurations in 24 models."""
    source = image(2, size, size + 1)
    layers = [layer(f"pool{i}", op, source) for i, op in enumerate(_pools(size, ceil))]
    graph = network([source, *layers], **{f"y{i}": node for i, node in enumerate(layers)})
    inputs = random_inputs(graph, batch=1)
    results = run_onnx(onnx_model(graph, {}), inputs)
    for node, ours in zip(layers, results, strict=True):
        theirs = REFERENCE[type(node.op)](node.op, [torch.from_numpy(inputs["image"])], {})
        np.testing.assert_allclose(ours, theirs.numpy(), rtol=2e-5, atol=2e-5, err_msg=str(node.op))


def test_pooling_never_leans_on_ceil_mode() -> None:
    for op in (
        pooling.MaxPool(3, 2, 1, ceil=True),
        pooling.AvgPool(3, 2, 1, ceil=True),
        pooling.LPPool(3, 2, ceil=True),
    ):
        model = onnx_model(single(op, (1, 8, 8)), {})
        modes = [a.i for node in model.graph.node for a in node.attribute if a.name == "ceil_mode"]
        assert modes == [0]


@settings(max_examples=100, deadline=None, derandomize=True)
@given(
    st.sampled_from(["avg", "max"]), st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), min_size=1, max_size=3)
)
def test_adaptive_shares_match_pytorch(kind: str, axes: list[tuple[int, int]]) -> None:
    cls = pooling.AdaptiveAvgPool if kind == "avg" else pooling.AdaptiveMaxPool
    compare(cls(tuple(out for _, out in axes)), ((2, *(size for size, _ in axes)),), 17)


@pytest.mark.parametrize("opset", [13, 18])
def test_large_values_overflow_nowhere(opset: int) -> None:
    """Compositions hold up where exp(x) alone would not."""
    for op in (activation.Softplus(), activation.Mish(), activation.SiLU(), activation.GELU(), activation.GELU("tanh")):
        compare(op, ((64,),), opset, spread=200)
