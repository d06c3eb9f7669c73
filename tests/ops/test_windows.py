"""Receptive windows against what torch's results depend on, found by differentiating them."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import pytest
import torch
from ops_authority import call, typed
from torch import Tensor, nn
from torch.nn import functional

from archdsl.ops.base import GLOBAL, Op, Window

LENGTH = 8
CHANNELS = 4


def dependence(function: Callable[[Tensor], Tensor]) -> Tensor:
    """Which input positions each output position depends on, `[out, in]`, over all channels."""
    torch.manual_seed(0)
    x = torch.rand(1, CHANNELS, LENGTH, dtype=torch.float64) + 0.1
    jacobian = torch.autograd.functional.jacobian(function, x)
    return jacobian.abs().sum(dim=(0, 1, 3, 4)) > 0


def sees(window: Window, position: int) -> set[int]:
    """Input positions under the window at an output position, as the definition of `Window` puts it."""
    (kernel,), (stride,), (dilation,), ((begin, _),) = window.kernel, window.stride, window.dilation, window.padding
    first = position * stride - begin
    return {int(first) + element * dilation for element in range(kernel)} & set(range(LENGTH))


def conv(**keywords: object) -> nn.Module:
    return nn.Conv1d(CHANNELS, CHANNELS, 3, **keywords).double()


@pytest.mark.parametrize(
    ("op", "function"),
    [
        (call("conv", out=4, kernel=3, stride=2, pad=1), conv(stride=2, padding=1)),
        (call("conv", out=4, kernel=3, dilation=2), conv(dilation=2)),
        (call("conv", out=4, kernel=3, pad=(0, 2)), lambda x: conv()(functional.pad(x, (0, 2)))),
        (call("conv", out=4, kernel=4, pad="same"), nn.Conv1d(CHANNELS, 4, 4, padding="same").double()),
        (call("depthwise", kernel=3), conv(groups=CHANNELS)),
        (call("avgpool", kernel=3, stride=2, pad=1), nn.AvgPool1d(3, 2, 1)),
        (call("avgpool", kernel=3, stride=2, ceil=True), nn.AvgPool1d(3, 2, ceil_mode=True)),
        (call("lppool", kernel=2), nn.LPPool1d(2, 2)),
        (call("adaptive_avgpool", out=4), nn.AdaptiveAvgPool1d(4)),
        (call("pad", amount=(2, 1)), lambda x: functional.pad(x, (2, 1))),
        (call("slice", start=1, end=7, axis=2, step=2), lambda x: x[:, :, 1:7:2]),
        (call("upsample", scale=3), nn.Upsample(scale_factor=3)),
    ],
)
def test_windows_cover_exactly_what_is_looked_at(op: Op, function: Callable[[Tensor], Tensor]) -> None:
    window = op.window((typed(CHANNELS, LENGTH),))
    assert isinstance(window, Window)
    for position, looked_at in enumerate(dependence(function)):
        assert sees(window, position) == set(looked_at.nonzero().flatten().tolist())


@pytest.mark.parametrize(
    ("op", "function"),
    [
        (call("linear", out=5), nn.Linear(LENGTH, 5).double()),
        (call("instancenorm"), nn.InstanceNorm1d(CHANNELS)),
        (call("groupnorm", groups=2), nn.GroupNorm(2, CHANNELS).double()),
        (call("layernorm"), nn.LayerNorm(LENGTH).double()),
        (call("layernorm", axes=2), nn.LayerNorm((CHANNELS, LENGTH)).double()),
        (call("softmax"), nn.Softmax(2)),
        (call("log_softmax"), nn.LogSoftmax(2)),
        (call("avgpool", kernel="global"), nn.AdaptiveAvgPool1d(1)),
        (call("adaptive_avgpool", out=1), nn.AdaptiveAvgPool1d(1)),
    ],
)
def test_global_ops_look_at_everything(op: Op, function: Callable[[Tensor], Tensor]) -> None:
    assert op.window((typed(CHANNELS, LENGTH),)) is GLOBAL
    assert dependence(function).all()


@pytest.mark.parametrize(
    ("op", "function"),
    [
        (call("batchnorm"), nn.BatchNorm1d(CHANNELS).double().eval()),
        (call("lrn", size=3), nn.LocalResponseNorm(3, alpha=1.0)),
        (call("softmax", axis=1), nn.Softmax(1)),
        (call("log_softmax", axis=-2), nn.LogSoftmax(1)),
        (call("silu"), nn.SiLU()),
        (call("prelu", per_channel=True), nn.PReLU(CHANNELS).double()),
        (call("dropout"), nn.Dropout().eval()),
        (call("scale", factor=2.0), lambda x: 2 * x),
        (call("select", indices=(3, 1, 1)), lambda x: x[:, [3, 1, 1]]),
        (call("pad_channels", after=2), lambda x: functional.pad(x, (0, 0, 0, 2))),
        (call("affine"), lambda x: x * torch.arange(1, CHANNELS + 1)[:, None] - 1),
        (call("reshape", shape=(CHANNELS, LENGTH)), lambda x: x.reshape(1, CHANNELS, LENGTH)),
    ],
)
def test_pointwise_ops_look_at_one_position(op: Op, function: Callable[[Tensor], Tensor]) -> None:
    assert op.window((typed(CHANNELS, LENGTH),)) is None
    assert torch.equal(dependence(function), torch.eye(LENGTH, dtype=torch.bool))


def test_bilinear_looks_at_two_neighbours_of_each_axis() -> None:
    """One on an axis that keeps its size; torch has `bilinear` on images only, so the axis is seen through one."""
    rows = dependence(lambda x: functional.interpolate(x[:, :, None], scale_factor=(1, 2), mode="bilinear")[:, :, 0])
    window = call("upsample", scale=(1, 2), mode="bilinear").window((typed(CHANNELS, 1, LENGTH),))
    assert window.kernel == (1, int(rows.sum(1).max()))
    assert window.stride == (1, Fraction(1, 2))
