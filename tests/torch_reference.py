"""What PyTorch computes for every op: the authority, written by nobody here, that the ONNX rules are held against."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from hand_built import random_inputs, random_weights, run_onnx, single
from sequence_reference import SEQUENCE_REFERENCE
from vision_reference import VISION_REFERENCE

from archdsl.emit.onnx.model import onnx_model
from archdsl.ops import activation, channels, convolution, linear, merge, normalization, pooling, resampling, shaping
from archdsl.ops.base import Op, TensorType

Tensors = list[torch.Tensor]
Reference = Callable[..., torch.Tensor | tuple[torch.Tensor, ...]]


def _padded(x: torch.Tensor, pairs: tuple[tuple[int, int], ...], value: float) -> torch.Tensor:
    flat = [number for pair in reversed(pairs) for number in pair]
    return F.pad(x, flat, value=value)


def _conv(op: convolution.Conv, x: Tensors, w: dict[str, torch.Tensor]) -> torch.Tensor:
    geometry = op.geometry((TensorType(tuple(x[0].shape[1:])),))
    convolve = (F.conv1d, F.conv2d, F.conv3d)[x[0].dim() - 3]
    padded = _padded(x[0], geometry.padding, 0.0)
    return convolve(padded, w["weight"], w.get("bias"), op.stride, 0, op.dilation, op.groups)


def _depthwise(op: convolution.Depthwise, x: Tensors, w: dict[str, torch.Tensor]) -> torch.Tensor:
    return _conv(op.conv((TensorType(tuple(x[0].shape[1:])),)), x, w)


def _maxpool(op: pooling.MaxPool, x: Tensors, _: object) -> torch.Tensor | tuple[torch.Tensor, ...]:
    if op.kernel == "global":
        return x[0].amax(dim=tuple(range(2, x[0].dim())), keepdim=True)
    pool = (F.max_pool1d, F.max_pool2d, F.max_pool3d)[x[0].dim() - 3]
    pad = op.pad if isinstance(op.pad, int) else 0
    value = x[0]
    if not isinstance(op.pad, int):
        value = _padded(value, op.geometry((TensorType(tuple(x[0].shape[1:])),)).padding, -math.inf)
    return pool(value, op.kernel, op.stride, pad, op.dilation, op.ceil, op.indices)


def _avgpool(op: pooling.AvgPool, x: Tensors, _: object) -> torch.Tensor:
    if op.kernel == "global":
        return x[0].mean(dim=tuple(range(2, x[0].dim())), keepdim=True)
    pool = (F.avg_pool1d, F.avg_pool2d, F.avg_pool3d)[x[0].dim() - 3]
    if isinstance(op.pad, int):
        return pool(x[0], op.kernel, op.stride, op.pad, op.ceil, op.count_include_pad)
    padding = op.geometry((TensorType(tuple(x[0].shape[1:])),)).padding
    total = pool(_padded(x[0], padding, 0.0), op.kernel, op.stride, 0, op.ceil)
    if op.count_include_pad:
        return total
    share = pool(_padded(torch.ones_like(x[0]), padding, 0.0), op.kernel, op.stride, 0, op.ceil)
    return total / share


def _lppool(op: pooling.LPPool, x: Tensors, _: object) -> torch.Tensor:
    kernel = tuple(x[0].shape[2:]) if op.kernel == "global" else op.kernel
    kernel = kernel[0] if isinstance(kernel, tuple) and len(kernel) == 1 else kernel
    pool = (F.lp_pool1d, F.lp_pool2d, F.lp_pool3d)[x[0].dim() - 3]
    return pool(x[0], float(op.p), kernel, op.stride, op.ceil)


def _adaptive(name: str) -> Reference:
    def pool(op: pooling.AdaptiveAvgPool, x: Tensors, _: object) -> torch.Tensor:
        return getattr(F, f"adaptive_{name}_pool{x[0].dim() - 2}d")(x[0], op.out)

    return pool


def _batchnorm(op: normalization.BatchNorm, x: Tensors, w: dict[str, torch.Tensor]) -> torch.Tensor:
    moments = (w["running_mean"], w["running_var"])
    return F.batch_norm(x[0], *moments, w.get("weight"), w.get("bias"), eps=op.eps)


def _upsample(op: resampling.Upsample, x: Tensors, _: object) -> torch.Tensor:
    scale = tuple(map(float, op.scales((TensorType(tuple(x[0].shape[1:])),))))
    corners = op.align_corners if op.mode == "bilinear" else None
    return F.interpolate(x[0], scale_factor=scale, mode=op.mode, align_corners=corners)


def _slice(op: shaping.Slice, x: Tensors, _: object) -> torch.Tensor:
    cut: list[slice] = [slice(None)] * x[0].dim()
    cut[op.axis] = slice(op.start, op.end, op.step)
    return x[0][tuple(cut)]


def _split(op: shaping.Split, x: Tensors, _: object) -> tuple[torch.Tensor, ...]:
    if isinstance(op.parts, int):
        return torch.tensor_split(x[0], op.parts, dim=op.axis)
    return torch.split(x[0], list(op.parts), dim=op.axis)


def _pad(op: shaping.Pad, x: Tensors, _: object) -> torch.Tensor:
    flat = [number for pair in reversed(op.pairs((TensorType(tuple(x[0].shape[1:])),))) for number in pair]
    if op.mode == "zero":
        return F.pad(x[0], flat, value=op.value)
    return F.pad(x[0], flat, mode=op.mode)


def _pad_channels(op: channels.PadChannels, x: Tensors, _: object) -> torch.Tensor:
    batch, _channels, *rest = x[0].shape
    before, after = (x[0].new_zeros(batch, count, *rest) for count in (op.before, op.after))
    return torch.cat([before, x[0], after], 1)


def _unary(function: Callable[[torch.Tensor], torch.Tensor]) -> Reference:
    return lambda op, x, w: function(x[0])


REFERENCE: dict[type[Op], Reference] = {
    convolution.Conv: _conv,
    convolution.Depthwise: _depthwise,
    linear.Linear: lambda op, x, w: F.linear(x[0], w["weight"], w.get("bias")),
    pooling.MaxPool: _maxpool,
    pooling.AvgPool: _avgpool,
    pooling.LPPool: _lppool,
    pooling.AdaptiveAvgPool: _adaptive("avg"),
    pooling.AdaptiveMaxPool: _adaptive("max"),
    normalization.BatchNorm: _batchnorm,
    normalization.LRN: lambda op, x, w: F.local_response_norm(x[0], op.size, op.alpha, op.beta, op.k),
    normalization.LayerNorm: lambda op, x, w: F.layer_norm(
        x[0], x[0].shape[-op.axes :], w.get("weight"), w.get("bias"), op.eps
    ),
    normalization.GroupNorm: lambda op, x, w: F.group_norm(x[0], op.groups, w.get("weight"), w.get("bias"), op.eps),
    normalization.InstanceNorm: lambda op, x, w: F.instance_norm(
        x[0], weight=w.get("weight"), bias=w.get("bias"), eps=op.eps
    ),
    activation.ReLU: _unary(F.relu),
    activation.ReLU6: _unary(F.relu6),
    activation.LeakyReLU: lambda op, x, w: F.leaky_relu(x[0], op.slope),
    activation.PReLU: lambda op, x, w: F.prelu(x[0], w["weight"]),
    activation.ELU: lambda op, x, w: F.elu(x[0], op.alpha),
    activation.SELU: _unary(F.selu),
    activation.GELU: lambda op, x, w: F.gelu(x[0], approximate=op.approximate),
    activation.SiLU: _unary(F.silu),
    activation.Mish: _unary(F.mish),
    activation.Sigmoid: _unary(torch.sigmoid),
    activation.Tanh: _unary(torch.tanh),
    activation.Softplus: lambda op, x, w: F.softplus(x[0], op.beta),
    activation.HardSigmoid: _unary(F.hardsigmoid),
    activation.HardSwish: _unary(F.hardswish),
    activation.HardTanh: lambda op, x, w: F.hardtanh(x[0], op.min, op.max),
    activation.Softmax: lambda op, x, w: F.softmax(x[0], op.axis),
    activation.LogSoftmax: lambda op, x, w: F.log_softmax(x[0], op.axis),
    shaping.Dropout: _unary(lambda x: x),
    shaping.Flatten: _unary(lambda x: torch.flatten(x, 1)),
    shaping.ReshapeAs: lambda op, x, w: x[0].reshape_as(x[1]),
    shaping.Reshape: lambda op, x, w: x[0].reshape(x[0].shape[0], *op.shape),
    shaping.Transpose: lambda op, x, w: x[0].permute(0, *op.order),
    shaping.Pad: _pad,
    shaping.Slice: _slice,
    shaping.Split: _split,
    resampling.Upsample: _upsample,
    shaping.Scale: lambda op, x, w: op.factor * x[0] + op.offset,
    channels.Select: lambda op, x, w: x[0].index_select(
        op.axis, torch.tensor([index % x[0].shape[op.axis] for index in op.indices])
    ),
    channels.PadChannels: _pad_channels,
    channels.Affine: lambda op, x, w: torch.addcmul(w["bias"], x[0].movedim(1, -1), w["weight"]).movedim(-1, 1),
    linear.RBF: lambda op, x, w: torch.cdist(x[0], w["centers"], compute_mode="donot_use_mm_for_euclid_dist") ** 2,
    merge.Concat: lambda op, x, w: torch.cat(x, op.axis),
    merge.Add: lambda op, x, w: functools.reduce(torch.add, x),
    merge.Mul: lambda op, x, w: functools.reduce(torch.mul, x),
    merge.Max: lambda op, x, w: functools.reduce(torch.maximum, x),
}


REFERENCE |= SEQUENCE_REFERENCE | VISION_REFERENCE


def compare(
    op: Op, shapes: tuple[tuple[int, ...] | TensorType, ...], opset: int, batch: int = 2, spread: float = 2
) -> None:
    """The op on onnxruntime against PyTorch, to float32's rounding."""
    graph = single(op, *shapes)
    weights, inputs = random_weights(graph), random_inputs(graph, batch, spread=spread)
    results = run_onnx(onnx_model(graph, weights, opset=opset), inputs)
    short = {
        weight.name: torch.from_numpy(weights[node.key(weight)]) for node in graph.layers for weight in node.weights
    }
    expected = REFERENCE[type(op)](op, [torch.from_numpy(value) for value in inputs.values()], short)
    expected = expected if isinstance(expected, tuple) else (expected,)
    assert len(results) == len(expected)
    for ours, theirs in zip(results, expected, strict=True):
        np.testing.assert_allclose(ours, theirs.numpy(), rtol=2e-5, atol=2e-5)
