"""`linear` against `torch.nn.Linear` and torch's flop counter; `rbf` against distances by torch."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from ops_authority import PROPERTY, call, counts, in_torch, inferred, refusal, samples, state_of, typed, weights_of
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from archdsl.ops.base import GLOBAL, TensorType


@PROPERTY
@given(samples(max_rank=2, high=40), st.integers(1, 40), st.booleans())
def test_linear_is_torchs(value: TensorType, out: int, bias: bool) -> None:
    op, module = call("linear", out=out, bias=bias), nn.Linear(value.shape[-1], out, bias, device="meta")
    assert inferred(op, value) == in_torch(module, value)
    assert weights_of(op, value) == state_of(module)
    with FlopCounterMode(display=False) as counter:
        module(torch.empty(1, *value.shape, device="meta"))
    macs, others = counts(op, value)
    assert macs * 2 == counter.get_total_flops()
    assert others == (op.infer((value,))[0].elements if bias else 0)
    assert op.window((value,)) is GLOBAL


def test_an_image_has_to_be_flattened_first() -> None:
    """Stricter than torch, whose `Linear` would silently act on the width."""
    error = refusal(call("linear", out=1000), typed(512, 7, 7))
    assert error.code == "rank-mismatch"
    assert error.message == "`linear` needs a vector [N, F] or a sequence [N, T, F], but its input is [N, 512, 7, 7]"
    assert error.help.startswith("put `flatten` before it: [N, 512, 7, 7] becomes [N, 25088]; or `reshape([-1, 7])`, ")


@pytest.mark.parametrize("name", ["weight", "bias"])
def test_fans_are_the_features(name: str) -> None:
    weight = next(w for w in call("linear", out=10).weights((typed(400),)) if w.name == name)
    assert (weight.fan_in, weight.fan_out) == (400, 10)


@PROPERTY
@given(samples(max_rank=3), st.integers(1, 20))
def test_rbf_is_a_distance_to_each_code(value: TensorType, out: int) -> None:
    """Stricter than `torch.cdist`, which takes several vectors at once."""
    op = call("rbf", out=out)
    if len(value.shape) > 1:
        error = refusal(op, value)
        assert error.code == "rank-mismatch"
        assert error.message == f"`rbf` needs a vector [N, F], but its input is {value}"
        assert error.help == f"put `flatten` before it: {value} becomes [N, {value.elements}]"
        return
    weights = weights_of(op, value)
    assert weights == {"centers": ((out, *value.shape), "float32", False)}
    centers = torch.empty(weights["centers"][0], device="meta")
    assert inferred(op, value) == in_torch(lambda x: torch.cdist(x, centers), value)
    assert op.window((value,)) is GLOBAL


def test_rbf_counts_what_the_paper_counts() -> None:
    """LeNet-5's output layer: 84 inputs, ten codes of as many bits, nothing trained."""
    op, value = call("rbf", out=10), typed(84)
    macs, differences = counts(op, value)
    assert macs == differences == 840
    assert not any(weight.trainable for weight in op.weights((value,)))
    assert not op.counts_depth
