"""Fully connected layers as convolutions: the same scores, and at a larger size those of every window."""

from __future__ import annotations

import numpy as np
import pytest
from hand_built import image, layer, network, random_inputs
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pass_networks import assert_inferred, kinds, mild_weights, outputs

import archdsl
from archdsl.graph.graph import CheckedGraph, Input, Layer
from archdsl.language.diagnostics import ArchError
from archdsl.ops import activation, channels, convolution, linear, merge, normalization, pooling, reduction, shaping
from archdsl.ops.base import Op, ShapeError
from archdsl.passes.pipeline import DEPLOYMENT, run_passes

#: a network without padding: what it makes of a crop is what it makes of that part of a larger image
BODY: tuple[Op, ...] = (convolution.Conv(4, 3), activation.ReLU(), pooling.MaxPool(2))
HEAD: tuple[Op, ...] = (shaping.Flatten(), linear.Linear(6), activation.ReLU(), linear.Linear(5, bias=False))


def chain(*ops: Op, shape: tuple[int, ...] = (3, 10, 8)) -> CheckedGraph:
    nodes: list[Input | Layer] = [image(*shape)]
    for number, op in enumerate(ops):
        nodes.append(layer(f"l{number}", op, nodes[-1]))
    return network(nodes, scores=nodes[-1])


tails = st.lists(
    st.sampled_from(
        (
            activation.Softmax(), activation.Softmax(1), activation.LogSoftmax(), activation.Tanh(), channels.Affine(),
            activation.PReLU(per_channel=True), normalization.BatchNorm(), shaping.Scale(2.0, 0.5), linear.Linear(7),
            shaping.Slice(1, 4), shaping.Slice(-3, axis=-1), channels.Select((0, 2, -1)), channels.PadChannels(1, 2),
            shaping.Dropout(), reduction.ReduceMean(1, keep=True),
        )
    ),
    max_size=3,
)  # fmt: skip


@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(tails, st.tuples(st.integers(0, 3), st.integers(0, 3)))
def test_each_position_of_the_map_has_the_scores_of_its_window(tail: list[Op], more: tuple[int, int]) -> None:
    try:
        graph = chain(*BODY, *HEAD, *tail)
    except ShapeError:
        return
    weights = mild_weights(graph)
    size = (3, 10 + 2 * more[0], 8 + 2 * more[1])
    dense = run_passes(graph, weights, ("fc_to_conv",), {"image": size})
    assert dense.applied[-1] == "fc_to_conv"
    assert_inferred(dense.graph)
    large = np.random.default_rng(0).standard_normal((2, *size)).astype(np.float32)
    (found,) = outputs(dense.graph, dense.weights, {"image": large})
    assert found.shape[2:] == (1 + more[0], 1 + more[1])
    for i, j in np.ndindex(found.shape[2:]):
        (scores,) = outputs(graph, weights, {"image": large[:, :, 2 * i : 2 * i + 10, 2 * j : 2 * j + 8]})
        np.testing.assert_allclose(found[:, :, i, j], scores, rtol=1e-5, atol=1e-5 * np.abs(scores).max())


@pytest.mark.parametrize("shape", [(3, 10), (3, 6, 7, 5)], ids=["1d", "3d"])
def test_one_and_three_axes(shape: tuple[int, ...]) -> None:
    graph = chain(*BODY, *HEAD, shape=shape)
    weights, inputs = mild_weights(graph), random_inputs(graph)
    deployed = run_passes(graph, weights, ("fc_to_conv",))
    assert kinds(deployed.graph.layers) == ["conv", "relu", "maxpool", "conv", "relu", "conv"]
    (before,), (after,) = outputs(graph, weights, inputs), outputs(deployed.graph, deployed.weights, inputs)
    assert after.shape == (*before.shape, *(1,) * (len(shape) - 1))
    np.testing.assert_allclose(after.reshape(before.shape), before, rtol=1e-5, atol=1e-6)


