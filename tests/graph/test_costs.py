"""Counts of small networks, worked out by hand."""

from __future__ import annotations

import networkx as nx
import pytest
from call_count import calls
from cost_graphs import chain, graph_of, image, layer
from hypothesis import given
from hypothesis import strategies as st
from support import compiled

import archdsl
from archdsl.graph.costs import QUANTITIES, Costs, Totals, TrainingTotals, costs, quantity
from archdsl.graph.counting import COUNTING_RULE, FURTHER, counting_rule
from archdsl.graph.graph import CheckedGraph, Input, Layer
from archdsl.ops import OPS, activation, convolution, linear, merge, pooling, shaping, transposed

DIAMOND = """
network diamond {
    input x: [4, 8, 8]
    body: add {
        a: conv(4, 3, pad = 1)
        b: { wide: conv(8, 1); narrow: conv(4, 3, pad = 1) -> relu }
    }
}
"""


def found(text: str) -> tuple[CheckedGraph, Costs]:
    graph = compiled(text).checked
    return graph, costs(graph)


def test_diamond_with_unequal_branches() -> None:
    _, cost = found(DIAMOND)
    params = {path: cost.stages[path].params for path in ("body.a", "body.b.wide", "body.b.narrow", "body.b", "body")}
    assert params == {"body.a": 148, "body.b.wide": 40, "body.b.narrow": 292, "body.b": 332, "body": 480}
    macs = (4 * 9 * 4 + 4 * 8 + 8 * 9 * 4) * 64
    elementwise = (4 + 8 + 4 + 4 + 4) * 64  # three biases, relu, one addition
    assert cost.totals == Totals(
        params=480,
        trainable_params=480,
        buffers=0,
        macs=macs,
        flops=2 * macs + elementwise,
        weight_bytes=480 * 4,
        peak_activation_bytes=(4 + 8 + 4) * 64 * 4,
        training_activation_bytes=(4 + 4 + 8 + 4 + 4 + 4) * 64 * 4,
        layers=5,
        depth=2,
    )
    assert cost.training_totals == TrainingTotals(480, macs)


def test_weights_are_params_without_biases_and_buffers_are_neither() -> None:
    graph, cost = found("network n { input x: [3, 5, 5]; conv(6, 3); batchnorm; relu }")
    assert quantity(graph, cost, "", "params") == 6 * 27 + 6 + 12
    assert quantity(graph, cost, "", "weights") == 6 * 27 + 6
    assert quantity(graph, cost, "", "biases") == 6 + 6
    assert quantity(graph, cost, "", "buffers") == 6 + 6 + 1
    assert quantity(graph, cost, "", "weight_bytes") == (6 * 27 + 6 + 12 + 12) * 4 + 8


def test_stages_end_at_a_dot() -> None:
    _, cost = found("network n { input x: [2, 4, 4]; a: { conv(2, 1) }; ab: { conv(3, 1); conv(3, 1) } }")
    assert cost.stages["a"].params == 6
    assert cost.stages["ab"].params == 9 + 12


def shared_twice() -> CheckedGraph:
    x = image(2, 4, 4)
    conv = convolution.Conv(2, 3, pad=1)
    before = layer("a.before", activation.ReLU(), x)
    first = layer("a.use", conv, before, module="head")
    second = layer("b.use", conv, first, module="head")
    own = layer("b.own", conv, second)
    return graph_of(x, before, first, second, own, outputs=(own,), stages={"a": first, "b": own})


def test_shared_weights_count_once_in_whatever_uses_them() -> None:
    graph = shared_twice()
    cost = costs(graph)
    each = 2 * 2 * 9 + 2
    assert cost.totals.params == 2 * each
    assert cost.totals.macs == 3 * 36 * 16
    assert [quantity(graph, cost, path, "params") for path in ("a", "b", "b.use")] == [each, 2 * each, each]
    assert [layer.shared for layer in cost.layers.values()] == [False, False, True, False]
    assert cost.totals.depth == 3


def test_a_module_that_training_uses_first_is_counted_where_it_is_deployed() -> None:
    x = image(2, 4, 4)
    conv = convolution.Conv(2, 1)
    early = layer("early.use", conv, x, module="head", training=True)
    late = layer("late.use", conv, x, module="head")
    alone = layer("early.alone", conv, early, training=True)
    cost = costs(graph_of(x, early, late, alone, outputs=(late, alone)))
    assert [layer.shared for layer in cost.layers.values()] == [True, False, False]
    assert (cost.totals.params, cost.training_totals.params) == (6, 12)
    assert cost.stages["early"].params == 12


