"""Borders of zeros into what reads them: bit for bit the same, and only where the windows stay where they were."""

from __future__ import annotations

import numpy as np
import pytest
from hand_built import image, layer, network
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pass_networks import assert_inferred, both, kinds

from archdsl.graph.graph import CheckedGraph
from archdsl.ops.activation import ReLU
from archdsl.ops.base import Op, ShapeError
from archdsl.ops.convolution import Conv, Depthwise
from archdsl.ops.pooling import AvgPool, MaxPool
from archdsl.ops.shaping import Pad
from archdsl.passes.pipeline import run_passes

SHAPE = (4, 9, 8)


def padded(*ops: Op) -> CheckedGraph:
    """A chain of layers `l0`, `l1`, ... on one image."""
    nodes = [image(*SHAPE)]
    for number, op in enumerate(ops):
        nodes.append(layer(f"l{number}", op, nodes[-1]))
    return network(nodes, out=nodes[-1])


borders = st.sampled_from((1, (0, 2), (2, 0, 1, 1), (0, 0, 1, 1)))
own = st.sampled_from((0, 1, (1, 0, 0, 2), "same"))
numbers = st.integers(1, 3)
convolutions = st.builds(Conv, st.just(4), numbers, st.just(1), own, numbers, st.sampled_from((1, 2)))
strided = st.builds(Conv, st.just(6), numbers, numbers, st.sampled_from((0, 1, (1, 0, 0, 2))))
depthwise = st.builds(Depthwise, numbers, pad=own)
pools = st.builds(AvgPool, numbers, numbers, st.sampled_from((0, 1)), st.booleans(), st.booleans())


@settings(max_examples=200, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(st.lists(borders, min_size=1, max_size=2), st.one_of(convolutions, strided, depthwise, pools))
def test_not_a_bit_changes(amounts: list[int | tuple[int, ...]], op: Op) -> None:
    try:
        graph = padded(*(Pad(amount) for amount in amounts), op)
    except ShapeError:
        return
    deployed, before, after = both(graph, "merge_padding")
    assert_inferred(deployed.graph)
    np.testing.assert_array_equal(before[0], after[0])
    if not isinstance(op, AvgPool):
        assert kinds(deployed.graph.layers) == [op.name]
        assert set(deployed.weights) == {f"l{len(amounts)}.weight", f"l{len(amounts)}.bias"}


def test_both_paddings_add_up() -> None:
    deployed, _, _ = both(padded(Pad((1, 2, 3, 4)), Conv(4, 3, pad=(0, 1, 2, 0))), "merge_padding")
    assert deployed.graph.layer("l1").op == Conv(4, 3, pad=(1, 3, 5, 4))
    deployed, _, _ = both(padded(Pad(1), AvgPool(3, count_include_pad=False)), "merge_padding")
    assert deployed.graph.layer("l1").op == AvgPool(3, pad=(1, 1, 1, 1), count_include_pad=True)


@pytest.mark.parametrize(
    ("border", "reader"),
    [
        (1, MaxPool(3, 1)),  # zeros can win
        (1, ReLU()),
        (1, Conv(4, 3, 2, "same_tf")),  # what it adds depends on the size
        (1, AvgPool(3, 2, "same_tf")),
        (2, AvgPool(3, 1)),  # half the kernel is the most
        (1, AvgPool(5, 1, 1, count_include_pad=False)),  # its own zeros do not count, those of the border do
        (1, AvgPool("global")),
    ],
    ids=str,
)
def test_some_keep_the_border(border: int, reader: Op) -> None:
    graph = padded(Pad(border), reader)
    deployed, before, after = both(graph, "merge_padding")
    assert deployed.applied == ()
    assert deployed.graph is graph
    np.testing.assert_array_equal(before[0], after[0])


def test_ceil_keeps_a_border_where_it_would_drop_another_window() -> None:
    """A last window may begin in a border that is a tensor, but not in a pooling's own padding."""
    for size, kept in ((5, False), (4, True)):
        x = image(4, size, size)
        pad = layer("pad", Pad((0, 0, 1, 1)), x)
        pool = layer("pool", AvgPool(2, 2, ceil=True), pad)
        graph = network([x, pad, pool], out=pool)
        deployed, before, after = both(graph, "merge_padding")
        np.testing.assert_array_equal(before[0], after[0])
        assert (deployed.applied == ()) == kept
        assert deployed.graph.outputs[0].type.shape == (4, 3, 3)
        # the size that is asked for decides
        assert run_passes(graph, {}, ("merge_padding",), {"image": (4, 4, 4)}).applied == ()
        assert run_passes(graph, {}, ("merge_padding",), {"image": (4, 5, 5)}).applied == ("merge_padding",)
        assert run_passes(graph, {}, ("merge_padding",), {"image": (4, "H:4..9=5", "W:4..9=5")}).applied == ()


@pytest.mark.parametrize("border", [Pad(1, "reflect"), Pad(1, "replicate"), Pad(1, value=0.5)], ids=str)
def test_only_zeros_are_merged(border: Pad) -> None:
    assert both(padded(border, Conv(4, 3)), "merge_padding")[0].applied == ()


def test_every_reader_has_to_take_the_border() -> None:
    x = image(*SHAPE)
    pad = layer("pad", Pad(1), x)
    conv, depthwise = layer("conv", Conv(4, 3), pad), layer("depthwise", Depthwise(3), pad)
    deployed, before, after = both(network([x, pad, conv, depthwise], a=conv, b=depthwise), "merge_padding")
    assert kinds(deployed.graph.layers) == ["conv", "depthwise"]
    for one, other in zip(before, after, strict=True):
        np.testing.assert_array_equal(one, other)
    relu = layer("relu", ReLU(), pad)
    assert both(network([x, pad, conv, relu], a=conv, b=relu), "merge_padding")[0].applied == ()
    assert both(network([x, pad, conv], a=conv, b=pad), "merge_padding")[0].applied == ()


def test_shared_weights_keep_the_border() -> None:
    """A module's uses all apply the same op."""
    x = image(*SHAPE)
    pad = layer("pad", Pad(1), x)
    one, two = layer("one", Conv(4, 3), pad, module="m"), layer("two", Conv(4, 3), x, module="m")
    assert both(network([x, pad, one, two], a=one, b=two), "merge_padding")[0].applied == ()
