"""The originals in the onnx package (`light_*.onnx`): real graphs, attributes and shapes, constant weights."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import onnx

import archdsl
from archdsl.ops.convolution import Conv, Depthwise

FOLDER = Path(onnx.__file__).parent / "backend/test/data/light"


@dataclass(frozen=True)
class Convolution:
    """Weight shape, strides, and padding as all begins and then all ends."""

    weight: tuple[int, ...]
    strides: tuple[int, ...]
    pads: tuple[int, ...]


def originals(name: str) -> list[Convolution]:
    """Every convolution of `light_NAME.onnx`, in its order."""
    graph = onnx.load(FOLDER / f"light_{name}.onnx").graph
    shapes = {item.name: tuple(d.dim_value for d in item.type.tensor_type.shape.dim) for item in graph.input}
    shapes |= {item.name: tuple(item.dims) for item in graph.initializer}
    made = {node.output[0]: node for node in graph.node}
    sizes = {item.name: tuple(onnx.numpy_helper.to_array(item).tolist()) for item in graph.initializer if item.dims}

    def weight(name: str) -> tuple[int, ...]:
        # the constant weights are made by a node from the shape that they have
        return tuple(sizes[made[name].input[0]]) if name in made else shapes[name]

    found = []
    for node in graph.node:
        if node.op_type == "Conv":
            settings = {item.name: tuple(item.ints) for item in node.attribute}
            strides, pads = settings.get("strides", (1, 1)), settings.get("pads", (0, 0, 0, 0))
            found.append(Convolution(weight(node.input[1]), strides, pads))
    return found


def ours(net: archdsl.Network) -> list[Convolution]:
    """Every convolution of the deployed network, in its order."""
    found = []
    for layer in net.checked.deployed:
        if isinstance(layer.op, Conv | Depthwise):
            conv = layer.op if isinstance(layer.op, Conv) else layer.op.conv(layer.input_types)
            geometry = conv.geometry(layer.input_types)
            begins, ends = zip(*geometry.padding, strict=True)
            found.append(Convolution(layer.weights[0].shape, geometry.stride, (*begins, *ends)))
    return found
