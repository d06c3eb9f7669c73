"""Merges against torch's `cat` and broadcasting, and who disagrees."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from ops_authority import PROPERTY, call, counts, folded, in_torch, inferred, refusal, typed

from archdsl.ops.base import Op, TensorType
from archdsl.ops.merge import axes, disagreement

ELEMENTWISE = {"add": torch.add, "mul": torch.mul, "max": torch.maximum}
NAMED = [call("concat"), *map(call, ELEMENTWISE)]


@st.composite
def branches(draw: st.DrawFn) -> tuple[TensorType, ...]:
    """Inputs that mostly agree, with axes of size 1 and other sizes strewn in; all of one rank."""
    shape = draw(st.lists(st.integers(1, 4), min_size=1, max_size=4))
    size = st.integers(0, 19).map(lambda n: {0: 1, 1: 2, 2: 3}.get(n))
    lists = draw(st.lists(st.tuples(*[size] * len(shape)), min_size=1, max_size=4))
    return tuple(typed(*(other or own for own, other in zip(shape, each, strict=True))) for each in lists)


@PROPERTY
@given(branches(), st.sampled_from(list(ELEMENTWISE)))
def test_elementwise_merges_broadcast_as_torch_does(inputs: tuple[TensorType, ...], name: str) -> None:
    assert inferred(call(name), *inputs) == in_torch(folded(ELEMENTWISE[name]), *inputs)


@PROPERTY
@given(branches(), st.data())
def test_concat_is_torchs(inputs: tuple[TensorType, ...], data: st.DataObject) -> None:
    rank = len(inputs[0].shape)
    axis = data.draw(st.integers(-rank, rank + 1).filter(bool))
    assert inferred(call("concat", axis=axis), *inputs) == in_torch(lambda *x: torch.cat(x, axis), *inputs)


@PROPERTY
@given(branches(), st.sampled_from(NAMED))
def test_leaving_out_who_disagrees_makes_the_rest_fit(inputs: tuple[TensorType, ...], op: Op) -> None:
    odd = disagreement(op, inputs)
    assert (not odd) == (inferred(op, *inputs) is not None)
    rest = tuple(value for index, value in enumerate(inputs) if index not in odd)
    if rest:  # where every input is odd on another axis, nobody is left
        assert inferred(op, *rest) is not None


@pytest.mark.parametrize(
    ("op", "shapes", "odd", "names"),
    [
        (NAMED[0], [(64, 28, 28), (128, 28, 28), (32, 28, 28), (192, 14, 14)], (3,), ("height", "width")),
        (NAMED[0], [(64, 14, 28), (128, 28, 28), (32, 28, 28)], (0,), ("height",)),
        (NAMED[0], [(64, 28, 28), (64, 14, 14)], (1,), ("height", "width")),
        (NAMED[0], [(64, 28, 28), (64,), (64, 28, 28)], (1,), ()),
        (NAMED[0], [(64, 28, 28), (3, 28, 28)], (), ()),
        (call("concat", axis=-1), [(3, 8), (4, 8), (3, 9)], (1,), ("channels",)),
        (NAMED[1], [(64, 28, 28), (64, 1, 1), (64, 28, 28)], (), ()),
        (NAMED[1], [(256, 56, 56), (64, 56, 56), (256, 56, 56)], (1,), ("channels",)),
        (NAMED[2], [(64, 1, 1), (64, 7, 7), (32, 7, 7)], (2,), ("channels",)),
        (NAMED[3], [(2, 4), (3, 4), (2, 5), (2, 4)], (1, 2), ("channels", "length")),
    ],
)
def test_disagreement(op: Op, shapes: list[tuple[int, ...]], odd: tuple[int, ...], names: tuple[str, ...]) -> None:
    inputs = tuple(typed(*shape) for shape in shapes)
    assert disagreement(op, inputs) == odd
    assert axes(op, inputs) == names


def test_concat_that_disagrees_on_height_and_width() -> None:
    error = refusal(NAMED[0], typed(64, 28, 28), typed(128, 28, 28), typed(192, 14, 14))
    assert error.code == "concat-shape"
    assert error.message == "`concat` inputs disagree on height and width"
    assert error.notes == (
        "shapes: [N, 64, 28, 28]  [N, 128, 28, 28]  [N, 192, 14, 14]",
        "axis 1 is the one that `concat` joins; all others must agree",
    )


def test_add_that_disagrees_on_every_axis() -> None:
    error = refusal(NAMED[1], typed(64, 56, 56), typed(128, 28, 28))
    assert error.code == "merge-shape"
    assert error.message == "`add` inputs disagree on channels, height and width"
    assert error.notes == (
        "shapes: [N, 64, 56, 56]  [N, 128, 28, 28]",
        "`add` repeats an axis of size 1; all others must agree",
    )


@pytest.mark.parametrize("op", NAMED)
def test_ranks_have_to_agree(op: Op) -> None:
    """Stricter than torch, which would set a vector against the width of an image."""
    error = refusal(op, typed(64, 7, 7), typed(7))
    assert error.code == ("concat-shape" if op.name == "concat" else "merge-shape")
    assert error.message == f"`{op.name}` inputs disagree on their number of axes"


@pytest.mark.parametrize("op", NAMED)
def test_element_types_have_to_agree(op: Op) -> None:
    """Stricter than torch, which converts."""
    inputs = (typed(4), typed(4), TensorType((4,), "int64"))
    error = refusal(op, *inputs)
    assert (error.code, error.message) == ("dtype-mismatch", f"`{op.name}` inputs disagree on their element type")
    assert disagreement(op, inputs) == (2,)


def test_concat_over_the_batch() -> None:
    error = refusal(call("concat", axis=0), typed(3, 4), typed(3, 4))
    assert (error.code, error.argument) == ("axis-range", "axis")


@pytest.mark.parametrize(("op", "operations"), [(NAMED[0], 0), (NAMED[1], 2 * 60), (NAMED[2], 120), (NAMED[3], 120)])
def test_operations(op: Op, operations: int) -> None:
    """One less than there are inputs, for each element of the result."""
    inputs = (typed(3, 4, 5),) * 2 + (typed(3, 4, 5 if op.name == "concat" else 1),)
    assert counts(op, *inputs) == (0, operations)


@pytest.mark.parametrize("op", NAMED)
def test_a_single_branch_passes(op: Op) -> None:
    assert op.infer((typed(3, 4),)) == (typed(3, 4),)
    assert counts(op, typed(3, 4)) == (0, 0)
