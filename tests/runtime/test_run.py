"""An image through a model: classes, probabilities, latency."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import sklearn.datasets
from hand_built import classifier, image, layer, network, random_weights
from onnx import TensorProto, helper, numpy_helper

from archdsl.emit.onnx.model import onnx_model
from archdsl.emit.onnx.writer import save
from archdsl.graph.graph import CheckedGraph
from archdsl.language.diagnostics import ArchError
from archdsl.ops.activation import Softmax
from archdsl.ops.base import TensorType
from archdsl.ops.convolution import Conv
from archdsl.ops.dims import Symbol, dim
from archdsl.ops.linear import Linear
from archdsl.ops.pooling import AvgPool
from archdsl.ops.shaping import Flatten
from archdsl.runtime.image import load_image, preprocess_of
from archdsl.runtime.run import probabilities, run
from archdsl.runtime.session import open_session

FLOWER = Path(sklearn.datasets.__file__).parent / "images" / "flower.jpg"


def colour_means(softmax: bool = False) -> tuple[CheckedGraph, dict[str, np.ndarray]]:
    """Scores = 10 * the mean of each channel, so that the reddest channel wins by a known margin."""
    x = image(3, 16, 16, channels="rgb")
    pool = layer("pool", AvgPool("global"), x)
    flat = layer("flat", Flatten(), pool)
    last = layer("fc", Linear(3, bias=False), flat)
    items = [x, pool, flat, last]
    if softmax:
        last = layer("softmax", Softmax(), last)
        items.append(last)
    return network(items, scores=last), {"fc.weight": 10 * np.eye(3, dtype=np.float32)}


@pytest.mark.parametrize("softmax", [False, True])
def test_classes_are_probabilities_best_first(softmax: bool) -> None:
    graph, weights = colour_means(softmax)
    result = run(onnx_model(graph, weights).SerializeToString(), FLOWER, top=2, repeats=3)
    means = load_image(FLOWER, (3, 16, 16), preprocess_of({})).mean(axis=(1, 2), dtype=np.float64) * 10
    expected = np.exp(means) / np.exp(means).sum()
    assert [item.index for item in result.classes] == np.argsort(-expected)[:2].tolist()
    np.testing.assert_allclose([item.probability for item in result.classes], np.sort(expected)[::-1][:2], rtol=1e-4)
    assert result.softmax_applied is not softmax
    assert (result.output, result.input, result.device) == ("scores", "image", "cpu")
    assert result.input_shape == (1, 3, 16, 16)
    assert result.latency_ms > 0


def test_a_written_file_carries_its_preprocessing(tmp_path: Path) -> None:
    """classifier() says bgr, 0 to 255, means, resize 9: the result is that of the same steps by hand."""
    graph = classifier()
    path = tmp_path / "net.onnx"
    save(onnx_model(graph, random_weights(graph)), path)
    how = preprocess_of({"resize": 9, "channels": "bgr", "scale": 255, "mean": [104, 117, 123]})
    pixels = load_image(FLOWER, (3, 8, 8), how)[None]
    (scores,) = open_session(path).run(None, {"image": pixels})
    expected, _ = probabilities(scores[0])
    result = run(path, FLOWER, top=5, repeats=1)
    assert [item.index for item in result.classes] == np.argsort(-expected).tolist()
    np.testing.assert_allclose([item.probability for item in result.classes], np.sort(expected)[::-1])


def test_a_fixed_batch_is_filled() -> None:
    graph, weights = colour_means()
    result = run(onnx_model(graph, weights, batch=4).SerializeToString(), FLOWER, repeats=1)
    assert result.input_shape == (4, 3, 16, 16)
    assert len(result.classes) == 3


def test_a_network_without_scores_still_runs() -> None:
    x = image(3, 16, 16)
    conv = layer("conv", Conv(2, 3), x)
    graph = network([x, conv], mask=conv)
    result = run(onnx_model(graph, random_weights(graph)).SerializeToString(), FLOWER, repeats=1)
    assert (result.output, result.classes) == ("", ())
    assert result.shapes == {"mask": (1, 2, 14, 14)}


def test_networks_that_take_no_image_are_refused() -> None:
    x = image(8)
    fc = layer("fc", Linear(2), x)
    graph = network([x, fc], y=fc)
    assert x.type == TensorType((8,))
    with pytest.raises(ArchError) as caught:
        run(onnx_model(graph, random_weights(graph)).SerializeToString(), FLOWER)
    assert caught.value.diagnostics[0].code == "not-an-image-network"


def identity(shape: list[int | str], **metadata: str) -> bytes:
    """A foreign model that gives what it gets, and Reshape of that to a row of 10, which fails."""
    sizes = numpy_helper.from_array(np.array([1, 10]), "sizes")
    nodes = [helper.make_node("Identity", ["x"], ["same"]), helper.make_node("Reshape", ["x", "sizes"], ["row"])]
    x, same, row = (helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in ("x", "same", "row"))
    row.type.tensor_type.ClearField("shape")
    graph = helper.make_graph(nodes, "g", [x], [same, row], [sizes])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    for key, value in metadata.items():
        model.metadata_props.add(key=f"archdsl.{key}", value=value)
    content: bytes = model.SerializeToString()
    return content


@pytest.mark.parametrize(
    ("shape", "metadata", "code"),
    [
        (["N", 3, 8, 8], {}, "run-failed"),
        ([0, 3, 8, 8], {}, "not-an-image-network"),
        (["N", 3, 100_000, 100_000], {}, "image-unreadable"),
        (["N", 3, 8, 8], {"labels": "5"}, "model-unreadable"),
        (["N", 3, 8, 8], {"preprocessing": '{"x": {"mean": "y"}}'}, "preprocess"),
    ],
)
def test_foreign_and_damaged_files_are_refused(shape: list[int | str], metadata: dict[str, str], code: str) -> None:
    with pytest.raises(ArchError) as caught:
        run(identity(shape, **metadata), FLOWER)
    assert caught.value.diagnostics[0].code == code


@pytest.mark.parametrize(
    ("scores", "applied"),
    [([0.2, 0.8], False), ([1.0, 0.0], False), ([0.2, 0.7], True), ([-0.5, 1.5], True), ([900.0, 0.0], True)],
)
def test_softmax_rule(scores: list[float], applied: bool) -> None:
    found, was = probabilities(np.array(scores, np.float32))
    assert was is applied
    assert found.sum() == pytest.approx(1, abs=1e-3)
    assert found.argmax() == int(np.argmax(scores))


@pytest.mark.parametrize(
    ("height", "width", "expected"),
    [
        (Symbol("H", 64, 1, 900), Symbol("W", 64, 1, 900), (427, 640)),  # the photograph's own
        (Symbol("H", 64, 32, 512, 32), Symbol("W", 64, 32, 512, 32), (416, 512)),
        (Symbol("S", 64, 32, 512), Symbol("S", 64, 32, 512), (427, 427)),
        (Symbol("H", 960, 480, 999), 100, (480, 100)),
    ],
)
def test_open_sizes_are_the_images_own(height: Symbol, width: Symbol | int, expected: tuple[int, int]) -> None:
    sizes = [size if isinstance(size, int) else dim(size) for size in (height, width)]
    symbols = {size.name: size for size in (height, width) if isinstance(size, Symbol)}
    x = image(3, *sizes)
    net = network([x, conv := layer("conv", Conv(2, 1), x)], out=conv)
    net = replace(net, symbols=tuple(symbols.values()))
    result = run(onnx_model(net, random_weights(net)).SerializeToString(), FLOWER, repeats=1)
    assert result.input_shape == (1, 3, *expected)
