"""ONNX rules of ops on single channels, and of radial basis functions."""

from __future__ import annotations

from archdsl.emit.onnx.normalization import per_channel
from archdsl.emit.onnx.rules import Site, rule
from archdsl.ops.axes import position
from archdsl.ops.base import TensorType
from archdsl.ops.channels import Affine, PadChannels, Select
from archdsl.ops.dims import symbolic
from archdsl.ops.linear import RBF


@rule(Select)
def select(site: Site, op: Select) -> None:
    found = op.entries(site.layer.input_types)
    entries = site.constant("indices", op.indices if symbolic(found) else found)  # a runtime counts from the end too
    site.final("Gather", [site.input, entries], axis=position(site.type, op.axis) + 1)


@rule(PadChannels)
def pad_channels(site: Site, op: PadChannels) -> None:
    rest = (0,) * len(site.type.spatial)
    pads = site.constant("pads", (0, op.before, *rest, 0, op.after, *rest))
    site.final("Pad", [site.input, pads], mode="constant")


@rule(Affine)
def affine(site: Site, _: Affine) -> None:
    weight, bias = (per_channel(site, name) for name in ("weight", "bias"))
    site.final("Add", [site.node("Mul", [site.input, weight], "scaled"), bias])


@rule(RBF)
def rbf(site: Site, op: RBF) -> None:
    """Difference, square, and sum over the features."""
    (features,) = site.type.shape
    row, table = TensorType((1, features), site.type.dtype), TensorType((op.out, features), site.type.dtype)
    vector = site.node("Reshape", [site.input, site.constant("row_shape", (0, *row.shape))], "row", row)
    gaps = site.node("Sub", [vector, site.weight("centers")], "gaps", table)
    squares = site.node("Mul", [gaps, gaps], "squares", table)
    site.final("ReduceSum", [squares, site.constant("axes", (2,))], keepdims=0)
