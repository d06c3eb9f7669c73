"""Receptive fields against what a network of positive weights really depends on."""

from __future__ import annotations

import contextlib
import itertools
from fractions import Fraction

import pytest
import torch
import torch.nn.functional as F
from cost_graphs import chain, graph_of, image, layer
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from archdsl.graph.costs import costs
from archdsl.graph.edge import MAX_EDGES, Edge, compose, highest, lowest
from archdsl.graph.graph import Graph, Layer
from archdsl.ops import (
    activation,
    channels,
    convolution,
    linear,
    merge,
    normalization,
    pooling,
    reduction,
    resampling,
    shaping,
)
from archdsl.ops.base import Op, ShapeError

LENGTH = 120
torch.set_num_threads(1)  # tiny tensors: threads only wait for each other

# Every op below is linear with weights of one sign, so that an output of the network applied to a unit
# impulse is nonzero exactly where the output depends on the impulse's position. One spatial axis is used.


def conv(kernel: int, stride: int = 1, pad: int = 0, dilation: int = 1) -> Op:
    return convolution.Conv(1, (kernel, 1), (stride, 1), (pad, 0), (dilation, 1), bias=False)


def pool(kernel: int, stride: int, ceil: bool) -> Op:
    return pooling.AvgPool((kernel, 1), (stride, 1), 0, ceil)


def apply(op: Op, xs: list[torch.Tensor]) -> torch.Tensor:
    """The op with weights of one on `[positions, C, H, W]`."""
    x = xs[0]
    match op:
        case convolution.Conv():
            weight = torch.ones(op.out, x.shape[1], *op.kernel, dtype=x.dtype)
            return F.conv2d(x, weight, None, op.stride, op.pad, op.dilation)
        case pooling.AvgPool():
            return F.avg_pool2d(x, op.kernel, op.stride, op.pad, op.ceil)
        case pooling.AdaptiveAvgPool():
            return F.adaptive_avg_pool2d(x, op.out)
        case resampling.Upsample(mode="nearest"):
            return F.interpolate(x, scale_factor=op.scale, mode="nearest")
        case resampling.Upsample():
            return F.interpolate(x, scale_factor=op.scale, mode="bilinear", align_corners=op.align_corners)
        case shaping.Slice():
            return x[:, :, op.start : op.end : op.step] if op.axis == 2 else x[:, op.start : op.end : op.step]
        case channels.Select():
            return x.index_select(op.axis, torch.tensor(op.indices))
        case channels.PadChannels():
            return F.pad(x, (0, 0, 0, 0, op.before, op.after))
        case linear.RBF():
            return x.sum(-1, keepdim=True).expand(*x.shape[:-1], op.out)
        case shaping.Pad():
            return F.pad(x, (0, 0, op.amount[0], op.amount[2]))
        case merge.Add():
            return sum(xs[1:], xs[0])
        case merge.Concat():
            return torch.cat(xs, op.axis)
        case shaping.Reshape():
            return x.reshape(len(x), *op.shape)
        case shaping.Transpose():
            return x.permute(0, *op.order)
        case activation.ReLU():
            return x.relu()
        case reduction.ReduceSum():
            return x.sum(op.axes, op.keep)
        case linear.Linear():
            return x.sum(-1, keepdim=True).expand(*x.shape[:-1], op.out)
    raise AssertionError(op)


def observed(graph: Graph) -> int:
    """Largest distance, plus one, between positions that one element of the output depends on."""
    (source,) = graph.inputs
    values = {source.path: torch.eye(LENGTH, dtype=torch.float64).reshape(LENGTH, 1, LENGTH, 1)}
    for node in graph.layers:
        values[node.path] = apply(node.op, [values[ref.path] for ref in node.inputs])
    seen = values[graph.outputs[0].tensor.path].reshape(LENGTH, -1) > 0
    spans = [column.nonzero() for column in seen.T if column.any()]
    return max(int(span.max() - span.min()) + 1 for span in spans)


def computed(graph: Graph) -> tuple[int, Fraction | int]:
    stage = costs(graph).stages[""]
    return stage.receptive_field[0], stage.effective_stride[0]


def network(*ops: Op) -> Graph:
    source = image(1, LENGTH, 1)
    layers = chain(source, *ops)
    return graph_of(source, *layers, outputs=(layers[-1],))