HEADS = """
network heads {
    input x: [2, 8, 8]
    body: conv(4, 3, pad = 1) -> relu
    head: { maxpool(2); flatten; fc: linear(5) } from @body    training weight = 0.3
    output y: avgpool(global) -> flatten -> linear(3)
}
"""


def test_training_only_stages_report_their_own_cost() -> None:
    graph, cost = found(HEADS)
    assert cost.totals.params == 76 + 15
    assert cost.training_totals == TrainingTotals(76 + 15 + 64 * 5 + 5, 72 * 64 + 12 + 320)
    assert cost.totals.layers == 5
    head = cost.stages["head"]
    assert (head.training_only, head.params, head.macs, head.layers, head.depth) == (True, 325, 320, 3, 1)
    assert (head.training_params, head.training_macs) == (325, 320)
    assert quantity(graph, cost, "head", "shape") == (5,)
    assert quantity(graph, cost, "", "training_params") == 416
    assert cost.stages["body"].training_only is False


def test_training_only_layers_inside_a_stage_are_left_out_of_it() -> None:
    x = image(2, 4, 4)
    body = layer("s.body", convolution.Conv(2, 1), x)
    aux = layer("s.aux", convolution.Conv(5, 1), body, training=True)
    stage = costs(graph_of(x, body, aux, outputs=(body, aux), stages={"s": body})).stages["s"]
    assert (stage.params, stage.layers, stage.depth) == (6, 1, 1)
    assert (stage.training_params, stage.training_macs) == (6 + 15, (4 + 10) * 16)


def test_every_quantity_of_the_network_of_a_stage_and_of_a_layer() -> None:
    graph, cost = found(DIAMOND)
    narrow = {name: quantity(graph, cost, "body.b.narrow", name) for name in QUANTITIES}
    assert narrow == {
        "shape": (4, 8, 8), "params": 292, "trainable_params": 292, "buffers": 0, "weights": 288, "biases": 4,
        "weight_bytes": 292 * 4, "macs": 18432, "flops": 36864 + 256 + 256, "activations": 256, "layers": 2,
        "depth": 1, "peak_activation_bytes": (4 + 4 + 8) * 256, "training_activation_bytes": 2048,
        "training_params": 292, "training_macs": 18432, "receptive_field": (3, 3), "effective_stride": (1, 1),
    }  # fmt: skip
    assert quantity(graph, cost, "", "activations") == 4 * 64
    assert quantity(graph, cost, "", "shape") == (4, 8, 8)
    wide = {name: quantity(graph, cost, "body.b.wide", name) for name in QUANTITIES}
    assert (wide["shape"], wide["params"], wide["weights"], wide["layers"], wide["depth"]) == ((8, 8, 8), 40, 32, 1, 1)
    assert wide["training_activation_bytes"] == 8 * 64 * 4


def test_a_lone_layer_answers_as_a_stage_would() -> None:
    x = image(3, 4, 4)
    only = layer("only", convolution.Conv(2, 3), x)
    labelled = graph_of(x, only, outputs=(only,), stages={"only": only})
    plain = graph_of(x, only, outputs=(only,))
    for name in QUANTITIES:
        assert quantity(plain, costs(plain), "only", name) == quantity(labelled, costs(labelled), "only", name)


def test_unknown_paths_and_the_shape_of_several_outputs() -> None:
    x = image(3, 4, 4)
    one, two = layer("one", activation.ReLU(), x), layer("two", convolution.Conv(5, 3), x)
    graph = graph_of(x, one, two, outputs=(one, two))
    cost = costs(graph)
    with pytest.raises(KeyError):
        quantity(graph, cost, "three", "params")
    with pytest.raises(ValueError, match=r"several outputs \(`one`, `two`\)"):
        quantity(graph, cost, "", "shape")
    assert quantity(graph, cost, "", "activations") == 3 * 16 + 5 * 4
    assert quantity(graph, cost, "", "receptive_field") == (3, 3)


def test_a_label_without_layers_is_a_stage_of_nothing() -> None:
    x = image(2, 4, 4)
    one = layer("one", convolution.Conv(3, 1), x)
    graph = graph_of(x, one, outputs=(one,), stages={"a": one})
    cost = costs(graph)
    assert quantity(graph, cost, "a", "shape") == (3, 4, 4)
    assert [quantity(graph, cost, "a", name) for name in ("params", "layers", "depth")] == [0, 0, 0]


