"""Every PyTorch rule against an independent reference, as a function of `forward` and inside `nn.Sequential`."""

from __future__ import annotations

import itertools
import math
import random

import numpy as np
import pytest
import torch
from hand_built import image, layer, network, random_inputs, random_weights, single
from sequence_reference import SEQUENCE_CASES
from torch_oracle import BATCH_NORMS, agree
from vision_reference import VISION_CASES

from archdsl.emit.torch import table
from archdsl.emit.torch.module import module
from archdsl.emit.torch.rules import RULES, Unsupported, rule
from archdsl.emit.torch.source import torch_source
from archdsl.graph.graph import CheckedGraph
from archdsl.language.diagnostics import ArchError
from archdsl.ops import activation, channels, convolution, linear, merge, normalization, pooling, resampling, shaping
from archdsl.ops.base import OPS, Op, ShapeError, TensorType
from archdsl.ops.embedding import Parameter
from archdsl.ops.geometry import Geometry
from archdsl.ops.recurrence import Recur, Steps

VECTOR, SEQUENCE, IMAGE, VOLUME = (6,), (6, 8), (6, 7, 8), (6, 3, 7, 8)
Shapes = tuple[tuple[int, ...] | TensorType, ...]
Case = tuple[Op, Shapes]


def _activations() -> list[Op]:
    plain = "ReLU ReLU6 SELU SiLU Mish Sigmoid Tanh HardSigmoid HardSwish GELU Softplus LeakyReLU ELU HardTanh"
    ops: list[Op] = [getattr(activation, name)() for name in plain.split()]
    ops += [activation.LeakyReLU(0.1), activation.ELU(0.7), activation.GELU("tanh"), activation.Softplus(2.5)]
    ops += [activation.HardTanh(-0.5, 0.75), activation.PReLU(), activation.PReLU(True, 0.1)]
    return [*ops, activation.Softmax(), activation.Softmax(1), activation.LogSoftmax(), activation.LogSoftmax(1)]


def _norms(rank: int) -> list[Op]:
    ops: list[Op] = [normalization.BatchNorm(), normalization.BatchNorm(1e-3, 0.01, False)]
    ops += [normalization.LayerNorm(), normalization.LayerNorm(rank, 1e-3), normalization.LayerNorm(affine=False)]
    ops += [normalization.GroupNorm(3), normalization.GroupNorm(2, 1e-3, affine=False)]
    if rank == 1:
        return ops
    ops += [normalization.LRN(), normalization.LRN(3, 0.5, 0.6, 2.0)]
    return [*ops, normalization.InstanceNorm(), normalization.InstanceNorm(1e-3, affine=True)]


def _spatial() -> list[Op]:
    ops: list[Op] = [convolution.Conv(4, 3, 2, 1), convolution.Conv(4, 3, pad="same", groups=2, bias=False)]
    ops += [convolution.Conv(4, 2, dilation=2, pad="same_tf"), convolution.Depthwise(3, pad="same", multiplier=2)]
    ops += [pool("global") for pool in (pooling.MaxPool, pooling.AvgPool, pooling.LPPool)]
    ops += [pooling.MaxPool(3, 2, 1, ceil=True), pooling.AvgPool(3, 2, 1), pooling.AvgPool(3), pooling.LPPool(2, p=3)]
    ops += [pooling.MaxPool(2, 1, "same"), pooling.LPPool(3, 2, 1.5, ceil=True)]
    ops += [pooling.AdaptiveAvgPool(1), pooling.AdaptiveAvgPool(3), pooling.AdaptiveMaxPool(2)]
    ops += [shaping.Pad(1), shaping.Pad(2, value=-1.5), shaping.Pad(1, "reflect"), shaping.Pad(2, "replicate")]
    return [*ops, resampling.Upsample(2)]


def _on_images() -> list[Op]:
    ops: list[Op] = [convolution.Conv(4, (3, 1), (1, 2), (1, 0)), convolution.Conv(4, 3, 2, (0, 1, 2, 0))]
    ops += [pooling.MaxPool((2, 3)), pooling.MaxPool(3, 2, (1, 0, 0, 1)), pooling.AdaptiveMaxPool((2, 3))]
    ops += [shaping.Pad((1, 2, 3, 0)), shaping.Pad((1, 2), "reflect"), resampling.Upsample((2, 3))]
    ops += [resampling.Upsample(2, "bilinear"), resampling.Upsample((1, 3), "bilinear", True)]
    ops += [shaping.Transpose((2, 3, 1)), shaping.Transpose((1, 3, 2)), shaping.Reshape((2, 3, 7, 8))]
    ops += [shaping.Slice(1, -2, 2), shaping.Slice(-3, axis=-1), shaping.Slice(end=4, axis=3, step=2)]
    ops += [channels.Select((3, 1), -1), channels.Select((0, 0, 5), 2)]
    return [*ops, shaping.Split((1, 2, 4), 2), shaping.Split(4, -1), shaping.Flatten()]


