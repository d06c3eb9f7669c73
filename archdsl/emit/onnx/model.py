"""A checked graph and its weights -> an ONNX model for inference, straight from the graph."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict

import numpy as np
import onnx
from onnx import ModelProto, helper

from archdsl.emit.onnx import (  # noqa: F401 (rules)
    activation,
    arithmetic,
    attention,
    channels,
    convolution,
    embedding,
    local,
    merge,
    normalization,
    pooling,
    rearranging,
    recurrence,
    recurrent,
    reduction,
    regions,
    resampling,
    shaping,
    suppression,
    transposed,
)
from archdsl.emit.onnx.rules import Emitter, Site, apply
from archdsl.emit.onnx.tensors import Skeleton, attach
from archdsl.graph.graph import CheckedGraph, Graph, Input, TensorRef
from archdsl.language.diagnostics import error
from archdsl.version import __version__

OLDEST_OPSET = 13


def onnx_model(
    graph: CheckedGraph,
    weights: Mapping[str, np.ndarray],
    *,
    opset: int = 17,
    batch: int | None = None,
    metadata: Mapping[str, str] | None = None,
) -> ModelProto:
    """The deployed network; `weights` has an array for every `state_dict` key that it uses.

    Raises `ArchError`: those of `skeleton`, `weight-missing` and `weight-shape`.
    """
    return attach(skeleton(graph, opset=opset, batch=batch, metadata=metadata), weights)


def skeleton(
    graph: CheckedGraph, *, opset: int = 17, batch: int | None = None, metadata: Mapping[str, str] | None = None
) -> Skeleton:
    """The deployed network without its weights.

    Names: inputs and outputs are the spec's; a node is its layer's path; a tensor is its `TensorRef.name`, or the
    output's name where it is one; an initializer is its `state_dict` key; what a rule adds is `path/word`.
    The batch is the symbol `N` unless `batch` fixes it; `metadata` joins the model's own. Equal arguments give equal
    bytes. The model has passed ONNX's full check with strict shape inference; a refusal there is our bug and stays
    onnx's own exception. Raises `ArchError` (`opset-unsupported`, `output-name`, `onnx-unsupported`, `onnx-no-rule`).
    """
    model = _header(graph, opset, metadata or {})
    emitter = Emitter(model.graph, opset, batch, tensor_names(graph), {})
    for node in deployed_inputs(graph):
        emitter.describe(model.graph.input.add(), node.path, node.type)
    for layer in graph.deployed:
        if not layer.op.identity:
            outputs = (TensorRef(layer.path, i) for i in range(len(layer.output_types)))
            where = emitter.inside(layer.loop)
            apply(Site(where, layer, _names(emitter, layer.inputs), _names(emitter, outputs)))
    _describe_results(graph, emitter)
    _check(model, emitter)
    return Skeleton(model, emitter.declared)


def weights_as_inputs(skeleton: Skeleton) -> ModelProto:
    """The model with every weight as an input after the network's own: a file without weights that is still valid."""
    model = ModelProto()
    model.CopyFrom(skeleton.model)
    emitter = Emitter(model.graph, 0, None, {}, {})
    for key, value in skeleton.declared.items():
        emitter.describe(model.graph.input.add(), key, value, batched=False)
    return model


def deployed_inputs(graph: Graph) -> list[Input]:
    """The inputs, without those that only training-only layers read (labels of a margin head)."""
    read = {ref.path for layer in graph.deployed for ref in layer.inputs}
    read |= {output.tensor.path for output in graph.deployed_outputs}
    training = {ref.path for layer in graph.layers if layer.training_only for ref in layer.inputs}
    return [node for node in graph.inputs if node.path in read or node.path not in training]