def test_branches_of_one_flatten_are_joined_along_the_channels() -> None:
    x = image(3, 4, 4)
    flat = layer("flat", shaping.Flatten(), x)
    one, two = layer("one", linear.Linear(4), flat), layer("two", linear.Linear(4), flat)
    added = layer("added", merge.Add(), one, two)
    joined = layer("joined", merge.Concat(-1), one, added)
    graph = network([x, flat, one, two, added, joined], out=joined)
    weights, inputs = mild_weights(graph), random_inputs(graph)
    deployed = run_passes(graph, weights, ("fc_to_conv",))
    (before,), (after,) = outputs(graph, weights, inputs), outputs(deployed.graph, deployed.weights, inputs)
    np.testing.assert_allclose(after[:, :, 0, 0], before, rtol=1e-5, atol=1e-6)
    assert deployed.graph.layer("joined").op == merge.Concat(1)


@pytest.mark.parametrize(
    "ops",
    [
        (shaping.Flatten(), linear.Linear(8), shaping.Reshape((2, 2, 2))),
        (shaping.Flatten(), linear.Linear(8), normalization.LayerNorm(affine=False)),
        (shaping.Flatten(), linear.Linear(8), reduction.ReduceMean(-1, keep=True)),
        (shaping.Flatten(), linear.RBF(4)),
        (shaping.Flatten(), activation.Softmax(), linear.Linear(8)),  # over all positions
        (shaping.Flatten(), activation.ReLU()),  # there is nothing to turn
        (pooling.AvgPool("global"), shaping.Flatten()),
        (shaping.Reshape((3, -1)), linear.Linear(4)),
    ],
)
def test_what_needs_a_vector_stays(ops: tuple[Op, ...]) -> None:
    graph = chain(*ops)
    assert run_passes(graph, {}, ("fc_to_conv",)).graph is graph


def test_shared_linear_layers_stay() -> None:
    x, y = image(3, 4, 4, name="x"), image(3, 4, 4, name="y")
    flats = [layer("a", shaping.Flatten(), x), layer("b", shaping.Flatten(), y)]
    ends = [layer("one", linear.Linear(4), flats[0], module="m"), layer("two", linear.Linear(4), flats[1], module="m")]
    graph = network([x, y, *flats, *ends], a=ends[0], b=ends[1])
    assert run_passes(graph, {}, ("fc_to_conv",)).graph is graph


def test_vectors_of_two_images_are_not_joined() -> None:
    """Their maps would have to be equally large at every size."""
    x, y = image(3, 4, 4, name="x"), image(3, 4, 4, name="y")
    flats = [layer("a", shaping.Flatten(), x), layer("b", shaping.Flatten(), y)]
    ends = [layer("one", linear.Linear(4), flats[0]), layer("two", linear.Linear(4), flats[1])]
    added = layer("added", merge.Add(), *ends)
    graph = network([x, y, *flats, *ends, added], out=added)
    assert run_passes(graph, {}, ("fc_to_conv",)).graph is graph


@pytest.mark.parametrize("pool", [pooling.AdaptiveAvgPool, pooling.AdaptiveMaxPool])
def test_an_adaptive_pooling_that_did_nothing_goes(pool: type[Op]) -> None:
    graph = chain(pool((10, 8)), *HEAD)  # type: ignore[call-arg]
    deployed = run_passes(graph, {}, ("fc_to_conv",), {"image": (3, 12, 9)})
    assert kinds(deployed.graph.layers) == ["conv", "relu", "conv"]
    assert deployed.graph.outputs[0].type.shape == (5, 3, 2)
    squeezing = chain(pool((5, 4)), *HEAD)  # type: ignore[call-arg]
    deployed = run_passes(squeezing, {}, ("fc_to_conv",), {"image": (3, 12, 9)})
    assert deployed.graph.outputs[0].type.shape == (5, 1, 1)


def test_an_adaptive_pooling_to_one_position_means_the_whole_map() -> None:
    graph = chain(convolution.Conv(4, (10, 8)), pooling.AdaptiveAvgPool(1), *HEAD)
    deployed = run_passes(graph, {}, ("fc_to_conv",), {"image": (3, 12, 9)})
    assert kinds(deployed.graph.layers) == ["conv", "adaptive_avgpool", "conv", "relu", "conv"]
    assert deployed.graph.outputs[0].type.shape == (5, 1, 1)


