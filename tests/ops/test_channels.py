"""Ops on single channels against the torch functions that do the same."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from ops_authority import PROPERTY, call, counts, in_torch, inferred, refusal, samples, typed, weights_of
from torch.nn import functional

from archdsl.ops.base import GLOBAL, TensorType


@PROPERTY
@given(samples(), st.data())
def test_select_is_torchs_index_select_refusals_too(value: TensorType, data: st.DataObject) -> None:
    axis = data.draw(st.integers(1, len(value.shape)))
    axis = data.draw(st.sampled_from([axis, axis - len(value.shape) - 1]))
    indices = data.draw(st.lists(st.integers(0, 7), min_size=1, max_size=5))
    # on the CPU, since meta tensors have no entries that an index could miss
    expected = in_torch(lambda x: x.index_select(axis, torch.tensor(indices)), value, device="cpu")
    assert inferred(call("select", indices=tuple(indices), axis=axis), value) == expected


@PROPERTY
@given(samples(max_rank=2), st.lists(st.integers(-7, 7), min_size=1, max_size=5))
def test_negative_numbers_count_from_the_end(value: TensorType, indices: list[int]) -> None:
    op = call("select", indices=tuple(indices))
    assert inferred(op, value) == in_torch(lambda x: x[:, indices], value, device="cpu")
    if inferred(op, value):
        size = value.shape[0]
        assert op.entries((value,)) == tuple(torch.arange(size)[indices].tolist())


@PROPERTY
@given(samples(), st.integers(0, 4), st.integers(0, 4))
def test_pad_channels_is_torchs_pad(value: TensorType, before: int, after: int) -> None:
    borders = (0, 0) * len(value.spatial) + (before, after)
    expected = in_torch(lambda x: functional.pad(x, borders), value)
    assert inferred(call("pad_channels", before=before, after=after), value) == expected


@PROPERTY
@given(samples())
def test_affine_has_a_coefficient_and_a_bias_a_channel(value: TensorType) -> None:
    """The trained numbers of a batch norm, without its statistics."""
    op, norm = call("affine"), call("batchnorm")
    assert inferred(op, value) == [value.shape]
    assert op.weights((value,)) == norm.weights((value,))[:2]
    assert weights_of(op, value)["weight"] == (value.shape[:1], "float32", True)


@pytest.mark.parametrize(
    ("op", "operations"),
    [(call("select", indices=(0, 1)), 0), (call("pad_channels", after=1), 0), (call("affine"), 2 * 6 * 4 * 4)],
)
def test_operations(op: object, operations: int) -> None:
    assert counts(op, typed(6, 4, 4)) == (0, operations)


def test_positions_move_only_where_space_is_picked_from() -> None:
    assert call("select", indices=(2, 0)).window((typed(3, 8, 8),)) is None
    assert call("select", indices=(2, 0), axis=-1).window((typed(3, 8, 8),)) is GLOBAL


@pytest.mark.parametrize(
    ("indices", "message"),
    [
        ((0, 6), "`indices` names 6, outside the 6 channels of [N, 6, 14, 14]"),
        ((-7, 1, 9), "`indices` names -7, 9, outside the 6 channels of [N, 6, 14, 14]"),
    ],
)
def test_entries_that_do_not_exist(indices: tuple[int, ...], message: str) -> None:
    error = refusal(call("select", indices=indices), typed(6, 14, 14))
    assert (error.code, error.argument, error.message) == ("slice-range", "indices", message)
    assert error.help == "entries are numbered 0 to 5, or -6 to -1 from the end"


def test_picking_nothing_and_picking_samples() -> None:
    assert refusal(call("select", indices=()), typed(4)).message == "`indices` is empty"
    assert refusal(call("select", indices=(0,), axis=0), typed(4)).code == "axis-range"