def unclipped(graph: Graph, seen: int) -> bool:
    """Some element sees nothing of the input's edges, nor of what pads them."""
    return seen <= LENGTH // 4 and graph.outputs[0].type.shape[1] >= 8


def fitting(ops: list[Op]) -> list[Op]:
    """The ops of a chain that fit; the rest would leave nothing of the image, or blow it up."""
    fit: list[Op] = []
    for op in ops:
        with contextlib.suppress(ShapeError):
            size = chain(image(1, LENGTH, 1), *fit, op)[-1].output_types[0].elements
            fit += [op] if size <= 4 * LENGTH else []
    return fit


SLIDING = st.one_of(
    st.builds(conv, st.integers(1, 4), st.integers(1, 3), st.integers(0, 2), st.integers(1, 2)),
    st.builds(
        lambda k, s, ceil: pooling.AvgPool((k, 1), (s, 1), 0, ceil), st.integers(1, 3), st.integers(1, 3), st.booleans()
    ),
    st.builds(lambda step, start: shaping.Slice(start, None, 2, step), st.integers(1, 2), st.integers(0, 3)),
    st.builds(lambda begin, end: shaping.Pad((begin, 0, end, 0)), st.integers(0, 2), st.integers(0, 2)),
    st.builds(lambda scale: resampling.Upsample((scale, 1)), st.integers(1, 3)),
    st.builds(lambda scale: resampling.Upsample((scale, 1), "bilinear"), st.integers(2, 4)),
)


@settings(max_examples=100, deadline=None)
@given(st.lists(SLIDING, min_size=1, max_size=6).map(fitting).filter(bool))
def test_chain_equals_what_impulses_reach(ops: list[Op]) -> None:
    graph = network(*ops)
    seen = observed(graph)
    assume(unclipped(graph, seen))
    assert computed(graph)[0] == seen


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 60), st.integers(1, 3), st.integers(1, 3), st.booleans())
def test_resampling_equals_what_impulses_reach(out: int, kernel: int, stride: int, corners: bool) -> None:
    """Shares of unequal sizes, and steps that are no fraction of a whole; nothing here passes the edge."""
    assume(out >= kernel)
    resample = resampling.Upsample((2, 1), "bilinear" if corners else "nearest", corners)
    graph = network(pooling.AdaptiveAvgPool((out, 1)), conv(kernel, stride), resample, conv(2))
    assert computed(graph)[0] == observed(graph)


@settings(max_examples=60, deadline=None)
@given(st.lists(SLIDING, max_size=3).map(fitting), st.lists(SLIDING, max_size=3).map(fitting), st.integers(1, 3))
def test_cropped_branches_equal_what_impulses_reach(one: list[Op], two: list[Op], kernel: int) -> None:
    source = image(1, LENGTH, 1)
    branches = [[*chain(source, conv(1), *ops, prefix=name)] for name, ops in (("a", one), ("b", two))]
    size = min(branch[-1].output_types[0].shape[1] for branch in branches)
    crops = [layer(f"crop{b[-1].path}", shaping.Slice(0, size, 2), b[-1]) for b in branches]
    assume(size >= kernel)
    merged = layer("add", merge.Add(), *crops)
    layers = [*branches[0], *branches[1], *crops, merged, layer("last", conv(kernel), merged)]
    graph = graph_of(source, *layers, outputs=(layers[-1],))
    seen = observed(graph)
    strides = [costs(graph).layers[crop.path].effective_stride for crop in crops]
    assume(unclipped(graph, seen))
    if strides[0] == strides[1]:
        assert computed(graph)[0] == seen
    else:  # the branches drift apart over the image, and padding lets the theoretical field pass the edge
        assert computed(graph)[0] >= seen


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 4), st.integers(1, 3), st.integers(1, 3), st.integers(1, 4), st.integers(1, 3))
def test_branches_of_different_strides_equal_what_impulses_reach(k1: int, s1: int, s2: int, k2: int, k3: int) -> None:
    source = image(1, LENGTH, 1)
    one, two = layer("one", conv(k1, s1), source), layer("two", conv(k2, s2), source)
    size = min(one.output_types[0].shape[1], two.output_types[0].shape[1])
    crops = [layer(f"crop_{n.path}", shaping.Slice(0, size, 2), n) for n in (one, two)]
    merged = layer("add", merge.Add(), *crops)
    last = layer("last", conv(k3), merged)
    graph = graph_of(source, one, two, *crops, merged, last, outputs=(last,))
    assert computed(graph) == (observed(graph), max(s1, s2))


