"""The table of passes, training-only parts, other sizes, counts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hand_built import NOWHERE, classifier, image, layer, network, random_inputs
from hypothesis import HealthCheck, given, settings
from pass_networks import assert_inferred, assert_same_function, both, kinds, mild_weights, networks, outputs
from spec_weights import ordinary_weights

import archdsl
from archdsl.emit.onnx.model import onnx_model
from archdsl.graph.costs import costs
from archdsl.graph.graph import CheckedGraph, Input, Layer
from archdsl.language.diagnostics import ArchError
from archdsl.library import folder, networks_in, shipped
from archdsl.ops.activation import ReLU
from archdsl.ops.convolution import Conv
from archdsl.ops.linear import Linear
from archdsl.ops.merge import Add
from archdsl.ops.shaping import Dropout, Flatten
from archdsl.passes.counts import Comparison, compare_counts
from archdsl.passes.pipeline import DEPLOYMENT, PASSES, run_passes
from archdsl.passes.retype import retype


def test_the_table() -> None:
    assert DEPLOYMENT == ("remove_training", "plain_weights", "fold_scale", "fold_batchnorm", "merge_padding")
    assert {name: item.preserves for name, item in PASSES.items()} == {
        "remove_training": "exact",
        "plain_weights": "approximate",
        "fc_to_conv": "changes",
        "fold_scale": "approximate",
        "fold_batchnorm": "approximate",
        "merge_padding": "exact",
    }
    for name, item in PASSES.items():
        assert item.name == item.run.__name__ == item.run.__module__.rpartition(".")[2] == name


def test_every_pass_is_documented() -> None:
    page = (Path(__file__).parents[2] / "docs" / "commands.md").read_text("utf-8")
    assert [name for name in PASSES if f"| `{name}` |" not in page] == []


def test_an_unknown_pass_is_named_with_the_ones_there_are() -> None:
    with pytest.raises(ArchError) as refused:
        run_passes(classifier(), {}, ("fold_batch_norm",))
    (found,) = refused.value.diagnostics
    assert (found.code, found.message) == ("unknown-pass", "there is no pass `fold_batch_norm`")
    assert found.notes == (f"there are {', '.join(PASSES)}",)
    assert found.help == "did you mean `fold_batchnorm`?"


def test_training_goes_whatever_is_asked_for() -> None:
    graph = classifier()
    weights = mild_weights(graph)
    deployed = run_passes(graph, weights, ())
    assert deployed.applied == ("remove_training",)
    assert kinds(deployed.graph.layers) == ["conv", "batchnorm", "relu", "avgpool", "flatten", "linear"]
    assert [output.name for output in deployed.graph.outputs] == ["logits"]
    assert set(weights) - set(deployed.weights) == {"aux.fc.weight", "aux.fc.bias"}
    again = run_passes(deployed.graph, deployed.weights, ())
    assert again.applied == ()
    assert again.graph is deployed.graph


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(networks())
def test_without_training_the_file_is_the_same_to_the_byte(graph: CheckedGraph) -> None:
    weights = mild_weights(graph)
    deployed = run_passes(graph, weights, ())
    assert_inferred(replace(deployed.graph, claims=(), verdicts=()))
    before, after = onnx_model(graph, weights), onnx_model(deployed.graph, deployed.weights)
    assert before.SerializeToString(deterministic=True) == after.SerializeToString(deterministic=True)


def test_dropout_as_an_output_and_in_a_row() -> None:
    x = image(4)
    one = layer("one", Dropout(), x)
    two = layer("two", Dropout(), one)
    relu = layer("relu", ReLU(), two)
    added = layer("added", Add(), two, relu)
    deployed, before, after = both(network([x, one, two, relu, added], a=two, b=added, c=one))
    assert kinds(deployed.graph.layers) == ["relu", "add"]
    assert_same_function(before, after, 0)


def test_inputs_of_training_go_and_others_stay() -> None:
    """Labels that only a loss reads; an input that nobody reads is part of the interface all the same."""
    x, labels, spare = image(4), image(4, name="labels"), image(4, name="spare")
    relu = layer("relu", ReLU(), x)
    loss = layer("loss", Add(), relu, labels, training=True)
    graph = network([x, labels, spare, relu, loss], out=relu, loss=loss)
    deployed = run_passes(graph, {}, ())
    assert [node.path for node in deployed.graph.inputs] == ["image", "spare"]
    named = network([x, labels, relu, loss], out=relu, labels_too=labels, loss=loss)
    assert [node.path for node in run_passes(named, {}, ()).graph.inputs] == ["image", "labels"]


def test_a_real_network_keeps_its_stages_scopes_and_text() -> None:
    net = archdsl.load("torchvision/googlenet")
    deployed = run_passes(net.checked, {}).graph
    assert_inferred(deployed)
    assert "aux1" in net.checked.stages
    assert not [path for path in (*deployed.stages, *deployed.scopes) if path.startswith("aux")]
    assert deployed.stages["inception3a"].result == net.checked.stages["inception3a"].result
    assert deployed.scopes["inception3a"] == net.checked.scopes["inception3a"]
    assert deployed.stages["conv1"].result == net.checked.stages["conv1"].result  # a relu
    assert deployed.digest == net.checked.digest
    for stage in costs(deployed).stages.values():
        assert stage.layers or stage.path in deployed.stages


def test_counts_side_by_side() -> None:
    """ResNet-18 of torchvision: 20 norms of 4,800 channels lose two numbers and the convolutions gain one for each."""
    graph = archdsl.load("torchvision/resnet18").checked
    rows = compare_counts(costs(graph).totals, costs(run_passes(graph, {}).graph).totals)
    assert rows == (
        Comparison("layers", 69, 49),
        Comparison("params", 11_689_512, 11_689_512 - 4_800),
        Comparison("macs", 1_814_073_344, 1_814_073_344),
        # a factor and an offset for each element become a bias for each
        Comparison("flops", 3_638_007_272, 3_638_007_272 - 2_483_712),
    )


LARGE = {"image": (3, 320, 256)}


def placeless(node: Input | Layer) -> Input | Layer:
    return replace(node, span=NOWHERE) if isinstance(node, Input) else replace(node, span=NOWHERE, stack=())


def test_retype_is_elaboration_at_that_size_where_nothing_depends_on_it() -> None:
    """Another text each time it is read, so that its places are not compared."""
    graph, other = (archdsl.load("torchvision/resnet18", inputs=inputs).checked for inputs in ({}, LARGE))
    large = retype(graph, LARGE)
    for path, node in large.nodes.items():
        assert placeless(node) == placeless(other.nodes[path])
    assert large.outputs == other.outputs
    assert {path: stage.type for path, stage in large.stages.items()} == {
        path: stage.type for path, stage in other.stages.items()
    }
    assert large.overridden == other.overridden
    assert_inferred(large)


@pytest.mark.parametrize(
    ("inputs", "code", "message"),
    [
        ({"picture": (3, 8, 8)}, "unknown-parameter", "`net` has no input `picture`"),
        ({"image": (3, 8)}, "bad-input-shape", "`image` is [N, 3, 8, 8]; it cannot become [N, 3, 8]"),
        ({"image": (3, 8, 0)}, "bad-input-shape", "`image` is [N, 3, 8, 8]; it cannot become [N, 3, 8, 0]"),
        ({"image": (4, 8, 8)}, "size-fixed", "`c.weight` is [4, 3, 3, 3]; an input of this size needs [4, 4, 3, 3]"),
        ({"image": (3, 9, 8)}, "size-fixed", "`fc.weight` is [2, 144]; an input of this size needs [2, 168]"),
        ({"image": (3, 2, 8)}, "kernel-too-large", "`c`: a kernel of 3 does not fit into 2"),
    ],
)
def test_retype_refuses(inputs: dict[str, tuple[int, ...]], code: str, message: str) -> None:
    x = image(3, 8, 8)
    conv = layer("c", Conv(4, 3), x)
    flat = layer("flat", Flatten(), conv)
    fc = layer("fc", Linear(2), flat)
    with pytest.raises(ArchError) as refused:
        retype(network([x, conv, flat, fc], out=fc), inputs)
    (found,) = refused.value.diagnostics
    assert (found.code, found.message) == (code, message)


def test_applied_are_those_that_changed_something() -> None:
    net = archdsl.load("torchvision/vgg11_bn")
    assert run_passes(net.checked, {}).applied == ("remove_training", "fold_batchnorm")
    assert run_passes(archdsl.load("vgg").checked, {}, ("fold_batchnorm",)).applied == ("remove_training",)


SOME = ("torchvision/mobilenet_v2", "torchvision/shufflenet_v2_x0_5", "lenet5")
TORCHVISION = [
    folder(spec) + name for spec in shipped() if folder(spec) == "torchvision/" for name in networks_in(spec)
]


@pytest.mark.parametrize(
    "name", [*SOME, *(pytest.param(name, marks=pytest.mark.slow) for name in TORCHVISION if name not in SOME)]
)
def test_networks_of_the_library_keep_their_function(name: str) -> None:
    net = archdsl.load(name)
    weights, inputs = ordinary_weights(net), random_inputs(net.checked, batch=1, spread=1)
    deployed = run_passes(net.checked, weights)
    before = outputs(net.checked, weights, inputs)
    assert np.isfinite(before[0]).all()
    assert_same_function(before, outputs(deployed.graph, deployed.weights, inputs), 1e-4)
    kept = {node.op.name for node in deployed.graph.layers} & {"batchnorm", "dropout", "pad"}
    assert not kept or "densenet" in name  # whose norms stand before the convolutions and after a merge
