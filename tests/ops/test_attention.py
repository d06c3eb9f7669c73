"""Matrix products and attention against torch: parameters, shapes, refusals, and work that grows with the square."""

from __future__ import annotations

import math

import pytest
import torch
from ops_authority import call, counts, in_torch, inferred, refusal, state_of, typed, weights_of
from support import compiled, messages
from torch import nn

from archdsl.graph.costs import costs
from archdsl.ops.base import TensorType


@pytest.mark.parametrize("bias", [True, False])
def test_parameters_are_torchs(bias: bool) -> None:
    op = call("multihead_attention", heads=2, bias=bias)
    assert weights_of(op, typed(5, 6)) == state_of(nn.MultiheadAttention(6, 2, bias=bias))


def test_weights_begin_as_torchs_do() -> None:
    ours = compiled("network n { input x: [3, 256]; a: multihead_attention(4) }").initialize()
    theirs = nn.MultiheadAttention(256, 4).state_dict()
    assert {key.removeprefix("a.") for key in ours} == set(theirs)
    for key, value in theirs.items():
        assert abs(ours[f"a.{key}"].std() - value.numpy().std()) < 0.001
        assert abs(abs(ours[f"a.{key}"]).max() - value.abs().max()) < 0.001


@pytest.mark.parametrize(
    ("left", "right"),
    [((4, 5), (5, 3)), ((2, 4, 5), (2, 5, 3)), ((2, 4, 5), (1, 5, 3)), ((4, 5), (4, 3)), ((2, 4, 5), (3, 5, 3))],
)
def test_matrix_products_fit_where_torchs_do(left: tuple[int, ...], right: tuple[int, ...]) -> None:
    pair = (typed(*left), typed(*right))
    assert inferred(call("matmul"), *pair) == in_torch(torch.matmul, *pair)


def test_a_matrix_product_counts_its_inner_axis() -> None:
    assert counts(call("matmul"), typed(2, 4, 5), typed(2, 5, 3)) == (2 * 4 * 5 * 3, 0)
    assert refusal(call("matmul"), typed(5), typed(5)).code == "rank-mismatch"


def test_attention_grows_with_the_square_of_the_length() -> None:
    """The exponent between 1,000 and 2,000 positions; projections are linear, scores are not."""
    lengths = (1000, 2000)
    plain = [counts(call("attention"), *[typed(t, 64)] * 3) for t in lengths]
    assert [math.log2(long / short) for short, long in zip(*plain, strict=True)] == [2.0, 2.0]
    macs = [counts(call("multihead_attention", heads=4), typed(t, 64))[0] for t in lengths]
    projections = [4 * t * 64 * 64 for t in lengths]
    assert macs[1] - projections[1] == 4 * (macs[0] - projections[0])


def test_counts_are_those_of_the_formula() -> None:
    query, key, value = typed(5, 6), typed(7, 6), typed(7, 4)
    assert counts(call("attention", heads=2), query, key, value) == (5 * 7 * (6 + 4), 2 * 5 * 7 * 6)
    assert counts(call("attention", causal=True), query, key, value, typed(5, 7))[1] == 5 * 7 * 8
    macs, operations = counts(call("multihead_attention", heads=3), query, typed(7, 6))
    assert macs == (5 + 7 + 7 + 5) * 36 + 5 * 7 * 12
    assert operations == (5 + 7 + 7 + 5) * 6 + 3 * 5 * 7 * 6


@pytest.mark.parametrize(
    ("name", "shapes", "code"),
    [
        ("attention", [(5, 6), (7, 5), (7, 4)], "merge-shape"),
        ("attention", [(5, 6), (7, 6), (8, 4)], "merge-shape"),
        ("attention", [(5, 6), (7, 6), (7, 4), (7, 5)], "merge-shape"),
        ("attention", [(5, 6), (7, 6), (7, 4), (5,)], "merge-shape"),
        ("attention", [(5, 6), (7, 6), (7, 4), (3, 5, 7)], "merge-shape"),
        ("attention", [(5, 6), (7, 6), (7, 4), (1, 2, 5, 7)], "merge-shape"),
        ("multihead_attention", [(5, 6), (7, 6), (7, 6), (3, 5, 7)], "merge-shape"),
        ("attention", [(6,), (7, 6), (7, 4)], "rank-mismatch"),
        ("attention", [(5, 5), (7, 5), (7, 4)], "groups-divide"),
        ("multihead_attention", [(5, 6), (7, 4)], "merge-shape"),
        ("multihead_attention", [(5, 5)], "groups-divide"),
        ("multihead_attention", [(5, 6), (7, 6), (8, 6)], "merge-shape"),
    ],
)
def test_refusals(name: str, shapes: list[tuple[int, ...]], code: str) -> None:
    assert refusal(call(name, heads=2), *(typed(*shape) for shape in shapes)).code == code


def test_a_mask_is_of_bool_or_added() -> None:
    three = (typed(5, 6), typed(7, 6), typed(7, 4))
    assert inferred(call("attention"), *three, TensorType((5, 7), "bool")) == [(5, 4)]
    found = refusal(call("attention"), *three, TensorType((5, 7), "int64"))
    assert (found.code, found.message) == ("dtype-mismatch", "a mask is of float32 or bool, not int64")
    integers = refusal(call("attention"), *[TensorType((5, 6), "int64")] * 3)
    assert integers.code == "dtype-mismatch"


def test_what_flows_in_is_the_query() -> None:
    net = compiled(
        "network n { input m: [7, 6]; input x: [5, 6]; a: attention(@m, @m)"
        "; b: multihead_attention(2, key = @m); c: multihead_attention(2) }"
    )
    read = {path: [ref.path for ref in net.checked.layer(path).inputs] for path in ("a", "b", "c")}
    assert read == {"a": ["x", "m", "m"], "b": ["a", "m"], "c": ["b"]}
    assert messages("network n { input x: [5, 6]; attention }") == [
        "missing-argument: `attention` needs the arguments `query` and `key` and `value`"
    ]


def test_every_position_sees_the_whole_image() -> None:
    net = compiled(
        "network n { input image: [3, 8, 8]; conv(6, 2, stride = 2) -> reshape([6, 16]) -> transpose([2, 1])"
        "; a: multihead_attention(2); b: linear(4) }"
    )
    assert costs(net.checked).layers["1"].receptive_field == (2, 2)
    assert costs(net.checked).layers["b"].receptive_field == (8, 8)
