"""Sizes that a model asks of its tensors when it runs."""

from __future__ import annotations

from archdsl.emit.onnx.rules import AttributeValue, Site
from archdsl.ops.base import TensorType


def sizes_of(site: Site, name: str, value: TensorType, start: int, end: int, suffix: str) -> str:
    """The sizes of the axes from number `start` to before `end` of a tensor of this type, 0 being the batch."""
    shape = _numbers(site, "Shape", [name], f"{suffix}_shape", len(value.shape) + 1)
    bounds = (site.constant(f"{suffix}_start", (start,)), site.constant(f"{suffix}_end", (end,)))
    return _numbers(site, "Slice", [shape, *bounds], suffix, end - start)


def joined(site: Site, parts: list[str], count: int, suffix: str) -> str:
    """Lists of sizes one after the other, `count` in all."""
    return site.weight_node("Concat", parts, suffix, TensorType((count,), "int64"), axis=0)


def plane(site: Site, name: str, value: TensorType, suffix: str) -> str:
    """The number of elements in a channel, asked of the tensor."""
    spatial = sizes_of(site, name, value, 2, len(value.shape) + 1, f"{suffix}_sizes")
    return site.weight_node("ReduceProd", [spatial], suffix, TensorType((1,), "int64"), keepdims=1)


def _numbers(site: Site, op_type: str, inputs: list[str], suffix: str, count: int) -> str:
    return site.weight_node(op_type, inputs, suffix, TensorType((count,), "int64"))


def loose(
    site: Site, op_type: str, inputs: list[str], suffix: str, shape: tuple[int | str, ...], dtype: str = "int64",
    **attributes: AttributeValue,
) -> str:  # fmt: skip
    """A helper node for a tensor whose first axis is not the batch.

    Its sizes are the whole shape; texts are names of those known only when the model runs.
    """
    value = TensorType(shape, dtype)  # type: ignore[arg-type]
    return site.weight_node(op_type, inputs, suffix, value, **attributes)
