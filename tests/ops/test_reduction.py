"""Reductions against torch's shapes and types."""

from __future__ import annotations

from collections.abc import Callable

import torch
from hypothesis import given
from hypothesis import strategies as st
from ops_authority import PROPERTY, call, counts, inferred, refusal, samples, typed
from support import compiled
from torch import Tensor

from archdsl.graph.costs import costs
from archdsl.ops.base import GLOBAL, TensorType

SEVERAL: dict[str, Callable[..., Tensor]] = {
    "reduce_mean": torch.mean, "reduce_sum": torch.sum, "reduce_max": torch.amax, "reduce_min": torch.amin,
}  # fmt: skip


@PROPERTY
@given(st.sampled_from(sorted(SEVERAL)), samples(), st.lists(st.integers(-4, 4), min_size=1, max_size=3), st.booleans())
def test_shapes_are_torchs(name: str, value: TensorType, axes: list[int], keep: bool) -> None:
    rank = len(value.shape)
    batch = any(axis in (0, -rank - 1) for axis in axes)
    try:
        expected = tuple(SEVERAL[name](torch.zeros(1, *value.shape), axes, keep).shape[1:])
    except (RuntimeError, IndexError):
        expected = None
    found = inferred(call(name, axes=tuple(axes), keep=keep), value)
    assert found == (None if expected is None or batch else [expected])


def test_one_axis_needs_no_list() -> None:
    net = compiled("network n { input x: [3, 4, 5]; a: reduce_mean(1); b: reduce_sum(@x, [2, -1], keep = true) }")
    assert [layer.output_types[0].shape for layer in net.checked.layers] == [(4, 5), (3, 1, 1)]


def test_nothing_left_and_twice_the_same() -> None:
    assert inferred(call("reduce_mean", axes=1), typed(6)) == [()]
    assert refusal(call("reduce_mean", axes=(1, -2)), typed(3, 4)).code == "axis-range"
    assert refusal(call("reduce_mean", axes=(0,)), typed(3, 4)).code == "axis-range"


def test_where_the_largest_is() -> None:
    assert call("argmax").infer((typed(3, 4),)) == (TensorType((4,), "int64"),)
    assert call("argmax", axis=-1, keep=True).infer((typed(3, 4),)) == (TensorType((3, 1), "int64"),)


def test_the_largest_few() -> None:
    op = call("topk", k=2, axis=1)
    assert op.infer((typed(3, 4),)) == (typed(2, 4), TensorType((2, 4), "int64"))
    assert op.results((typed(3, 4),)) == ("values", "indices")
    assert refusal(call("topk", k=5), typed(3, 4)).argument == "k"
    net = compiled("network n { input x: [9]; t: topk(3); output v: @t; output i: @t.indices }")
    assert [output.type.dtype for output in net.checked.outputs] == ["float32", "int64"]


def test_counts() -> None:
    assert counts(call("reduce_max", axes=(1,)), typed(3, 4)) == (0, 12)
    assert counts(call("argmax"), typed(3, 4)) == (0, 12)
    assert counts(call("topk", k=1), typed(3, 4)) == (0, 12)
    assert counts(call("l2_normalize"), typed(3, 4)) == (0, 36)


def test_what_an_element_sees() -> None:
    image = (typed(3, 4, 5),)
    assert call("reduce_mean", axes=(2, 3)).window(image) is GLOBAL
    assert call("reduce_mean", axes=1).window(image) is None
    net = compiled(
        "network n { input x: [4, 9, 7]; k: conv(4, 3); a: reduce_max(3); b: reduce_mean(2, keep = true)"
        "; c: linear(3) from @a; d: reduce_mean(1) from @k }"
    )
    fields = {path: costs(net.checked).layers[path].receptive_field for path in ("a", "b", "c", "d")}
    assert fields == {"a": (3, 7), "b": (9, 7), "c": (9, 7), "d": (3, 3)}


def test_normalizing_needs_a_bound() -> None:
    assert refusal(call("l2_normalize", eps=0), typed(3)).argument == "eps"
    assert call("l2_normalize", axis=2).window((typed(3, 4),)) is GLOBAL
    assert call("l2_normalize").window((typed(3, 4),)) is None