def _any_shape() -> list[Op]:
    ops: list[Op] = [shaping.Scale(2.0, 1.0), shaping.Scale(offset=-3.0), shaping.Scale(0.5, -1.0), shaping.Scale()]
    ops += [channels.Select((4, 0, -1, 4)), channels.PadChannels(2, 1), channels.PadChannels(), channels.Affine()]
    return [*ops, shaping.Flatten(), shaping.Dropout(), shaping.Reshape((3, -1)), shaping.Split(3), shaping.Slice(1, 5)]


def _cases() -> list[Case]:
    cases: list[Case] = [(op, (shape,)) for shape in (VECTOR, IMAGE) for op in (*_activations(), *_any_shape())]
    cases += [(op, (shape,)) for shape in (VECTOR, SEQUENCE, IMAGE, VOLUME) for op in _norms(len(shape))]
    cases += [(op, (shape,)) for shape in (SEQUENCE, IMAGE, VOLUME) for op in _spatial()]
    cases += [(op, (IMAGE,)) for op in _on_images()]
    cases += [(linear.RBF(5), (VECTOR,)), (linear.Linear(5), (VECTOR,)), (linear.Linear(5, bias=False), (SEQUENCE,))]
    merges = [merge.Concat(), merge.Concat(-1), merge.Add(), merge.Mul(), merge.Max()]
    return cases + [(op, (IMAGE,) * count) for op in merges for count in (1, 2, 4)]


CASES = _cases() + SEQUENCE_CASES + VISION_CASES


def _rank(shape: tuple[int, ...] | TensorType) -> int:
    return len(shape.shape if isinstance(shape, TensorType) else shape)


def in_sequence(op: Op, shape: tuple[int, ...]) -> CheckedGraph:
    """The op as the child "1" of a chain; what comes before it halves the values."""
    value = image(*shape)
    first = layer("0", activation.Softplus(), value)
    return network([value, first, last := layer("1", op, first)], y=last)


@pytest.mark.parametrize(("op", "shapes"), CASES, ids=[f"{op}-{len(s)}x{_rank(s[0])}d" for op, s in CASES])
def test_a_rule_computes_what_the_op_means(op: Op, shapes: Shapes) -> None:
    agree(single(op, *shapes))
    (first, *others) = shapes
    if others or isinstance(first, TensorType) or isinstance(op, Parameter):  # a parameter needs a label
        return
    if not op.results((TensorType(first),)):
        agree(in_sequence(op, first))


def test_cases_cover_the_table() -> None:
    assert {type(op) for op, _ in CASES} == set(OPS.values())
    assert set(RULES) == {*OPS.values(), Steps, Recur}  # those two stand together, in tests/graph/test_recurrence.py


def test_a_second_rule_for_an_op_is_refused() -> None:
    with pytest.raises(AssertionError, match="relu"):
        rule(activation.ReLU)(lambda op, types: table.RULES[activation.ReLU](op, types))