def test_a_gate_sees_the_whole_image_from_every_position() -> None:
    source = image(1, LENGTH, 1)
    body = layer("body", conv(3, 2), source)
    squeeze = layer("squeeze", pooling.AvgPool("global"), body)
    gate = layer("gate", merge.Mul(), body, squeeze)
    last = layer("last", conv(3), gate)
    graph = graph_of(source, body, squeeze, gate, last, outputs=(last,))
    found = costs(graph).layers
    assert found["squeeze"].receptive_field[0] == LENGTH - 1  # 59 windows of 3 at stride 2 end at 119
    assert found["squeeze"].effective_stride[0] == 2 * 59
    assert found["gate"].receptive_field[0] == found["last"].receptive_field[0] == LENGTH - 1
    assert found["last"].effective_stride[0] == 2


def test_googlenet_stem_has_the_known_numbers() -> None:
    """7x7/2, 3x3/2, 3x3, 3x3/2 give 7, 11, 19, 27 (Araujo et al. list the same stem for Inception-v1)."""
    source = image(3, 224, 224)
    pool = pooling.MaxPool(3, 2, ceil=True)
    ops = [
        convolution.Conv(64, 7, 2, 3),
        pool,
        convolution.Conv(192, 3, 1, 1),
        pool,
        convolution.Conv(64, (1, 5), 1, (0, 2)),
    ]
    layers = chain(source, *ops)
    found = costs(graph_of(source, *layers, outputs=(layers[-1],))).layers
    assert [found[n.path].receptive_field for n in layers] == [(7, 7), (11, 11), (19, 19), (27, 27), (27, 59)]
    assert [found[n.path].effective_stride for n in layers] == [(2, 2), (4, 4), (4, 4), (8, 8), (8, 8)]


def test_upsampling_gives_a_fractional_stride() -> None:
    graph = network(conv(3, 2), resampling.Upsample((4, 1)))
    assert computed(graph) == (3, Fraction(1, 2))
    assert computed(network(resampling.Upsample((2, 1)), conv(2, 2))) == (1, 1)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(20, 40), min_size=1, max_size=6), st.integers(1, 3), st.integers(1, 3))
def test_picked_positions_equal_what_impulses_reach(picked: list[int], before: int, after: int) -> None:
    """One picked position keeps its field; what slides over them afterwards may meet any two of them."""
    assume(after <= len(picked))
    graph = network(conv(before), channels.Select(tuple(picked), 2), conv(after))
    steps = {b - a for a, b in itertools.pairwise(picked)}
    ordered = len(steps) == 1 and min(steps) > 0
    whole = max(picked) - min(picked) + before
    assert computed(graph)[0] == (observed(graph) if ordered or len(picked) == after or after == 1 else whole)
    assert computed(graph)[0] >= observed(graph)


def test_channels_picked_and_added_move_nothing_in_space() -> None:
    source = image(6, 8, 9)
    ops = [convolution.Conv(6, 3), channels.Select((5, 0, 0)), channels.PadChannels(1, 2), channels.Affine()]
    layers = chain(source, *ops, shaping.Transpose((2, 1, 3)), channels.PadChannels(1, 1), convolution.Conv(2, (1, 3)))
    found = costs(graph_of(source, *layers, outputs=(layers[-1],))).layers
    fields = [found[node.path].receptive_field for node in layers]
    # rows lie along the channels from the transposition on; the last convolution sees all of them and the padding
    assert fields == [(3, 3)] * 6 + [(10, 5)]


def test_space_in_the_channels_is_shifted_by_what_is_put_before() -> None:
    source = image(1, LENGTH, 1)
    turned = layer("turned", shaping.Transpose((2, 1, 3)), source)
    pads = [layer("first", channels.PadChannels(3), turned), layer("last", channels.PadChannels(0, 3), turned)]
    merged = layer("merged", merge.Add(), *pads)
    graph = graph_of(source, turned, *pads, merged, outputs=(merged,))
    assert computed(graph) == (observed(graph), 1) == (4, 1)


def test_distances_see_the_whole_vector() -> None:
    source = image(4, 9, 7)
    layers = chain(source, convolution.Conv(4, 3), shaping.Flatten(), linear.RBF(5))
    assert costs(graph_of(source, *layers, outputs=(layers[-1],))).layers["2"].receptive_field == (9, 7)


