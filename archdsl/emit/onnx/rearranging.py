"""ONNX rules of ops that exchange channels for space."""

from __future__ import annotations

from archdsl.emit.onnx.rules import Site, rule
from archdsl.ops.rearranging import DepthToSpace, PixelShuffle, PixelUnshuffle, SpaceToDepth


@rule(PixelShuffle)
def pixel_shuffle(site: Site, op: PixelShuffle) -> None:
    site.final("DepthToSpace", site.inputs, blocksize=op.block, mode="CRD")


@rule(DepthToSpace)
def depth_to_space(site: Site, op: DepthToSpace) -> None:
    site.final("DepthToSpace", site.inputs, blocksize=op.block, mode="DCR")


@rule(SpaceToDepth)
def space_to_depth(site: Site, op: SpaceToDepth) -> None:
    site.final("SpaceToDepth", site.inputs, blocksize=op.block)


@rule(PixelUnshuffle)
def pixel_unshuffle(site: Site, op: PixelUnshuffle) -> None:
    """SpaceToDepth puts the places of a block first and the channels last: its results in the other order."""
    channels, places = site.type.shape[0], op.block**2
    order = tuple(place * channels + channel for channel in range(channels) for place in range(places))
    blocks = site.node("SpaceToDepth", site.inputs, "blocks", site.result, blocksize=op.block)
    site.final("Gather", [blocks, site.constant("order", order)], axis=1)