@given(st.data())
def test_depth_is_the_longest_of_all_paths(data: st.DataObject) -> None:
    x = image(2, 2, 2)
    layers: list[Layer] = []
    for index in range(data.draw(st.integers(1, 8))):
        name = data.draw(st.sampled_from(["a", "a.b", "c"])) + f".{index}"
        ready: list[Input | Layer] = [x, *layers]
        picked = data.draw(st.lists(st.sampled_from(ready), min_size=1, max_size=3))
        deep = data.draw(st.booleans())
        layers.append(layer(name, convolution.Conv(2, 1) if deep else merge.Add(), *picked[: 1 if deep else 3]))
    graph = graph_of(x, *layers, outputs=(layers[-1],))
    cost = costs(graph)
    for stage in {"", *(name for name in ("a", "a.b", "c") if name in cost.stages)}:
        inside = [n for n in layers if n.path.startswith(stage)]
        # paths that leave a stage cannot come back in real networks; here they do, so only convex stages count
        if all(_stays(graph, path, inside) for path in _paths(graph, inside)):
            assert cost.stages[stage].depth == max(_deep(graph, path) for path in _paths(graph, inside))


def _paths(graph: CheckedGraph, inside: list[Layer]) -> list[list[str]]:
    """All simple paths between two of these layers, and the layers themselves."""
    simple = nx.DiGraph(graph.multigraph)
    pairs = [(one.path, two.path) for one in inside for two in inside if one is not two]
    return [[n.path] for n in inside] + [p for one, two in pairs for p in nx.all_simple_paths(simple, one, two)]


def _stays(graph: CheckedGraph, path: list[str], inside: list[Layer]) -> bool:
    return {*path} <= {node.path for node in inside}


def _deep(graph: CheckedGraph, path: list[str]) -> int:
    return sum(graph.layer(node).op.counts_depth for node in path)


def test_googlenet_has_the_figures_of_its_definition() -> None:
    cost = costs(archdsl.load("googlenet").checked)
    assert (cost.totals.params, cost.totals.macs, cost.totals.depth) == (6_998_552, 1_582_671_872, 22)
    assert cost.training_totals.params == 13_378_280
    assert cost.stages["inception_3a"].macs == 128_049_152
    assert cost.stages["inception_3a"].weights == 163_328


def test_other_ranks() -> None:
    x = image(10)
    vector = chain(x, linear.Linear(5), activation.Softmax())
    cost = costs(graph_of(x, *vector, outputs=(vector[-1],)))
    assert (cost.totals.macs, cost.totals.flops) == (50, 100 + 5 + 25)
    volume = image(1, 4, 4, 4, name="volume")
    layers = chain(volume, convolution.Conv(2, 3), pooling.AvgPool(2), shaping.Flatten())
    cost = costs(graph_of(volume, *layers, outputs=(layers[-1],)))
    assert (cost.totals.macs, cost.layers["1"].receptive_field) == (27 * 2 * 8, (4, 4, 4))


def test_the_rule_is_one_or_two_sentences() -> None:
    assert COUNTING_RULE.count(". ") == 1


def test_the_rule_says_more_where_there_is_more_to_say() -> None:
    """And every op that it speaks of there is one."""
    x = image(4, 8, 8)
    plain, special = chain(x, convolution.Conv(2, 3)), chain(x, transposed.Deconv(2, 3))
    assert counting_rule(plain) == COUNTING_RULE
    assert counting_rule([*plain, *special]) == f"{COUNTING_RULE} {FURTHER[0][1]}"
    assert {name for names, _ in FURTHER for name in names.split()} <= set(OPS)


def repeated(count: int, depth: int) -> CheckedGraph:
    x = image(8, 16, 16)
    layers: list[Layer] = []
    for index in range(count):
        prefix = "".join(f"s{index // 2**k}." for k in range(depth, 0, -1))
        op = activation.ReLU() if index % 2 else convolution.Conv(8, 3, pad=1)
        layers.append(layer(f"{prefix}{index}", op, layers[-1] if layers else x))
    return graph_of(x, *layers, outputs=(layers[-1],))


@pytest.mark.parametrize("depth", [0, 5])
def test_work_is_linear_in_the_layers(depth: int) -> None:
    def work(count: int) -> int:
        graph = repeated(count, depth)
        return calls(lambda: costs(graph))

    assert work(2048) < 1.1 * 8 * work(256)
