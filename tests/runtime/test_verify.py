"""PyTorch and ONNX agree on what the specs say, and where one is made wrong, the layer is named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hand_built import classifier, image, layer, network, random_weights
from support import compiled

import archdsl
from archdsl.emit.onnx import rules
from archdsl.graph.graph import CheckedGraph
from archdsl.ops.activation import ReLU
from archdsl.ops.base import ONES
from archdsl.ops.linear import Linear
from archdsl.ops.merge import Concat
from archdsl.ops.normalization import LRN
from archdsl.ops.shaping import Split
from archdsl.runtime.verify import Difference, VerifyResult, calibrated, difference, opened, verify

SPEC = """
block unit(out, stride = 1) {
    conv: conv(out, 3, stride = stride, pad = 1) -> lrn(3)
    batchnorm -> relu
}

network net {
    input image: [3, 16, 16]
    stem: unit(4)
    add {
        { unit(8, stride = 2) -> avgpool(3, stride = 1, pad = 1) }
        { unit(8) -> maxpool(2) }
    }
    head: unit(6)
    aux: { flatten -> linear(4) } from @stem training weight = 0.3
    output wide: flatten -> linear(5)
    output map: unit(2) from @head
}
"""


@pytest.fixture
def spec(tmp_path: Path) -> CheckedGraph:
    path = tmp_path / "net.arch"
    path.write_text(SPEC)
    return archdsl.load(path).checked


def test_outputs_agree_at_every_batch(spec: CheckedGraph) -> None:
    result = verify(spec, random_weights(spec))
    assert result.agrees
    assert result.first_divergence is None
    assert [(item.batch, item.tensor) for item in result.differences] == [
        (batch, name) for batch in (1, 2, 5) for name in ("wide", "map")
    ]
    assert all(item.cosine == pytest.approx(1, abs=1e-6) for item in result.differences)


@pytest.mark.parametrize("opset", [13, 21])
def test_the_library_agrees(opset: int) -> None:
    """The paper's network, whose ceil pooling and normalization frameworks read differently."""
    loaded = archdsl.load("googlenet")
    result = verify(loaded.checked, loaded.initialize(), batches=(2,), opset=opset)
    assert result.agrees, result.differences


def test_the_first_layer_that_parts_is_named(spec: CheckedGraph, monkeypatch: pytest.MonkeyPatch) -> None:
    """The ONNX rule of one layer gets another alpha, as tools that do not divide by the size would write it."""
    target = [node.path for node in spec.layers if isinstance(node.op, LRN)][1]
    original: Any = rules.RULES[LRN]

    def wrong(site: rules.Site, op: LRN) -> None:
        original(site, LRN(op.size, op.alpha * op.size * 1000) if site.layer.path == target else op)

    monkeypatch.setitem(rules.RULES, LRN, wrong)
    result = verify(spec, random_weights(spec), batches=(1, 2))
    assert not result.agrees
    assert result.first_divergence is not None
    assert result.first_divergence.tensor == target
    assert result.first_divergence.max_rel > result.tolerance


def test_every_layer_becomes_an_output_under_a_name_of_its_own(spec: CheckedGraph) -> None:
    whole, tensors = opened(spec)
    assert list(tensors.values()) == [node.path for node in spec.deployed]
    assert [output.name for output in whole.deployed_outputs] == list(tensors)
    x = image(4, name="tensor7")
    relu = layer("tensor_0", ReLU(), x)
    taken, _ = opened(network([x, relu], y=relu))
    assert not {output.name for output in taken.outputs} & {"tensor7", "tensor_0"}


def test_hand_built_graph_with_dropout_and_auxiliary_head() -> None:
    graph = classifier()
    assert verify(graph, random_weights(graph), batches=(3,)).agrees


