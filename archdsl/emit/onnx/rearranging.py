"""ONNX rules of ops that exchange channels for space.

Of elements for which onnxruntime has no kernel, they are composed of Reshape and Transpose: one axis is cut or joined
at a time, and with the open sizes left on their axes, so that no Reshape has to be told more than one of those.
"""

from __future__ import annotations

from collections.abc import Sequence

from archdsl.emit.onnx.rules import Site, rule
from archdsl.ops.base import TensorType
from archdsl.ops.rearranging import DepthToSpace, PixelShuffle, PixelUnshuffle, SpaceToDepth

#: A Reshape to a shape, or a Transpose to an order of the axes after the batch.
Step = tuple[str, tuple[int, ...]]


@rule(PixelShuffle)
def pixel_shuffle(site: Site, op: PixelShuffle) -> None:
    if site.lacks("DepthToSpace"):
        channels, block = site.result.shape[0], op.block
        return _to_space(site, block, (channels, block, block), (3, 4, 5))
    return site.final("DepthToSpace", site.inputs, blocksize=op.block, mode="CRD")


@rule(DepthToSpace)
def depth_to_space(site: Site, op: DepthToSpace) -> None:
    if site.lacks("DepthToSpace"):
        channels, block = site.result.shape[0], op.block
        return _to_space(site, block, (block, block, channels), (5, 3, 4))
    return site.final("DepthToSpace", site.inputs, blocksize=op.block, mode="DCR")


@rule(SpaceToDepth)
def space_to_depth(site: Site, op: SpaceToDepth) -> None:
    if site.lacks("SpaceToDepth"):
        return _to_channels(site, op.block, (5, 3, 1))
    return site.final("SpaceToDepth", site.inputs, blocksize=op.block)


@rule(PixelUnshuffle)
def pixel_unshuffle(site: Site, op: PixelUnshuffle) -> None:
    """SpaceToDepth puts the places of a block first and the channels last: its results in the other order."""
    if site.lacks("SpaceToDepth"):
        return _to_channels(site, op.block, (1, 5, 3))
    channels, places = site.type.shape[0], op.block**2
    order = tuple(place * channels + channel for channel in range(channels) for place in range(places))
    blocks = site.node("SpaceToDepth", site.inputs, "blocks", site.result, blocksize=op.block)
    return site.final("Gather", [blocks, site.constant("order", order)], axis=1)


def _to_space(site: Site, block: int, apart: tuple[int, ...], axes: tuple[int, int, int]) -> None:
    """`apart` is what an element's channels are cut into; `axes`, where the channel, row and column then are."""
    channel, row, column = axes
    height, width = site.type.spatial
    channels, tall, _ = site.result.shape
    _arrange(site, [
        ("Transpose", (2, 3, 1)),
        ("Reshape", (height, width, *apart)),
        ("Transpose", (channel, 2, column, 1, row)),
        ("Reshape", (channels, width, block, tall)),
        ("Transpose", (1, 4, 2, 3)),
        ("Reshape", site.result.shape),
    ])  # fmt: skip


def _to_channels(site: Site, block: int, order: tuple[int, int, int]) -> None:
    """`order` is that of channel (1), column (3) and row (5) of a block in the channels of the result."""
    channels, tall, _ = site.type.shape
    height, width = site.result.spatial
    _arrange(site, [
        ("Reshape", (channels, tall, width, block)),
        ("Transpose", (1, 3, 4, 2)),
        ("Reshape", (channels, width, block, height, block)),
        ("Transpose", (4, 2, *order)),
        ("Reshape", (height, width, site.result.shape[0])),
        ("Transpose", (3, 1, 2)),
    ])  # fmt: skip


def _arrange(site: Site, steps: Sequence[Step]) -> None:
    """One step after the other; the last gives the result."""
    name, value = site.input, site.type
    for number, (op_type, numbers) in enumerate(steps, 1):
        suffix = f"step{number}" if number < len(steps) else None
        if op_type == "Reshape":
            wanted = TensorType(numbers, value.dtype)
            name = site.reshape(name, value, wanted, suffix)
        else:
            wanted = TensorType(tuple(value.shape[axis - 1] for axis in numbers), value.dtype)
            name = _transpose(site, name, numbers, suffix, wanted)
        value = wanted


def _transpose(site: Site, source: str, order: tuple[int, ...], suffix: str | None, value: TensorType) -> str:
    if suffix is not None:
        return site.node("Transpose", [source], suffix, value, perm=(0, *order))
    site.final("Transpose", [source], perm=(0, *order))
    return site.outputs[0]
