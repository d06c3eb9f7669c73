"""Normalization against torch's modules: shapes, weights and their first values, refusals."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from ops_authority import (
    PROPERTY,
    call,
    counts,
    images,
    in_torch,
    inferred,
    layer,
    refusal,
    samples,
    state_of,
    typed,
    weights_of,
)
from torch import nn

from archdsl.ops.base import TensorType

FIRST = {"zeros": 0.0, "ones": 1.0}


def batchnorm(value: TensorType, **keywords: object) -> nn.Module:
    kind = {1: nn.BatchNorm1d, 2: nn.BatchNorm1d, 3: nn.BatchNorm2d, 4: nn.BatchNorm3d}[len(value.shape)]
    return kind(value.shape[0], **keywords).eval()


@PROPERTY
@given(samples(), st.booleans())
def test_batchnorm_is_torchs(value: TensorType, affine: bool) -> None:
    op, module = call("batchnorm", affine=affine), batchnorm(value, affine=affine)
    assert weights_of(op, value) == state_of(module)
    assert inferred(op, value) == in_torch(module.to("meta"), value)


@PROPERTY
@given(samples(high=12), st.integers(1, 6), st.booleans())
def test_groupnorm_is_torchs_refusals_too(value: TensorType, groups: int, affine: bool) -> None:
    """Torch counts the batch when it refuses groups of one element, so they agree at a batch of 1."""
    op = call("groupnorm", groups=groups, affine=affine)
    if value.shape[0] % groups:
        assert inferred(op, value) is None
        with pytest.raises(ValueError, match="divisible"):
            nn.GroupNorm(groups, value.shape[0])
        return
    module = nn.GroupNorm(groups, value.shape[0], affine=affine, device="meta")
    assert inferred(op, value) == in_torch(module, value)
    assert weights_of(op, value) == state_of(module)


@PROPERTY
@given(images(high=3), st.booleans())
def test_instancenorm_is_torchs_refusals_too(value: TensorType, affine: bool) -> None:
    op, module = call("instancenorm", affine=affine), layer("InstanceNorm", value, value.shape[0], affine=affine)
    assert inferred(op, value) == in_torch(module.eval(), value)
    assert weights_of(op, value) == state_of(module)


@PROPERTY
@given(samples(), st.data(), st.booleans())
def test_layernorm_is_torchs(value: TensorType, data: st.DataObject, affine: bool) -> None:
    axes = data.draw(st.integers(1, len(value.shape)))
    op = call("layernorm", axes=axes, affine=affine)
    module = nn.LayerNorm(value.shape[-axes:], elementwise_affine=affine, device="meta")
    assert inferred(op, value) == in_torch(module, value)
    assert weights_of(op, value) == state_of(module)


@PROPERTY
@given(samples(), st.integers(1, 9))
def test_lrn_is_torchs_but_for_even_sizes(value: TensorType, size: int) -> None:
    """Stricter: torch accepts an even size, and places it otherwise than ONNX."""
    expected = None if size % 2 == 0 else in_torch(nn.LocalResponseNorm(size), value)
    assert inferred(call("lrn", size=size), value) == expected


@pytest.mark.parametrize(
    ("op", "module"),
    [
        (call("batchnorm"), nn.BatchNorm2d(6)),
        (call("groupnorm", groups=3), nn.GroupNorm(3, 6)),
        (call("layernorm", axes=3), nn.LayerNorm((6, 4, 4))),
        (call("instancenorm", affine=True), nn.InstanceNorm2d(6, affine=True)),
    ],
)
def test_first_values_and_defaults_are_torchs(op: object, module: nn.Module) -> None:
    for weight in op.weights((typed(6, 4, 4),)):
        first = module.state_dict()[weight.name]
        assert torch.equal(first, torch.full_like(first, FIRST[weight.init.scheme]))
    assert op.eps == module.eps
    assert getattr(op, "momentum", None) == getattr(module, "momentum", None) or op.name == "instancenorm"


def test_lrn_defaults_are_torchs() -> None:
    op, module = call("lrn"), nn.LocalResponseNorm(5)
    assert (op.size, op.alpha, op.beta, op.k) == (5, module.alpha, module.beta, module.k)


@pytest.mark.parametrize(
    ("op", "each"),
    [
        (call("batchnorm"), 2),
        (call("batchnorm", affine=False), 2),
        (call("lrn", size=5), 9),
        (call("layernorm"), 7),
        (call("layernorm", affine=False), 5),
        (call("groupnorm", groups=2), 7),
        (call("instancenorm"), 5),
        (call("instancenorm", affine=True), 7),
    ],
)
def test_operations_for_each_element(op: object, each: int) -> None:
    assert counts(op, typed(6, 4, 5)) == (0, each * 6 * 4 * 5)


def test_an_even_lrn_is_refused() -> None:
    error = refusal(call("lrn", size=4), typed(64, 56, 56))
    assert (error.code, error.argument) == ("lrn-even-size", "size")
    assert error.message == "`lrn` over 4 channels has no middle channel"
    assert error.help == "use an odd size: 3 or 5"
    assert error.replacements == ("5", "3")


def test_groups_of_unequal_size() -> None:
    error = refusal(call("groupnorm", groups=4), typed(30, 8, 8))
    assert (error.code, error.argument) == ("groups-divide", "groups")
    assert error.message == "30 channels cannot be split into 4 equal groups"
    assert error.notes == ("30 = 7 * 4 + 2",)
    assert error.help == "`groups` must divide 30: 1, 2, 3, 5, 6, 10, 15, 30"


def test_layernorm_over_more_axes_than_there_are() -> None:
    error = refusal(call("layernorm", axes=3), typed(16, 64))
    assert (error.code, error.argument, error.replacements) == ("axis-range", "axes", ("2",))
    assert error.message == "`layernorm` over 3 axes, but [N, 16, 64] has 2 after the batch"


def test_statistics_of_a_single_element() -> None:
    error = refusal(call("instancenorm"), typed(64, 1, 1))
    assert error.message == "`instancenorm` of [N, 64, 1, 1] has one element for each channel, which normalizes to 0"
    error = refusal(call("groupnorm", groups=8), typed(8, 1, 1))
    assert error.message == "each of the 8 groups of [N, 8, 1, 1] is a single element, which normalizes to 0"


@pytest.mark.parametrize(
    ("op", "argument"),
    [
        (call("batchnorm", momentum=1.5), "momentum"),
        (call("batchnorm", eps=-1e-5), "eps"),
        (call("layernorm", eps=-1.0), "eps"),
        (call("groupnorm", groups=1, eps=-1.0), "eps"),
        (call("instancenorm", eps=-1.0), "eps"),
    ],
)
def test_numbers_that_mean_nothing(op: object, argument: str) -> None:
    """Stricter than torch, which takes any number here."""
    error = refusal(op, typed(6, 4, 4))
    assert (error.code, error.argument) == ("argument-value", argument)
    assert f"`{argument}`" in error.message


@pytest.mark.parametrize("name", ["lrn", "instancenorm"])
def test_a_vector_has_no_space(name: str) -> None:
    assert refusal(call(name), typed(10)).code == "rank-mismatch"


def test_batchnorm_knows_three_spatial_axes() -> None:
    error = refusal(call("batchnorm"), typed(2, 3, 4, 5, 6))
    assert error.code == "rank-mismatch"
    assert (
        error.message
        == "`batchnorm` needs channels and at most three spatial axes, but its input is [N, 2, 3, 4, 5, 6]"
    )