def test_several_inputs_results_and_a_training_only_input(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y, labels = image(6), image(2, name="other"), image(6, name="labels")
    parts = layer("parts", Split(3), x)
    joined = layer("joined", Concat(), (parts, 2), y, (parts, 0))
    fc = layer("fc", Linear(3, init=ONES), joined)
    margin = layer("margin", Concat(), fc, labels, training=True)
    graph = network([x, y, labels, parts, joined, fc, margin], scores=fc, part=(parts, 1), loss=margin)
    weights = random_weights(graph)
    assert verify(graph, weights).agrees
    monkeypatch.setitem(rules.RULES, Concat, lambda site, op: site.final("Concat", site.inputs[::-1], axis=op.axis))
    found = verify(graph, weights).first_divergence
    assert found is not None
    assert found.tensor == "joined"


def test_difference_is_relative_to_the_largest_output() -> None:
    found = difference(2, "y", np.array([1.0, -4.0, 0.0]), np.array([1.0, -4.0, 0.5]))
    assert (found.max_abs, found.max_rel) == (0.5, 0.125)
    assert found.cosine == pytest.approx(17 / np.sqrt(17 * 17.25))


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        ([np.nan, 1.0], [np.nan, 1.0], 0.0),
        ([np.inf, 1.0], [np.inf, 1.0], 0.0),
        ([np.nan, 1.0], [0.0, 1.0], np.inf),
        ([np.inf, 1.0], [-np.inf, 1.0], np.inf),
        ([0.0, 0.0], [0.0, 0.0], 0.0),
        ([0.0, 0.0], [0.0, 1e-9], np.inf),
    ],
)
def test_difference_of_values_that_are_no_numbers(left: list[float], right: list[float], expected: float) -> None:
    assert difference(1, "y", np.array(left), np.array(right)).max_rel == expected


def test_agreement_needs_every_output() -> None:
    good, bad = Difference(1, "a", 0.0, 1e-6, 1.0), Difference(1, "b", 1.0, 1e-4, 1.0)
    assert VerifyResult(1e-5, 17, (good,), None).agrees
    assert not VerifyResult(1e-5, 17, (good, bad), None).agrees


def test_outputs_that_are_no_numbers_do_not_agree() -> None:
    net = compiled("network n { input x: [4]; linear(3) }")
    weights = {key: np.full_like(array, np.nan) for key, array in net.initialize().items()}
    result = verify(net.checked, weights, (1,))
    assert not result.finite
    assert not result.agrees


def test_calibration_keeps_a_deep_residual_network_finite() -> None:
    """200 residual units double the variance 200 times unless batch norm knows what goes through it."""
    net = compiled("""
    network n {
        input x: [4, 6, 6]
        initialize conv = he_normal
        for i in range(200) { unit{i}: add { skip; { conv(4, 3, pad = 1) -> batchnorm -> relu } } }
        avgpool(global) -> flatten -> linear(3)
    }
    """)
    weights = net.initialize()
    assert not verify(net.checked, weights, (1,)).finite
    calm = calibrated(net.checked, weights)
    assert verify(net.checked, calm, (1, 2)).agrees
    assert [key for key in weights if not np.array_equal(weights[key], calm[key])] == [
        key for key in weights if key.endswith(("running_mean", "running_var"))
    ]


DYING = "network n {{ input x: [3, 8, 8]; {}; flatten; linear(4, init = normal(std = 1e-3), bias_init = constant(1)) }}"


def test_outputs_that_no_input_moves_prove_little() -> None:
    layers = "; ".join(["conv(3, 3, init = normal(std = 1e-3))"] * 2)
    net = compiled(DYING.format(layers))
    result = verify(net.checked, net.initialize())
    assert result.agrees
    assert result.still == ("output",)
    assert not verify(net.checked, net.initialize(), (1,)).still  # a single sample tells nothing


def test_statistics_of_a_batch_let_outputs_move() -> None:
    layers = "; ".join(["conv(8, 3, init = normal(std = 1e-3)) -> batchnorm"] * 2)
    net = compiled(DYING.format(layers).replace("init = normal(std = 1e-3), bias", "bias"))
    weights = net.initialize()
    assert verify(net.checked, weights).still == ("output",)
    assert not verify(net.checked, calibrated(net.checked, weights)).still