@pytest.mark.parametrize("name", ["torchvision/vgg16", "vgg"])
def test_vgg_gives_2x2_scores_at_256_and_8x8_at_448(name: str) -> None:
    """Simonyan and Zisserman, 2014, section 3.2: 32 pixels apart, a window of 7x7 of the last feature map each."""
    net = archdsl.load(name)
    for size, scores in ((224, 1), (256, 2), (448, 8)):
        dense = run_passes(net.checked, {}, (*DEPLOYMENT, "fc_to_conv"), {"image": (3, size, size)})
        assert dense.graph.outputs[0].type.shape == (1000, scores, scores)
        assert_inferred(dense.graph)
        assert sum(layer.weights[0].elements for layer in dense.graph.layers if layer.weights) == sum(
            layer.weights[0].elements for layer in net.checked.layers if layer.weights
        )


def test_open_sizes_give_maps_of_open_sizes() -> None:
    """The file that was made once takes every size: it gives what a file for just that size gives."""
    graph = chain(*BODY, *HEAD)
    weights = mild_weights(graph)
    asked = {"image": (3, "H:10..40by2", "W:8..40by2")}
    dense = run_passes(graph, weights, (*DEPLOYMENT, "fc_to_conv"), asked)
    assert_inferred(dense.graph)
    for size in ((3, 10, 8), (3, 14, 10), (3, 30, 24)):
        fixed = run_passes(graph, weights, (*DEPLOYMENT, "fc_to_conv"), {"image": size})
        inputs = random_inputs(fixed.graph)
        (one,), (other,) = outputs(dense.graph, dense.weights, inputs), outputs(fixed.graph, fixed.weights, inputs)
        np.testing.assert_array_equal(one, other)
    with pytest.raises(ArchError, match=r"symbolic-size.*at H = 8, W = 8: `l4`: a kernel of 4 does not fit into 3"):
        run_passes(graph, weights, ("fc_to_conv",), {"image": (3, "H:8..40by2=10", "W:8..40by2")})


def test_without_the_pass_a_larger_image_is_refused_where_weights_would_change() -> None:
    net = archdsl.load("vgg")
    with pytest.raises(ArchError) as refused:
        run_passes(net.checked, {}, (), {"image": (3, 256, 256)})
    (found,) = refused.value.diagnostics
    assert found.code == "size-fixed"
    assert found.message == "`fc6.weight` is [4096, 25088]; an input of this size needs [4096, 32768]"
    assert found.span is not None
    assert found.span.text == "linear"
    assert found.notes == ("`fc6` was laid out for an input of [N, 25088]",)
    assert found.help is not None
    assert "the pass `fc_to_conv`" in found.help


def test_a_refusal_names_the_layer_that_prevents_convolutions() -> None:
    norm = chain(*BODY, shaping.Flatten(), linear.Linear(8), normalization.LayerNorm(affine=False))
    rows = chain(shaping.Reshape((3, -1)), linear.Linear(4))
    for graph, words in ((norm, "`l5` (`layernorm`) needs a vector"), (rows, "it needs a vector")):
        with pytest.raises(ArchError, match="size-fixed") as refused:
            run_passes(graph, {}, ("fc_to_conv",), {"image": (3, 12, 10)})
        (found,) = refused.value.diagnostics
        assert words in found.notes[1]
        assert found.help is None


def test_too_small_an_image_is_refused_where_a_window_no_longer_fits() -> None:
    net = archdsl.load("vgg")
    with pytest.raises(ArchError) as refused:
        run_passes(net.checked, {}, ("fc_to_conv",), {"image": (3, 192, 192)})
    (found,) = refused.value.diagnostics
    assert found.code == "kernel-too-large"
    assert found.message == "`fc6`: a kernel of 7 does not fit into 6"