def tensor_names(graph: Graph) -> dict[TensorRef, str]:
    """ONNX name of every deployed tensor: an output's name if it is one, else its own.

    A dropout's result is its input. Raises `ArchError` (`output-name`) where an output is named like an input, or like
    a weight whose key is its layer's path.
    """
    inputs = [TensorRef(node.path) for node in deployed_inputs(graph)]
    origin = {ref: ref for ref in inputs}
    for layer in graph.deployed:
        for i in range(len(layer.output_types)):
            ref = TensorRef(layer.path, i)
            origin[ref] = origin[layer.inputs[0]] if layer.op.identity else ref
    taken = {output.name for output in graph.deployed_outputs}
    weights = {layer.key(weight) for layer in graph.deployed for weight in layer.weights if not weight.name}
    _refuse_names(taken, "input", (ref.name for ref in inputs))
    _refuse_names(taken, "weight", weights)
    taken |= weights
    names = {ref: f"{ref.name}/value" if ref.name in taken else ref.name for ref in origin.values()}
    for output in reversed(graph.deployed_outputs):  # of two outputs that are one tensor, the first names it
        if origin[output.tensor] not in inputs:
            names[origin[output.tensor]] = output.name
    return {ref: names[source] for ref, source in origin.items()}


def _refuse_names(taken: set[str], what: str, names: Iterable[str]) -> None:
    for name in names:
        if name in taken:
            message = f"an output is named like the {what} `{name}`, which an ONNX file cannot hold"
            raise error("output-name", message, help="give the output another name")


def _header(graph: Graph, opset: int, extra: Mapping[str, str]) -> ModelProto:
    """A model without nodes; raises `ArchError` (`opset-unsupported`)."""
    newest = onnx.defs.onnx_opset_version()
    if not OLDEST_OPSET <= opset <= newest:
        raise error("opset-unsupported", f"opset {opset} is not between {OLDEST_OPSET} and {newest}")
    model = ModelProto(producer_name="archdsl", producer_version=__version__)
    model.opset_import.add(domain="", version=opset)
    model.ir_version = helper.find_min_ir_version_for(list(model.opset_import))
    model.graph.name = graph.name
    preprocessing = {node.path: dict(node.preprocess) for node in graph.inputs if node.preprocess}
    metadata = {
        "archdsl.version": __version__,
        "archdsl.network": graph.name,
        "archdsl.source_digest": graph.digest,
        "archdsl.preprocessing": json.dumps(preprocessing, sort_keys=True),
        **extra,
    }
    if graph.symbols:
        metadata["archdsl.symbols"] = json.dumps({symbol.name: asdict(symbol) for symbol in graph.symbols})
    for key, value in metadata.items():
        model.metadata_props.add(key=key, value=value)
    return model


def _names(emitter: Emitter, refs: Iterable[TensorRef]) -> tuple[str, ...]:
    return tuple(emitter.names[ref] for ref in refs)


def _describe_results(graph: Graph, emitter: Emitter) -> None:
    """Types of all layers' results; an output that is an input, or another output, is copied by an Identity."""
    graphs = (emitter, *emitter.bodies.values())
    written = {node.name for each in graphs for node in each.graph.input}
    results = emitter.graph.output
    for output in graph.deployed_outputs:
        emitter.describe(results.add(), output.name, output.type)
        source = emitter.names[output.tensor]
        if source != output.name:
            name = f"{output.name}/identity"
            emitter.graph.node.add(op_type="Identity", name=name, input=[source], output=[output.name])
    written |= {output.name for output in graph.deployed_outputs}
    for layer in graph.deployed:
        for i, value in enumerate(layer.output_types):
            name = emitter.names[TensorRef(layer.path, i)]
            if name not in written:
                emitter.describe(emitter.inside(layer.loop).graph.value_info.add(), name, value)
                written.add(name)


def _check(model: ModelProto, emitter: Emitter) -> None:
    """Full check with strict shape inference, the weights standing in as inputs without data."""
    graph = model.graph
    count = len(graph.input)
    for key, value in emitter.declared.items():
        emitter.describe(graph.input.add(), key, value, batched=False)
    onnx.checker.check_model(model, full_check=True)
    del graph.input[count:]
