"""Receptive fields through ops that sample space anew, against what torch's results depend on."""

from __future__ import annotations

import contextlib

import pytest
import torch
from cost_graphs import chain, graph_of, image
from hand_built import random_weights
from hypothesis import given, settings
from hypothesis import strategies as st
from support import compiled
from torch_reference import REFERENCE

from archdsl.graph.costs import costs
from archdsl.graph.graph import Graph
from archdsl.ops import convolution, rearranging, resampling, transposed
from archdsl.ops.base import Op, ShapeError

LENGTH = 96
CHANNELS = 4


def network(*ops: Op) -> Graph:
    source = image(CHANNELS, LENGTH, 2)
    layers = chain(source, *ops)
    return graph_of(source, *layers, outputs=(layers[-1],))


def observed(graph: Graph) -> tuple[int, bool]:
    """Most input rows that a row of the output depends on, and whether such a row is away from the edges.

    All ops are linear: the output of an impulse is not 0 where it depends on the impulse's row.
    """
    (source,) = graph.inputs
    impulses = torch.eye(LENGTH, dtype=torch.float64)[:, None, :, None].expand(-1, CHANNELS, -1, 2)
    values, weights = {source.path: impulses}, random_weights(graph)
    for node in graph.layers:
        arrays = {weight.name: torch.from_numpy(weights[node.key(weight)]).double().abs() for weight in node.weights}
        values[node.path] = REFERENCE[type(node.op)](node.op, [values[ref.path] for ref in node.inputs], arrays)
    seen = values[graph.outputs[0].tensor.path].abs().amax((1, 3)) > 1e-12
    spans = [column.nonzero() for column in seen.T if column.any()]
    widths = [int(span.max() - span.min()) + 1 for span in spans]
    inside = [int(span.min()) > 0 and int(span.max()) < LENGTH - 1 for span in spans]
    widest = max(widths, default=0)  # nothing, where only the gaps of dilated kernels are sampled
    return widest, any(ok for ok, width in zip(inside, widths, strict=True) if width == widest)


def computed(graph: Graph) -> int:
    return costs(graph).stages[""].receptive_field[0]


OPS = st.one_of(
    st.builds(lambda k, s: convolution.Conv(4, (k, 1), (s, 1), bias=False), st.integers(1, 4), st.integers(1, 3)),
    st.builds(
        lambda k, s, d: transposed.Deconv(4, (k, 1), (s, 1), (min(1, k - 1), 0), 0, (d, 1), bias=False),
        st.integers(1, 5), st.integers(1, 3), st.integers(1, 2),
    ),
    st.builds(lambda size, mode: resampling.Resize((size, 2), mode=mode), st.integers(20, 150),
              st.sampled_from(["nearest", "bilinear"])),
    st.builds(lambda size: resampling.Resize((size, 2), mode="bilinear", align_corners=True), st.integers(20, 150)),
    st.builds(lambda scale: resampling.Resize(scale=(scale, 1)), st.sampled_from([0.5, 1.5, 2, 0.75])),
    st.builds(lambda size, start: resampling.Crop((size, 1), (start, 0)), st.integers(10, 60), st.integers(0, 9)),
    st.sampled_from([rearranging.PixelShuffle(2), rearranging.SpaceToDepth(2), rearranging.PixelUnshuffle(2)]),
)  # fmt: skip


def fitting(ops: list[Op]) -> list[Op]:
    fit: list[Op] = []
    for op in ops:
        with contextlib.suppress(ShapeError):
            size = chain(image(CHANNELS, LENGTH, 2), *fit, op)[-1].output_types[0].elements
            fit += [op] if size <= 4000 else []
    return fit


@settings(max_examples=120, deadline=None, derandomize=True)
@given(st.lists(OPS, min_size=1, max_size=4).map(fitting).filter(bool))
def test_fields_hold_all_that_is_seen(ops: list[Op]) -> None:
    """Exactly that where one such op follows convolutions, unless it has a dilation, whose gaps its stride may hit."""
    graph = network(*ops)
    seen, inside = observed(graph)
    assert computed(graph) >= seen
    resampled = [op for op in ops if not isinstance(op, convolution.Conv | resampling.Crop)]
    dilated = isinstance(ops[-1], transposed.Deconv) and max(ops[-1].dilation) > 1
    if inside and not dilated and len(resampled) == 1 and ops[-1] is resampled[0]:
        assert computed(graph) == seen


@pytest.mark.parametrize("corners", [False, True])
def test_cubic_sampling_sees_no_more_than_is_said(corners: bool) -> None:
    graph = network(resampling.Resize((70, 2), mode="bicubic", align_corners=corners))
    assert observed(graph) == (computed(graph), True)


@pytest.mark.parametrize(
    ("statement", "field", "stride"),
    [
        ("unpool(2, indices = @p.indices)", (4, 4), (1, 1)),  # its 2x2 windows over a 3x3 convolution
        ("deconv(2, 4, stride = 2, pad = 1)", (6, 6), (1, 1)),  # two of them along each axis
        ("roi_align(@p, @boxes, 3)", (10, 10), (8, 8)),  # boxes say what is seen: it may be anything
    ],
)
def test_what_follows_a_pooling(statement: str, field: tuple[int, ...], stride: tuple[int, ...]) -> None:
    text = "input x: [2, 8, 8]; input boxes: [5, 4]; conv(4, 3, pad = 1) from @x; p: maxpool(2, indices = true)"
    net = compiled(f"network n {{ {text}; y: {statement} }}")
    stage = costs(net.checked).stages["y"]
    assert (stage.receptive_field, stage.effective_stride) == (field, stride)
