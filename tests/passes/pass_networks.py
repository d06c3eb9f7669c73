"""Small random networks for passes, weights that keep their numbers ordinary, and what onnxruntime makes of both."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import onnxruntime
from hand_built import image, layer, network, random_inputs
from hypothesis import strategies as st

from archdsl.emit.onnx.model import onnx_model
from archdsl.graph.graph import CheckedGraph, Input, Layer
from archdsl.ops import activation, channels, convolution, linear, merge, normalization, pooling, shaping
from archdsl.ops.base import Op, ShapeError
from archdsl.passes.pipeline import Deployed, run_passes

Weights = Mapping[str, np.ndarray]
PADS = (0, 1, (1, 0, 0, 2), (0, 1), "same_tf")


def mild_weights(graph: CheckedGraph, seed: int = 0) -> dict[str, np.ndarray]:
    """Random weights by key: kernels as large as their fan allows, norms and affines near the identity, none of it."""
    generator = np.random.default_rng(seed)
    weights = {}
    for node in graph.layers:
        for weight in node.weights:
            noise = generator.standard_normal(weight.shape).astype(weight.dtype)
            if len(weight.shape) > 1:
                noise *= np.float32(np.sqrt(1 / np.prod(weight.shape[1:])))
            elif weight.name in ("weight", "running_var"):
                noise = 1 + np.float32(0.3) * np.abs(noise)
            weights[f"{node.module}.{weight.name}"] = noise
    return weights


def outputs(graph: CheckedGraph, weights: Weights, inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
    """What onnxruntime gives without its own passes, which fold and merge as ours do."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    content = onnx_model(graph, weights).SerializeToString()
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    return session.run(None, {node.name: inputs[node.name] for node in session.get_inputs()})


def both(graph: CheckedGraph, *names: str) -> tuple[Deployed, list[np.ndarray], list[np.ndarray]]:
    """The network after the passes, and all outputs before and after them, on the same random inputs."""
    weights = mild_weights(graph)
    deployed = run_passes(graph, weights, names)
    inputs = random_inputs(graph)
    return deployed, outputs(graph, weights, inputs), outputs(deployed.graph, deployed.weights, inputs)


def assert_same_function(before: list[np.ndarray], after: list[np.ndarray], tolerance: float = 1e-5) -> None:
    """Within the tolerance of the largest number of each output."""
    assert len(before) == len(after)
    for one, other in zip(before, after, strict=True):
        assert one.shape == other.shape
        assert np.abs(one - other).max() <= tolerance * np.abs(one).max()


def assert_inferred(graph: CheckedGraph) -> None:
    """Every type and every weight of the graph is what its op says of its inputs."""
    seen: set[str] = set()
    for node in graph.nodes.values():
        if isinstance(node, Layer):
            assert {ref.path for ref in node.inputs} <= seen
            assert node.input_types == tuple(graph.type_of(ref) for ref in node.inputs)
            assert node.output_types == node.op.infer(node.input_types)
            assert node.weights == node.op.weights(node.input_types)
        seen.add(node.path)
    for output in graph.outputs:
        assert output.type == graph.type_of(output.tensor)
    for stage in graph.stages.values():
        assert stage.type == graph.type_of(stage.result)
    assert not graph.claims
    assert not graph.verdicts


def kinds(layers: Iterable[Layer]) -> list[str]:
    return [layer.op.name for layer in layers]


def _ops() -> st.SearchStrategy[Op]:
    flag = st.booleans()
    scale = st.builds(shaping.Scale, st.sampled_from((1, 0.5, -1.7)), st.sampled_from((0, 0, 0.25)))
    conv = st.builds(
        convolution.Conv, st.just(4), st.sampled_from((1, 3)), st.sampled_from((1, 1, 2)), st.sampled_from(PADS),
        groups=st.sampled_from((1, 1, 2)), bias=flag,
    )  # fmt: skip
    depthwise = st.builds(convolution.Depthwise, st.sampled_from((1, 3)), pad=st.sampled_from(PADS), bias=flag)
    norm = st.builds(normalization.BatchNorm, st.sampled_from((1e-5, 1e-3)), affine=flag)
    pool = st.builds(
        pooling.AvgPool, st.sampled_from((2, 3)), st.sampled_from((1, 2)), st.sampled_from((0, 1)), flag, flag
    )
    pad = st.builds(shaping.Pad, st.sampled_from((0, 1, (2, 0, 1, 1))), value=st.sampled_from((0.0, 0.0, 0.5)))
    plain = st.sampled_from((channels.Affine(), activation.ReLU(), activation.Tanh(), shaping.Dropout()))
    return st.one_of(conv, conv, depthwise, norm, norm, scale, scale, pad, pool, plain)


@st.composite
def networks(draw: st.DrawFn) -> CheckedGraph:
    """Chains of four channels with forks and merges, a vector head, parts for training, outputs anywhere."""
    nodes: list[Input | Layer] = [image(4, 9, 8)]
    for number in range(draw(st.integers(1, 9))):
        source = nodes[-1] if draw(st.integers(0, 4)) else draw(st.sampled_from(nodes))
        nodes += _applied(draw(_ops()), f"l{number}", source, draw(st.integers(0, 9)) == 0)
        if draw(st.integers(0, 4)) == 0:
            nodes += _applied(merge.Add(), f"m{number}", nodes[-1], False, draw(st.sampled_from(nodes)))
    last = next(node for node in reversed(nodes) if isinstance(node, Input) or not node.training_only)
    nodes += [flat := layer("flat", shaping.Flatten(), last)]
    nodes += [fc := layer("fc", linear.Linear(3, draw(st.booleans())), flat)]
    head: list[Op] = [normalization.BatchNorm(), shaping.Scale(3.0, 1.0), channels.Affine(), activation.ReLU()]
    for op in draw(st.lists(st.sampled_from(head), max_size=2)):
        nodes.append(layer(f"head{len(nodes)}", op, nodes[-1]))
    extra = draw(st.sampled_from(nodes))
    assert fc in nodes
    return network(nodes, out=nodes[-1], extra=extra)  # type: ignore[arg-type]


def _applied(op: Op, path: str, source: Input | Layer, training: bool, *others: Input | Layer) -> list[Layer]:
    """The layer, where it can be applied and nothing deployed would read a training-only tensor."""
    training |= any(isinstance(node, Layer) and node.training_only for node in (source, *others))
    try:
        return [layer(path, op, source, *others, training=training)]
    except ShapeError:
        return []