def test_flatten_keeps_an_elements_field_and_linear_sees_all() -> None:
    source = image(4, 9, 7)
    ops = [convolution.Conv(4, 3), shaping.Flatten(), activation.ReLU(), linear.Linear(5), linear.Linear(5)]
    layers = chain(source, *ops)
    found = costs(graph_of(source, *layers, outputs=(layers[-1],))).layers
    fields = [found[node.path].receptive_field for node in layers]
    assert fields == [(3, 3), (3, 3), (3, 3), (9, 7), (9, 7)]


def test_channel_shuffle_moves_nothing_in_space() -> None:
    source = image(6, 8, 8)
    ops = [
        convolution.Conv(6, 3),
        shaping.Reshape((2, 3, 6, 6)),
        shaping.Transpose((2, 1, 3, 4)),
        shaping.Reshape((6, 6, 6)),
        convolution.Conv(6, 3, groups=2),
    ]
    layers = chain(source, *ops)
    assert costs(graph_of(source, *layers, outputs=(layers[-1],))).layers["4"].receptive_field == (5, 5)


def test_transposed_axes_are_followed() -> None:
    source = image(3, 20, 20)
    layers = chain(
        source, shaping.Transpose((1, 3, 2)), convolution.Conv(3, (3, 1), (2, 1)), shaping.Transpose((1, 3, 2))
    )
    found = costs(graph_of(source, *layers, outputs=(layers[-1],))).layers["2"]
    assert (found.receptive_field, found.effective_stride) == ((1, 3), (1, 2))


@pytest.mark.parametrize("order", [(2, 1, 3), (3, 2, 1)])
def test_a_convolution_over_space_in_the_channels_sees_it_all(order: tuple[int, int, int]) -> None:
    source = image(3, 6, 5)
    layers = chain(source, shaping.Transpose(order), convolution.Conv(4, 1))
    found = costs(graph_of(source, *layers, outputs=(layers[-1],))).layers["1"]
    assert found.receptive_field == ((6, 1) if order == (2, 1, 3) else (1, 5))


def test_merging_rows_and_columns_scatters_both() -> None:
    source = image(3, 6, 5)
    reshape, pointwise, wide = shaping.Reshape((3, 30)), convolution.Conv(4, 1), convolution.Conv(4, 3)
    layers = chain(source, convolution.Conv(3, 3, 1, 1), reshape, pointwise, wide)
    found = costs(graph_of(source, *layers, outputs=(layers[-1],))).layers
    fields = [found[node.path].receptive_field for node in layers]
    assert fields == [(3, 3), (3, 3), (3, 3), (8, 7)]


def test_split_parts_of_space_and_of_channels() -> None:
    source = image(4, 8, 8)
    space = layer("space", shaping.Split(2, 2), source)
    channels = layer("channels", shaping.Split(2, 1), source)
    added = layer("added", merge.Add(), (space, 0), (space, 1))
    plain = layer("plain", merge.Add(), (channels, 0), (channels, 1))
    graph = graph_of(source, space, channels, added, plain, outputs=(added, plain))
    found = costs(graph)
    assert found.layers["added"].receptive_field == (5, 1)  # rows r and r + 4
    assert found.layers["plain"].receptive_field == (1, 1)
    assert found.stages[""].receptive_field == (5, 1)


def test_concatenation_in_space_loses_the_order_only() -> None:
    source = image(2, 6, 6)
    one = layer("one", convolution.Conv(2, 3, 1, 1), source)
    joined = layer("joined", merge.Concat(2), one, source)
    after = layer("after", convolution.Conv(2, 3, 1, 1), joined)
    found = costs(graph_of(source, one, joined, after, outputs=(after,))).layers
    assert found["joined"].receptive_field == (3, 3)
    assert found["after"].receptive_field == (8, 5)  # any row, with the padding of `one`; columns stay in order


@pytest.mark.parametrize(
    ("op", "field"),
    [
        (normalization.InstanceNorm(), (10, 8)),
        (normalization.GroupNorm(2), (10, 8)),
        (normalization.LayerNorm(3), (10, 8)),
        (normalization.LayerNorm(1), (3, 8)),
        (activation.Softmax(1), (3, 3)),
        (activation.Softmax(-1), (3, 8)),
        (normalization.BatchNorm(), (3, 3)),
        (normalization.LRN(3), (3, 3)),
    ],
)
def test_statistics_over_space_see_it_and_leave_the_stride(op: Op, field: tuple[int, int]) -> None:
    source = image(4, 10, 8)
    layers = chain(source, convolution.Conv(4, 3), op)
    found = costs(graph_of(source, *layers, outputs=(layers[-1],))).layers["1"]
    assert (found.receptive_field, found.effective_stride) == (field, (1, 1))


