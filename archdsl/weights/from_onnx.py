"""`.onnx`: a model's initializers, and its constants that are weights; also those in a file next to it."""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from archdsl.graph.renames import shown
from archdsl.weights.checkpoint import AGAIN, Stored, guarded, unreadable

if TYPE_CHECKING:
    import numpy as np
    from onnx import GraphProto, NodeProto, TensorProto

#: integers of other types than these are quantized weights; these are shapes, axes and counters
ASIDE = ("int16", "int32", "int64", "uint16", "uint32", "uint64", "bool", "string")
COUNTER = "num_batches_tracked"
#: beginnings of the types of which several elements share a byte
PACKED = ("int4", "uint4", "int2", "uint2", "float4", "float6")


def read_onnx(path: str) -> dict[str, Stored]:
    """Arrays by the names of their tensors; raises `ArchError` (`weights-unreadable`).

    Integers and texts lie aside: most are no weights. The model itself is held in memory, what lies in other files is
    not: those are read through onnx, which opens none outside the model's folder.
    """
    import onnx
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

    try:
        model = onnx.load(path, load_external_data=False)
    except DecodeError:
        raise unreadable(path, "it is not an ONNX model, or is damaged", AGAIN) from None
    if not model.HasField("graph"):
        raise unreadable(path, "it is not an ONNX model, or is damaged", AGAIN)
    found = {_text(tensor.name): _stored(path, tensor) for tensor in model.graph.initializer}
    return found | _constants(path, model.graph)


def _text(name: str | bytes) -> str:
    """A name, which protobuf gives as bytes where it is not UTF-8."""
    return name.decode(errors="backslashreplace") if isinstance(name, bytes) else name


def _stored(path: str, tensor: TensorProto, name: str | None = None) -> Stored:
    """The array as its header tells it, which has to agree with what is there; `name` goes before the tensor's own."""
    name = _text(tensor.name) if name is None else name
    shape, what = tuple(tensor.dims), f"`{shown(name)}`"
    dtype, place = _dtype(path, tensor, what), Path(path).parent
    if tensor.data_location == tensor.EXTERNAL:
        place = _place(path, tensor, what)
    with guarded(path, what):
        promised, there = _bytes(tensor, shape, place)
    if min(shape, default=0) < 0 or promised != there:
        raise unreadable(path, f"{what} promises {list(shape)} {dtype}, but {there:,} bytes follow", AGAIN)
    aside = dtype in ASIDE and not name.endswith(COUNTER)
    return Stored(shape, dtype, partial(_read, tensor, Path(path).parent), aside)


def _dtype(path: str, tensor: TensorProto, what: str) -> str:
    from onnx import helper

    if tensor.data_type == tensor.STRING:
        return "string"
    try:
        return str(helper.tensor_dtype_to_np_dtype(tensor.data_type))
    except (KeyError, TypeError, ValueError):
        raise unreadable(path, f"{what} has elements of an unknown type") from None


def _bytes(tensor: TensorProto, shape: tuple[int, ...], place: Path) -> tuple[int, int]:
    """What the header promises and what is there, in bytes, where each element takes the same number of them."""
    from onnx import helper

    kind = helper.tensor_dtype_to_np_dtype(tensor.data_type)
    elements = math.prod(shape)
    if kind.hasobject or str(kind).startswith(PACKED):
        return 0, 0
    if tensor.data_location == tensor.EXTERNAL:
        return elements * kind.itemsize, _bytes_outside(tensor, place)
    if tensor.HasField("raw_data"):
        return elements * kind.itemsize, len(tensor.raw_data)
    items = len(getattr(tensor, helper.tensor_dtype_to_field(tensor.data_type)))
    parts = 2 if kind.kind == "c" else 1
    return elements * kind.itemsize, items * kind.itemsize // parts


def _bytes_outside(tensor: TensorProto, place: Path) -> int:
    entries = {entry.key: entry.value for entry in tensor.external_data}
    offset, size = int(entries.get("offset", 0)), place.stat().st_size
    length = int(entries.get("length", size - offset))
    if offset < 0 or not 0 <= length <= size - offset:
        raise ValueError(offset, length)
    return length


def _place(path: str, tensor: TensorProto, what: str) -> Path:
    """The file with the numbers; one that leaves the folder, or is not there, is refused before anything is read."""
    folder = Path(path).parent
    location = next((_text(entry.value) for entry in tensor.external_data if entry.key == "location"), "")
    try:
        place = (folder / location).resolve()
        inside, there = place.is_relative_to(folder.resolve()), place.is_file()
    except (OSError, ValueError):
        inside, there = False, False
    if not inside:
        raise unreadable(path, f"{what} lies in `{shown(location)}`, outside the model's folder")
    if not there:
        help = "such a model consists of two files that have to lie in one folder"
        raise unreadable(path, f"{what} lies in `{shown(location)}`, which is not there", help=help)
    if place.stat().st_nlink > 1:  # onnx takes it for a trap
        reason = f"{what} lies in `{shown(location)}`, which has several hard links; onnx reads no such file"
        raise unreadable(path, reason, f"copy the model and `{shown(location)}`, instead of linking them")
    return place


def _read(tensor: TensorProto, folder: Path) -> np.ndarray:
    import numpy as np
    from onnx import numpy_helper

    array: np.ndarray = numpy_helper.to_array(tensor, str(folder))
    return array.astype(np.float32) if str(array.dtype) == "bfloat16" else array


def _constants(path: str, graph: GraphProto) -> dict[str, Stored]:
    """Results of `Constant` and `ConstantOfShape`: what some writers have in place of initializers."""
    known = {_text(tensor.name): tensor for tensor in graph.initializer}
    found = {}
    for node in graph.node:
        value = next((item.t for item in node.attribute if item.name == "value"), None)
        name = _text(node.output[0]) if node.output else ""
        if name and node.op_type == "Constant" and value is not None:
            found[name] = _stored(path, value, name)
        elif name and node.op_type == "ConstantOfShape" and (shape := _shape_of(node, known)) is not None:
            with guarded(path, f"the constant `{shown(name)}`"):
                found[name] = _repeated(path, shape, value, name)
    return found


def _shape_of(node: NodeProto, known: dict[str, TensorProto]) -> TensorProto | None:
    return known.get(_text(node.input[0])) if node.input else None


def _repeated(path: str, shape: TensorProto, value: TensorProto | None, name: str) -> Stored:
    """One number everywhere, 0 where none is given; raises anything for a shape that is none."""
    import numpy as np

    sizes = tuple(int(size) for size in _stored(path, shape).read())
    number = np.zeros(1, np.float32) if value is None else _stored(path, value, name).read().reshape(1)
    if min(sizes, default=0) < 0:
        raise ValueError(sizes)
    dtype = str(number.dtype)
    return Stored(sizes, dtype, lambda: np.full(sizes, number[0]), aside=dtype in ASIDE)
