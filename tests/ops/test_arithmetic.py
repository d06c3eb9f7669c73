"""Elementwise arithmetic against torch's shapes and types."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from ops_authority import PROPERTY, call, counts, inferred, refusal, typed
from support import compiled, messages
from torch import Tensor

from archdsl.ops.base import TensorType

BINARY: dict[str, Callable[..., Tensor]] = {
    "sub": torch.sub, "div": torch.div, "minimum": torch.minimum, "greater": torch.gt, "less": torch.lt,
    "equal": torch.eq,
}  # fmt: skip


SIZES = st.tuples(st.integers(1, 3), st.integers(1, 3))


@PROPERTY
@given(st.sampled_from(sorted(BINARY)), st.lists(SIZES, min_size=1, max_size=3))
def test_broadcasting_is_torchs(name: str, sizes: list[tuple[int, int]]) -> None:
    left, right = (typed(*shape) for shape in zip(*sizes, strict=True))
    try:
        result = BINARY[name](torch.zeros(1, *left.shape), torch.zeros(1, *right.shape))
    except RuntimeError:
        assert refusal(call(name), left, right).code == "merge-shape"
        return
    (found,) = call(name).infer((left, right))
    assert (found.shape, found.dtype) == (tuple(result.shape[1:]), str(result.dtype).removeprefix("torch."))
    assert counts(call(name), left, right) == (0, result.numel())


def test_ranks_have_to_agree() -> None:
    """Other than in torch, where a missing axis counts from the left: here that would be the batch's place."""
    assert refusal(call("sub"), typed(2, 3), typed(3)).code == "merge-shape"


@pytest.mark.parametrize("name", ["abs", "neg", "exp", "log", "sqrt", "sin", "cos"])
def test_functions_keep_the_type(name: str) -> None:
    assert inferred(call(name), typed(3, 4)) == [(3, 4)]
    assert counts(call(name), typed(3, 4)) == (0, 12)


def test_types_are_not_mixed() -> None:
    assert refusal(call("sub"), typed(3), TensorType((3,), "float64")).code == "dtype-mismatch"
    numbers = TensorType((3,), "int64")
    assert refusal(call("where"), typed(3), typed(3), typed(3)).code == "dtype-mismatch"
    assert refusal(call("where"), TensorType((3,), "bool"), typed(3), numbers).code == "dtype-mismatch"
    assert messages("network n { input a: int64 [3]; input b: int64 [3]; sub(@a, @b) }") == [
        "dtype-mismatch: `sub` computes with floating-point numbers, but its input is int64"
    ]


def test_a_choice_by_comparison() -> None:
    net = compiled("network n { input a: [3]; input b: [3]; c: greater(@a, @b); output y: where(@c, @a, @b) }")
    assert net.checked.layer("c").output_types[0].dtype == "bool"
    assert net.checked.outputs[0].type == typed(3)


def test_bounds() -> None:
    assert refusal(call("clamp"), typed(3)).code == "argument-value"
    assert refusal(call("clamp", min=1, max=0), typed(3)).argument == "min"
    assert inferred(call("clamp", min=0, max=0), typed(3)) == [(3,)]
