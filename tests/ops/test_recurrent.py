"""Recurrent layers against torch's: parameters, shapes, and what they count."""

from __future__ import annotations

import pytest
import torch
from ops_authority import call, counts, inferred, refusal, state_of, typed, weights_of
from support import compiled, messages
from torch import nn

from archdsl.graph.costs import costs
from archdsl.ops.base import GLOBAL

KINDS = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("bidirectional", [True, False])
@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("name", KINDS)
def test_parameters_and_shapes_are_torchs(name: str, layers: int, bidirectional: bool, bias: bool) -> None:
    op = call(name, hidden=4, layers=layers, bidirectional=bidirectional, bias=bias)
    module = KINDS[name](6, 4, layers, bias=bias, bidirectional=bidirectional, batch_first=True)
    assert weights_of(op, typed(5, 6)) == state_of(module)
    y, states = module(torch.zeros(1, 5, 6))
    states = states if isinstance(states, tuple) else (states,)
    expected = [tuple(y.shape[1:]), *((state.shape[0], state.shape[2]) for state in states)]
    assert inferred(op, typed(5, 6)) == expected
    assert op.results((typed(5, 6),)) == ("output", "h", "c")[: len(expected)]


@pytest.mark.parametrize("name", KINDS)
def test_all_weights_begin_as_torchs_do(name: str) -> None:
    """U(-1/sqrt(hidden), 1/sqrt(hidden)), whatever comes in."""
    found = compiled(f"network n {{ input x: [5, 300]; r: {name}(64, layers = 2) }}").initialize()
    for key, value in KINDS[name](300, 64, 2).state_dict().items():
        ours = found[f"r.{key}"]
        assert abs(ours).max() <= 1 / 8
        if ours.size > 4000:  # the few numbers of a bias scatter
            assert abs(ours.std() / value.numpy().std() - 1) < 0.05


@pytest.mark.parametrize(("name", "gates"), [("rnn", 1), ("gru", 3), ("lstm", 4)])
def test_macs_are_those_of_the_matrices(name: str, gates: int) -> None:
    macs, operations = counts(call(name, hidden=10, layers=2, bidirectional=True), typed(7, 6))
    assert macs == 7 * 2 * gates * 10 * ((6 + 10) + (20 + 10))
    assert operations == 7 * 2 * 2 * 10 * (gates * 4 + (0 if name == "rnn" else 5))


def test_half_the_length_is_half_the_work() -> None:
    (short, _), (long, _) = (counts(call("lstm", hidden=8), typed(length, 6)) for length in (16, 32))
    assert long == 2 * short


def test_states_have_a_row_for_each_layer_and_direction() -> None:
    op = call("lstm", hidden=4, layers=2, bidirectional=True)
    assert inferred(op, typed(5, 6), typed(4, 4), typed(4, 4)) == [(5, 8), (4, 4), (4, 4)]
    found = refusal(op, typed(5, 6), typed(2, 4))
    assert found.code == "merge-shape"
    assert "`h0` of `lstm` is [N, 4, 4]" in found.message


def test_refusals() -> None:
    assert refusal(call("gru", hidden=4), typed(6)).code == "rank-mismatch"
    assert refusal(call("gru", hidden=4, dropout=0.5), typed(5, 6)).argument == "dropout"
    assert refusal(call("gru", hidden=4, layers=2, dropout=1.5), typed(5, 6)).argument == "dropout"
    assert messages("network n { input x: int64 [5, 6]; lstm(4) }") == [
        "dtype-mismatch: `lstm` computes with floating-point numbers, but its input is int64"
    ]


def test_every_step_sees_the_whole_sequence() -> None:
    assert call("lstm", hidden=4).window((typed(5, 6),)) is GLOBAL
    net = compiled(
        "network n { input image: [3, 8, 6]; conv(4, 3) -> transpose([3, 1, 2]) -> reshape([4, 24])"
        "; r: lstm(5) -> reduce_mean(1) }"
    )
    assert costs(net.checked).layers["r"].receptive_field == (8, 6)


def test_biases_are_counted_apart() -> None:
    cost = costs(compiled("network n { input x: [5, 6]; r: lstm(4) }").checked).layers["r"]
    assert (cost.biases, cost.weights) == (2 * 16, 16 * (6 + 4))


def test_an_operand_and_a_result_by_name() -> None:
    net = compiled(
        "network n { input s: [2, 4]; input x: [5, 6]; a: lstm(4, layers = 2, h0 = @s)"
        "; output last: @a.c; output all: @a }"
    )
    layer = net.checked.layer("a")
    assert [ref.path for ref in layer.inputs] == ["x", "s"]
    assert {output.name: output.type.shape for output in net.checked.outputs} == {"last": (2, 4), "all": (5, 4)}