@pytest.mark.parametrize("axes", [1, 3, (1, 3)])
@pytest.mark.parametrize("keep", [False, True])
def test_what_is_left_of_a_reduction_keeps_its_order(axes: int | tuple[int, ...], keep: bool) -> None:
    after = shaping.Reshape((1, LENGTH - 2, 1))
    graph = network(conv(3), reduction.ReduceSum(axes, keep), after, conv(4, 2), conv(2))
    assert computed(graph) == (observed(graph), 2) == (8, 2)


def test_a_reduced_axis_is_seen_whole() -> None:
    source = image(3, 12, 10)
    over = reduction.ReduceMax(3)
    layers = chain(source, convolution.Conv(4, 3), over, convolution.Conv(5, (3,)), reduction.ArgMax(2))
    found = costs(graph_of(source, *layers, outputs=(layers[-1],))).layers
    assert [found[str(i)].receptive_field for i in range(4)] == [(3, 3), (3, 10), (5, 10), (12, 10)]
    everything = chain(source, reduction.ReduceSum((1, 2, 3)), shaping.Reshape((1, 1, 1)), convolution.Conv(2, 1))
    assert costs(graph_of(source, *everything, outputs=(everything[-1],))).stages[""].receptive_field == (12, 10)


def test_inputs_of_different_rank_are_laid_over_each_other() -> None:
    picture, vector = image(2, 9, 9), image(4, name="vector")
    seen = layer("seen", convolution.Conv(4, 9), picture)
    flat = layer("flat", shaping.Flatten(), seen)
    both = layer("both", merge.Concat(), flat, vector)
    graph = graph_of(picture, vector, seen, flat, both, outputs=(both,))
    assert costs(graph).layers["both"].receptive_field == (9, 9)
    only = layer("only", linear.Linear(3), vector)
    assert costs(graph_of(vector, only, outputs=(only,))).layers["only"].receptive_field == ()


@given(st.lists(st.tuples(st.integers(1, 5), st.integers(-6, 6), st.integers(1, 4)), max_size=6), st.integers(0, 50))
def test_composed_edges_are_the_nested_functions(stages: list[tuple[int, int, int]], o: int) -> None:
    edge, position = Edge(3, 2), o
    for factor, shift, divisor in stages:
        edge = compose(edge, factor, shift, divisor)
    for factor, shift, divisor in reversed(stages):
        position = (position * factor + shift) // divisor
    assert edge.at(o) == 3 + 2 * position


EDGES = st.builds(
    lambda offset, jump, stage: compose(Edge(offset, jump), *stage),
    st.integers(-4, 4),
    st.integers(0, 3),
    st.tuples(st.integers(1, 3), st.integers(0, 3), st.integers(1, 3)),
)


@given(st.lists(EDGES, min_size=1, max_size=30), st.integers(1, 20))
def test_hulls_lose_no_position(edges: list[Edge], count: int) -> None:
    lows, highs = lowest(edges), highest(edges, count)
    assert len(lows) <= MAX_EDGES
    assert len(highs) <= MAX_EDGES
    for o in range(count):
        low, high = min(edge.at(o) for edge in edges), max(edge.at(o) for edge in edges)
        assert min(edge.at(o) for edge in lows) <= low
        assert max(edge.at(o) for edge in highs) >= high
        if len(lows) > 1:
            assert min(edge.at(o) for edge in lows) == low


def test_many_strides_in_one_tensor_are_bounded_by_the_whole() -> None:
    """Thirty branches of thirty strides: more than are followed, so all elements count as seeing what any does."""
    source = image(1, LENGTH, 1)
    branches = [layer(f"b{s}", shaping.Slice(0, None, 2, s), source) for s in range(1, 31)]
    crops: list[Layer] = [layer(f"crop{s}", shaping.Slice(0, 4, 2), b) for s, b in enumerate(branches, 1)]
    merged = layer("merged", merge.Add(), *crops)
    graph = graph_of(source, *branches, *crops, merged, outputs=(merged,))
    assert observed(graph) == 3 * 30 - 3 + 1
    assert computed(graph)[0] == 3 * 30 + 1
