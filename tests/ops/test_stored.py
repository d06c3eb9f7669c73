"""Weights that are stored in another form: what PyTorch stores in their place, and what a connection table leaves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from support import compiled, messages
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm, weight_norm

from archdsl.ops.base import Op, TensorType
from archdsl.ops.convolution import Conv
from archdsl.ops.linear import Linear
from archdsl.ops.transposed import Deconv

IMAGE, VECTOR = TensorType((6, 9, 9)), TensorType((7,))
LAYERS = [
    (Conv(4, (3, 2), groups=2), IMAGE, lambda: nn.Conv2d(6, 4, (3, 2), groups=2)),
    (Conv(4, 3, bias=False), TensorType((6, 9)), lambda: nn.Conv1d(6, 4, 3, bias=False)),
    (Deconv(4, 3, groups=2), IMAGE, lambda: nn.ConvTranspose2d(6, 4, 3, groups=2)),
    (Linear(5), VECTOR, lambda: nn.Linear(7, 5)),
]


@pytest.mark.parametrize("norm", ["weight", "spectral"])
@pytest.mark.parametrize(("op", "value", "module"), LAYERS)
def test_weights_are_those_of_torchs_parametrizations(
    norm: str, op: Op, value: TensorType, module: Callable[[], nn.Module]
) -> None:
    own = {"weight": weight_norm, "spectral": spectral_norm}[norm](module())
    weights = replace(op, norm=norm).weights((value,))
    assert [(weight.name, weight.shape) for weight in weights] == [
        (key, tuple(tensor.shape)) for key, tensor in own.state_dict().items()
    ]
    trained = {key for key, _ in own.named_parameters()}
    assert {weight.name for weight in weights if weight.trainable} == trained


def test_a_table_keeps_the_weights_of_its_connections() -> None:
    """Six maps, sixteen of them made, as section II-B of LeCun et al. (1998) counts: 1,516 trainable parameters."""
    rows = [(i, (i + 1) % 6, (i + 2) % 6) for i in range(6)] + [tuple((i + j) % 6 for j in range(4)) for i in range(9)]
    op = Conv(16, 5, table=(*(tuple(sorted(row)) for row in rows), tuple(range(6))))
    value = TensorType((6, 14, 14))
    assert [(weight.name, weight.shape) for weight in op.weights((value,))] == [("weight", (60, 5, 5)), ("bias", (16,))]
    assert sum(weight.elements for weight in op.weights((value,))) == 1_516
    assert op.macs((value,), op.infer((value,))) == 60 * 25 * 100
    assert {weight.fan_in for weight in op.weights((value,))} == {6 * 25}


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("table = [[0], [1]]", "argument-length: `table` has 2 rows for 3 output channels"),
        ("table = [[0], [1], []]", "argument-type: `table` of `conv` is a list of lists"),
        ("table = [[0], [1], [1.5]]", "argument-type: `table` of `conv` is a list of lists"),
        ("table = [0, 1, 2]", "argument-type: `table` of `conv` is a list of lists"),
        ("table = [[0], [1], [2]]", "argument-value: row 2 of `table` is [2]: it lists input channels, 0 to 1"),
        ("table = [[0], [1], [1, 0]]", "argument-value: row 2 of `table` is [1, 0]: it lists input channels"),
        ("table = [[0], [1], [1, 1]]", "argument-value: row 2 of `table` is [1, 1]: it lists input channels"),
        ("table = [[0], [1], [0]], norm = weight", "argument-value: `table` says which channels are connected"),
        ("norm = layer", "unknown-name: `norm` of `conv` does not know `layer`"),
        ("norm = relu", "argument-type: `norm` of `conv` is one of `none`, `weight`, `spectral`"),
    ],
)
def test_what_is_refused(arguments: str, expected: str) -> None:
    (found,) = messages(f"network n {{ input x: [2, 8, 8]; conv(3, 3, {arguments}) }}")
    assert found.startswith(expected)


def test_an_empty_table_is_none() -> None:
    assert compiled("network n { input x: [2, 8, 8]; conv(3, 3, table = []) }").report().totals.params == 57