def test_a_gap_is_a_named_error(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = single(activation.ReLU(), IMAGE)
    monkeypatch.setitem(RULES, activation.ReLU, Unsupported("it bends"))
    with pytest.raises(ArchError, match=r"torch-unsupported.*`block\.op` cannot be written as PyTorch: it bends"):
        torch_source(graph)
    monkeypatch.delitem(RULES, activation.ReLU)
    with pytest.raises(ArchError, match=r"torch-no-rule.*`relu`"):
        torch_source(graph)


def _pooled(pool: str, values: np.ndarray, geometry: Geometry, include: bool) -> np.ndarray:
    """Pooling of `[C, H, W]` window by window. A mean counts the padding or not, never what lies beyond it."""
    result = np.empty((values.shape[0], *geometry.output))
    for place in itertools.product(*map(range, geometry.output)):
        inside, counted = [slice(None)], 1
        for axis, index in enumerate(place):
            begin, end = geometry.padding[axis]
            size, kernel = geometry.input[axis], geometry.kernel[axis]
            start = index * geometry.stride[axis] - begin
            reach = range(start, start + kernel)
            inside.append([i for i in reach if 0 <= i < size])  # type: ignore[arg-type]
            counted *= sum(i < size + end for i in reach) if include else len(inside[-1])  # type: ignore[arg-type]
        window = values[:, inside[1]][:, :, inside[2]].reshape(len(values), -1)
        result[:, *place] = window.max(1) if pool == "max" else window.sum(1) / counted
    return result


def _random_pools(count: int) -> list[tuple[Op, tuple[int, ...]]]:
    """Pools of which half are padded differently on each side, and that fit their input."""
    rng = random.Random(4)
    found: list[tuple[Op, tuple[int, ...]]] = []
    while len(found) < count:
        shape = (2, rng.randint(3, 9), rng.randint(3, 9))
        kernel = (rng.randint(2, 4), rng.randint(2, 4))
        pad = tuple(rng.randint(0, kernel[axis % 2] // 2) for axis in range(rng.choice((2, 4))))
        stride, ceil = rng.randint(1, 4), rng.random() < 0.7
        average = pooling.AvgPool(kernel, stride, pad, ceil, rng.random() < 0.5)
        op = rng.choice((average, pooling.MaxPool(kernel, stride, pad, 1, ceil)))
        try:
            op.infer((TensorType(shape),))
        except ShapeError:
            continue
        found.append((op, shape))
    return found


def test_pooling_agrees_window_by_window() -> None:
    pools = _random_pools(150)
    values = [image(*shape, name=f"x{i}") for i, (_, shape) in enumerate(pools)]
    layers = [layer(f"pool{i}", op, value) for i, ((op, _), value) in enumerate(zip(pools, values, strict=True))]
    graph = network([*values, *layers], **{node.path: node for node in layers})
    inputs = {name: torch.from_numpy(value) for name, value in random_inputs(graph, 1).items()}
    found = module(graph, {})(*inputs.values())
    for (op, _), value, node in zip(pools, values, layers, strict=True):
        geometry = op.geometry((value.type,))  # type: ignore[attr-defined]
        name = "max" if isinstance(op, pooling.MaxPool) else "avg"
        expected = _pooled(name, inputs[value.path][0].numpy(), geometry, getattr(op, "count_include_pad", False))
        np.testing.assert_allclose(found[node.path][0], expected, rtol=1e-5, atol=1e-6, err_msg=str(op))


@pytest.mark.parametrize("path", ["drop", "1"])
def test_dropout_drops_in_train_mode_alone(path: str) -> None:
    value = image(1000)
    first = layer("first" if path == "drop" else "0", activation.ReLU(), value)
    net = module(network([value, first, last := layer(path, shaping.Dropout(0.25), first)], y=last), {})
    ones = torch.ones(4, 1000)
    torch.manual_seed(0)
    kept = net(ones)
    assert kept.unique().tolist() == pytest.approx([0, 4 / 3])
    assert 0.2 < float((kept == 0).float().mean()) < 0.3
    assert torch.equal(net.eval()(ones), ones)


def test_batchnorm_trains_with_its_momentum() -> None:
    graph = in_sequence(normalization.BatchNorm(momentum=0.25), IMAGE)
    net = module(graph, random_weights(graph))
    (norm,) = (part for part in net.modules() if isinstance(part, BATCH_NORMS))
    before = norm.running_mean.clone()
    net(torch.randn(3, *IMAGE))
    assert norm.momentum == 0.25
    assert int(norm.num_batches_tracked) == int(random_weights(graph)["1.num_batches_tracked"]) + 1
    assert not torch.allclose(norm.running_mean, before)


TEXTS = {
    "nn.Conv2d(6, 64, 7, stride=2, padding=3)": convolution.Conv(64, 7, 2, 3),
    "nn.Conv2d(6, 4, (1, 7), padding=(0, 3), bias=False)": convolution.Conv(4, (1, 7), 1, (0, 3), bias=False),
    "nn.Conv2d(6, 12, 3, groups=6)": convolution.Depthwise(3, multiplier=2),
    "self.op(F.pad(x, (0, 1, 0, 1)))": convolution.Conv(4, 2, 1, "same"),
    "nn.BatchNorm2d(6, eps=0.001)": normalization.BatchNorm(1e-3),
    "F.max_pool2d(image, 3, stride=2, padding=1)": pooling.MaxPool(3, 2, 1),
    "F.avg_pool2d(image, 2)": pooling.AvgPool(2),
    "F.adaptive_avg_pool2d(image, 1)": pooling.AvgPool("global"),
    'F.max_pool2d(F.pad(image, (0, 1, 0, 1), value=float("-inf")), 2, stride=1)': pooling.MaxPool(2, 1, "same"),
    "torch.flatten(image, 1)": shaping.Flatten(),
    "F.dropout(image, 0.4, self.training)": shaping.Dropout(0.4),
    "image.reshape(image.shape[0], 3, -1)": shaping.Reshape((3, -1)),
    "image.permute(0, 3, 1, 2)": shaping.Transpose((3, 1, 2)),
    "image[:, :, 1:-1]": shaping.Slice(1, -1, 2),
    "image[:, (0, 2, 5)]": channels.Select((0, 2, 5)),
    "F.pad(image, (0, 0, 0, 0, 0, 6))": channels.PadChannels(after=6),
    "ChannelAffine(6)": channels.Affine(),
    "0.17 * image": shaping.Scale(0.17),
    "F.gelu(image)": activation.GELU(),
}


@pytest.mark.parametrize(("text", "op"), TEXTS.items(), ids=TEXTS)
def test_text_is_what_one_would_write(text: str, op: Op) -> None:
    value = image(*IMAGE)
    source = torch_source(network([value, node := layer("part.op", op, value)], y=node))
    assert f" {text}" in source


def test_infinite_literals_are_source() -> None:
    graph = single(shaping.Pad(1, value=-math.inf), IMAGE)
    assert 'value=float("-inf")' in torch_source(graph)
    agree(graph)
