"""Embeddings, learned tensors and positions."""

from __future__ import annotations

import numpy as np
import pytest
from ops_authority import call, counts, inferred, refusal, state_of, typed, weights_of
from support import compiled, messages
from torch import nn

from archdsl.graph.costs import costs
from archdsl.language.diagnostics import ArchError
from archdsl.ops.base import TensorType
from archdsl.runtime.verify import draw_inputs


def test_the_table_is_torchs() -> None:
    assert weights_of(call("embedding", count=9, width=4), TensorType((5,), "int64")) == state_of(nn.Embedding(9, 4))
    table = compiled("network n { input w: int64 [5]; e: embedding(500, 64) }").initialize()["e.weight"]
    assert abs(table.mean()) < 0.02
    assert abs(table.std() - 1) < 0.02


@pytest.mark.parametrize(("shape", "expected"), [((5,), (5, 4)), ((2, 3), (2, 3, 4)), ((), (4,))])
def test_each_number_becomes_a_row(shape: tuple[int, ...], expected: tuple[int, ...]) -> None:
    assert inferred(call("embedding", count=9, width=4), TensorType(shape, "int64")) == [expected]


def test_an_embedding_looks_up_whole_numbers() -> None:
    found = messages("network n { input x: [5]; embedding(9, 4) }")
    assert found == ["dtype-mismatch: `embedding` looks up whole numbers, but its input is float32"]


def test_verification_draws_numbers_that_the_table_has() -> None:
    net = compiled("network n { input w: int64 [50]; input v: int64 [50]; a: embedding(7, 4); embedding(@w, 3, 4) }")
    drawn = draw_inputs(net.checked, 4, 0)
    assert drawn["w"].dtype == np.int64
    assert sorted(set(drawn["w"].ravel())) == [0, 1, 2]
    assert sorted(set(drawn["v"].ravel())) == [0, 1, 2, 3, 4, 5, 6]


LEARNED = "network n {{ input x: [4, 6]; {} }}"


def test_a_parameters_key_is_its_label() -> None:
    net = compiled(LEARNED.format("s: { add { skip; t: parameter([4, 6], batch_axis = true) }; linear(2) }"))
    assert [(key, array.shape) for key, array in net.initialize().items()] == [
        ("s.t", (1, 4, 6)), ("s.1.weight", (2, 6)), ("s.1.bias", (2,)),
    ]  # fmt: skip
    assert list(net.torch().state_dict()) == ["s.t", "s.1.weight", "s.1.bias"]
    assert {tensor.name for tensor in net.onnx().graph.initializer} >= {"s.t", "s.1.weight", "s.1.bias"}
    assert costs(net.checked).layers["s.t"].params == 24


def test_a_parameter_begins_as_declared() -> None:
    text = LEARNED.format("add { skip; t: parameter([4, 6], init = constant(3)) }")
    assert (compiled(text).initialize()["t"] == 3).all()
    assert 'nn.init.constant_(self.get_parameter("t"), 3.0)' in compiled(text).torch_source()
    text = LEARNED.format("add { skip; t: parameter([4, 6], init = default) }")
    assert 'nn.init.uniform_(self.get_parameter("t"), a=-0.408' in compiled(text).torch_source()


def test_a_parameter_sees_nothing_of_the_input() -> None:
    net = compiled("network n { input x: [4, 6, 6]; t: parameter([4, 1, 1]) }")
    assert costs(net.checked).layers["t"].receptive_field == ()


def test_a_parameter_needs_a_label_in_pytorch() -> None:
    with pytest.raises(ArchError, match="`0` is no name for a parameter"):
        compiled(LEARNED.format("parameter([4, 6])")).torch_source()


def test_an_output_cannot_be_named_like_a_weight() -> None:
    net = compiled(LEARNED.format("t: parameter([4, 6]); output t: @t"))
    with pytest.raises(ArchError, match="an output is named like the weight `t`"):
        net.onnx()


def test_sizes_are_positive() -> None:
    assert refusal(call("parameter", shape=(3, 0)), typed(4)).argument == "shape"


def test_positions_need_pairs_of_features() -> None:
    assert refusal(call("positional_encoding"), typed(4, 5)).code == "argument-value"
    assert refusal(call("positional_encoding"), typed(4)).code == "rank-mismatch"
    assert counts(call("positional_encoding"), typed(4, 6)) == (0, 24)
