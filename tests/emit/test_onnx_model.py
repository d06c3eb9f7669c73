"""The model around the rules: names, types, metadata, dropout, shared weights, batches, determinism, refusals."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from call_count import calls
from hand_built import classifier, image, layer, network, random_inputs, random_weights, run_onnx, single

from archdsl.emit.onnx import rules
from archdsl.emit.onnx.model import onnx_model, tensor_names
from archdsl.graph.graph import CheckedGraph, Input, Layer, TensorRef
from archdsl.language.diagnostics import ArchError
from archdsl.ops.activation import ReLU, Softmax
from archdsl.ops.base import OPS, Op
from archdsl.ops.convolution import Conv
from archdsl.ops.linear import Linear
from archdsl.ops.merge import Concat
from archdsl.ops.normalization import BatchNorm, GroupNorm
from archdsl.ops.shaping import Dropout, Scale, Split


def error_of(call: object, *arguments: object, **named: object) -> str:
    with pytest.raises(ArchError) as caught:
        call(*arguments, **named)  # type: ignore[operator]
    (diagnostic,) = caught.value.diagnostics
    return diagnostic.code


def test_names_are_the_specs() -> None:
    graph = classifier()
    model = onnx_model(graph, random_weights(graph))
    assert [node.name for node in model.graph.node] == [
        "features.0.conv",
        "features.0.bn",
        "features.1",
        "pool",
        "classifier.0",
        "classifier.2",
    ]
    assert [value.name for value in model.graph.input] == ["image"]
    assert [value.name for value in model.graph.output] == ["logits"]
    assert [tensor.name for tensor in model.graph.initializer] == [
        "features.0.conv.weight",
        "features.0.conv.bias",
        "features.0.bn.weight",
        "features.0.bn.bias",
        "features.0.bn.running_mean",
        "features.0.bn.running_var",
        "classifier.2.weight",
        "classifier.2.bias",
    ]
    assert [value.name for value in model.graph.value_info] == [
        "features.0.conv",
        "features.0.bn",
        "features.1",
        "pool",
        "classifier.0",
    ]


def test_header_holds_version_source_and_preprocessing() -> None:
    graph = classifier()
    model = onnx_model(graph, random_weights(graph), opset=19)
    assert (model.producer_name, model.ir_version) == ("archdsl", 9)
    assert [(item.domain, item.version) for item in model.opset_import] == [("", 19)]
    metadata = {item.key: item.value for item in model.metadata_props}
    assert metadata["archdsl.network"] == "net"
    assert metadata["archdsl.source_digest"] == "d1"
    assert json.loads(metadata["archdsl.preprocessing"]) == {
        "image": {"resize": 9, "channels": "bgr", "scale": 255, "mean": [104, 117, 123]}
    }


@pytest.mark.parametrize("batch", [1, 2, 5])
def test_one_file_takes_every_batch(batch: int) -> None:
    graph = classifier()
    model = onnx_model(graph, random_weights(graph))
    inputs = random_inputs(graph, batch=batch)
    (together,) = run_onnx(model, inputs)
    alone = [run_onnx(model, {"image": inputs["image"][i : i + 1]})[0] for i in range(batch)]
    np.testing.assert_allclose(together, np.concatenate(alone), rtol=1e-5, atol=1e-6)


def test_batch_can_be_fixed() -> None:
    graph = classifier()
    model = onnx_model(graph, random_weights(graph), batch=4)
    dims = model.graph.output[0].type.tensor_type.shape.dim
    assert [dim.dim_value for dim in dims] == [4, 5]
    assert run_onnx(model, random_inputs(graph, batch=4))[0].shape == (4, 5)


def test_dropout_is_the_identity_also_as_an_output() -> None:
    x = image(3)
    drop = layer("drop", Dropout(), x)
    again = layer("again", Dropout(), drop)
    graph = network([x, drop, again], a=again, b=again)
    model = onnx_model(graph, {})
    assert [node.op_type for node in model.graph.node] == ["Identity", "Identity"]
    inputs = random_inputs(graph)
    for result in run_onnx(model, inputs):
        np.testing.assert_array_equal(result, inputs["image"])


def test_one_tensor_under_two_output_names() -> None:
    x = image(3)
    relu = layer("relu", ReLU(), x)
    drop = layer("drop", Dropout(), relu)
    graph = network([x, relu, drop], first=relu, second=drop)
    model = onnx_model(graph, {})
    assert [(node.op_type, list(node.output)) for node in model.graph.node] == [
        ("Relu", ["first"]),
        ("Identity", ["second"]),
    ]


def test_an_output_may_be_named_like_another_layer() -> None:
    x = image(3)
    inner = layer("scores", Scale(2.0), x)
    outer = layer("last", ReLU(), inner)
    graph = network([x, inner, outer], scores=outer)
    names = tensor_names(graph)
    assert names[TensorRef("last")] == "scores"
    assert names[TensorRef("scores")] == "scores/value"
    (result,) = run_onnx(onnx_model(graph, {}), {"image": np.array([[1, -1, 2]], np.float32)})
    assert result.tolist() == [[2, 0, 4]]


def test_an_output_may_not_be_named_like_an_input() -> None:
    x = image(3)
    relu = layer("relu", ReLU(), x)
    assert error_of(onnx_model, network([x, relu], image=relu), {}) == "output-name"


def test_later_results_have_their_index_in_the_name() -> None:
    x = image(6)
    parts = layer("parts", Split(3), x)
    swapped = layer("swapped", Concat(), (parts, 2), (parts, 0))
    graph = network([x, parts, swapped], y=swapped)
    model = onnx_model(graph, {})
    assert list(model.graph.node[0].output) == ["parts", "parts:1", "parts:2"]
    (result,) = run_onnx(model, {"image": np.arange(6, dtype=np.float32)[None]})
    assert result.tolist() == [[4, 5, 0, 1]]


def test_shared_weights_are_stored_once() -> None:
    x = image(4)
    first = layer("a", Linear(4), x, module="head")
    second = layer("b", Linear(4), first, module="head")
    graph = network([x, first, second], y=second)
    weights = random_weights(graph)
    model = onnx_model(graph, weights)
    assert [tensor.name for tensor in model.graph.initializer] == ["head.weight", "head.bias"]
    inputs = random_inputs(graph)
    w, b = weights["head.weight"], weights["head.bias"]
    expected = (inputs["image"] @ w.T + b) @ w.T + b
    np.testing.assert_allclose(run_onnx(model, inputs)[0], expected, rtol=1e-5, atol=1e-5)


def test_an_input_of_training_only_parts_is_left_out() -> None:
    x, labels = image(3), image(3, name="labels")
    relu = layer("relu", ReLU(), x)
    margin = layer("margin", Concat(), relu, labels, training=True)
    spare = image(2, name="spare")
    graph = network([x, labels, spare, relu, margin], y=relu, loss=margin)
    assert [value.name for value in onnx_model(graph, {}).graph.input] == ["image", "spare"]


def test_weights_must_be_there_and_fit() -> None:
    graph = single(Linear(2), (3,))
    weights = random_weights(graph)
    assert error_of(onnx_model, graph, {**weights, "block.op.bias": np.zeros(3)}) == "weight-shape"
    del weights["block.op.bias"]
    assert error_of(onnx_model, graph, weights) == "weight-missing"


def test_weights_of_another_element_type_are_converted() -> None:
    graph = single(Linear(2), (3,))
    weights = {key: value.astype(">f8") for key, value in random_weights(graph).items()}
    model = onnx_model(graph, weights)
    stored = onnx.numpy_helper.to_array(model.graph.initializer[0])
    assert stored.dtype == np.float32
    np.testing.assert_array_equal(stored, weights["block.op.weight"].astype(np.float32))


@pytest.mark.parametrize("opset", [12, onnx.defs.onnx_opset_version() + 1])
def test_opsets_out_of_range_are_refused(opset: int) -> None:
    assert error_of(onnx_model, single(ReLU(), (3,)), {}, opset=opset) == "opset-unsupported"


def test_a_missing_rule_is_a_named_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(rules.RULES, ReLU)
    assert error_of(onnx_model, single(ReLU(), (3,)), {}) == "onnx-no-rule"


@pytest.mark.parametrize("always", [True, False])
def test_an_unsupported_op_says_why(monkeypatch: pytest.MonkeyPatch, always: bool) -> None:
    def refuse(site: object, op: object) -> None:
        raise rules.Unsupported("no such operator")

    monkeypatch.setitem(rules.RULES, ReLU, rules.Unsupported("no such operator") if always else refuse)
    with pytest.raises(ArchError, match=r"`block\.op` cannot be written as ONNX: no such operator") as caught:
        onnx_model(single(ReLU(), (3,)), {})
    assert caught.value.diagnostics[0].code == "onnx-unsupported"


def test_the_table_refuses_a_second_rule() -> None:
    with pytest.raises(AssertionError):
        rules.rule(ReLU)(lambda site, op: None)


def test_every_op_that_owns_weights_names_initializers_by_state_dict_key() -> None:
    """Whatever the op: what is not a weight has a slash in its name, and only deployed weights are stored."""
    cases: list[tuple[Op, tuple[int, ...]]] = [
        (Conv(4, 3), (2, 5, 5)),
        (Linear(3), (4, 6)),
        (BatchNorm(), (4,)),
        (GroupNorm(2), (4, 3)),
        (OPS["prelu"](True), (4, 3)),  # type: ignore[call-arg]
        (Softmax(), (3,)),
    ]
    for op, shape in cases:
        graph = single(op, shape)
        weights = random_weights(graph)
        stored = {tensor.name for tensor in onnx_model(graph, weights).graph.initializer if "/" not in tensor.name}
        assert stored == {key for key in weights if not key.endswith("num_batches_tracked")}


def chain(count: int) -> CheckedGraph:
    """`count` layers in a row, every second one with weights."""
    items: list[Input | Layer] = [image(4, 6, 6)]
    for i in range(count // 2):
        items.append(layer(f"blocks.{i}.conv", Conv(4, 3, pad=1), items[-1]))
        items.append(layer(f"blocks.{i}.relu", ReLU(), items[-1]))
    return network(items, y=items[-1])


def test_work_grows_with_the_layers_and_no_faster() -> None:
    def work(count: int) -> int:
        graph = chain(count)
        weights = random_weights(graph)
        return calls(lambda: onnx_model(graph, weights))

    assert work(2048) < 1.1 * 8 * work(256)


SCRIPT = """
import hashlib, sys
from hand_built import classifier
from archdsl.emit.onnx.model import onnx_model
from archdsl.weights.initialize import initialize
graph = classifier()
content = onnx_model(graph, initialize(graph, 3)).SerializeToString(deterministic=True)
print(hashlib.sha256(content).hexdigest(), "torch" in sys.modules)
"""


def test_bytes_do_not_depend_on_the_hash_seed() -> None:
    """The same file in three processes of different hash seeds, none of which needs torch."""
    from archdsl.weights.initialize import initialize

    graph = classifier()
    ours = hashlib.sha256(onnx_model(graph, initialize(graph, 3)).SerializeToString(deterministic=True)).hexdigest()
    folder = Path(__file__).parent
    for seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": f"{folder.parent}{os.pathsep}{folder}"}
        script = SCRIPT.format(tests=str(folder))
        done = subprocess.run(
            [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True
        )
        assert done.stdout.split()[0] == ours
