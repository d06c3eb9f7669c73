"""ONNX rules of ops that arrange elements. A 0 in a Reshape's shape copies the batch, whatever it is."""

from __future__ import annotations

from archdsl.emit.onnx.rules import Site, rule
from archdsl.ops.axes import position
from archdsl.ops.base import Op, TensorType
from archdsl.ops.dims import symbolic
from archdsl.ops.resampling import Upsample
from archdsl.ops.shaping import Dropout, Flatten, Pad, Reshape, ReshapeAs, Scale, Slice, Split, Transpose
from archdsl.ops.stochastic import Dropout2d, DropPath

#: "To the end" of a Slice, however long the axis is.
END = 2**63 - 1
PAD_MODES = {"zero": "constant", "reflect": "reflect", "replicate": "edge"}


@rule(Dropout, Dropout2d, DropPath)
def dropout(site: Site, _: Op) -> None:
    """The identity at inference: `archdsl.emit.onnx.model` names its result after its input, so no node is left."""


@rule(Flatten)
def flatten(site: Site, _: Flatten) -> None:
    site.final("Flatten", site.inputs, axis=1)


@rule(Reshape)
def reshape(site: Site, _: Reshape) -> None:
    site.reshape(site.input, site.type, site.result)


@rule(ReshapeAs)
def reshape_as(site: Site, _: ReshapeAs) -> None:
    """To numbers where they are known, else to what the other tensor says when the model runs."""
    if symbolic(site.result.shape):
        rank = len(site.result.shape) + 1
        shape = site.weight_node("Shape", [site.inputs[1]], "shape", TensorType((rank,), "int64"))
        site.final("Reshape", [site.inputs[0], shape])
    else:
        site.reshape(site.inputs[0], site.type, site.result)


@rule(Transpose)
def transpose(site: Site, op: Transpose) -> None:
    site.final("Transpose", site.inputs, perm=(0, *op.order))


@rule(Pad)
def pad(site: Site, op: Pad) -> None:
    begins, ends = zip(*op.pairs(site.layer.input_types), strict=True)
    inputs = [site.input, site.constant("pads", (0, 0, *begins, 0, 0, *ends))]
    if op.mode == "zero" and op.value != 0:
        inputs.append(site.constant("value", float(op.value)))
    site.final("Pad", inputs, mode=PAD_MODES[op.mode])


@rule(Slice)
def slice(site: Site, op: Slice) -> None:
    start, stop = op.bounds(site.layer.input_types)
    axis = position(site.type, op.axis) + 1
    if symbolic((start, stop)):  # a runtime counts from the end itself
        start, end = op.written(site.layer.input_types)
        stop = END if end is None else end
    numbers = {"start": start, "end": stop, "axis": axis, "step": op.step}
    site.final("Slice", [site.input, *(site.constant(name, (number,)) for name, number in numbers.items())])


@rule(Split)
def split(site: Site, op: Split) -> None:
    """With the sizes as an input, which every opset reads alike."""
    sizes = site.constant("sizes", op.sizes(site.layer.input_types))
    site.final("Split", [site.input, sizes], axis=op.axis)


@rule(Upsample)
def upsample(site: Site, op: Upsample) -> None:
    scales = [1.0, 1.0, *map(float, op.scales(site.layer.input_types))]
    inputs = [site.input, "", site.constant("scales", scales, "float32")]
    if op.mode == "nearest":
        attributes = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
        return site.final("Resize", inputs, mode="nearest", **attributes)
    corners = "align_corners" if op.align_corners else "half_pixel"
    return site.final("Resize", inputs, mode="linear", coordinate_transformation_mode=corners)


@rule(Scale)
def scale(site: Site, op: Scale) -> None:
    factor = () if op.factor == 1 else (site.constant("factor", float(op.factor)),)
    offset = () if op.offset == 0 else (site.constant("offset", float(op.offset)),)
    if factor and offset:
        return site.final("Add", [site.node("Mul", [site.input, *factor], "scaled"), *offset])
    if not factor and not offset:
        return site.final("Identity", site.inputs)
    return site.final("Mul" if factor else "Add", [site.input, *factor, *offset])
