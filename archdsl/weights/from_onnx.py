"""`.onnx`: a model's initializers, and its constants that are weights; also those in a file next to it."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from archdsl.weights.checkpoint import FLOATS, Stored, os_reason, unreadable

if TYPE_CHECKING:
    import numpy as np
    from onnx import GraphProto, NodeProto, TensorProto

#: integers of these types are quantized weights; others are shapes, axes and counters
QUANTIZED = ("int8", "uint8", "int4", "uint4")


def read_onnx(path: str) -> dict[str, Stored]:
    """Arrays by the names of their tensors; raises `ArchError` (`weights-unreadable`).

    Left out are integers that are no weights. The model itself is held in memory, what lies in other files is not:
    those are read through onnx, which opens none outside the model's folder.
    """
    import onnx
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

    try:
        model = onnx.load(path, load_external_data=False)
    except DecodeError:
        raise unreadable(path, "it is not an ONNX model, or is damaged") from None
    except (OSError, ValueError) as problem:
        raise unreadable(path, os_reason(problem) if isinstance(problem, OSError) else str(problem)) from None
    if not model.HasField("graph"):
        raise unreadable(path, "it is not an ONNX model")
    found = {tensor.name: _stored(path, tensor) for tensor in model.graph.initializer}
    found |= _constants(path, model.graph)
    kept = (*FLOATS, *QUANTIZED)
    return {name: item for name, item in found.items() if item.dtype in kept or name.endswith("num_batches_tracked")}


def _stored(path: str, tensor: TensorProto) -> Stored:
    from onnx import helper

    folder = Path(path).parent
    try:
        dtype = str(helper.tensor_dtype_to_np_dtype(tensor.data_type))
    except (KeyError, TypeError, ValueError):
        raise unreadable(path, f"`{tensor.name}` has elements of an unknown type") from None
    if tensor.data_location == tensor.EXTERNAL:
        _check_place(path, tensor, folder)
    return Stored(tuple(tensor.dims), dtype, partial(_read, path, tensor, folder))


def _check_place(path: str, tensor: TensorProto, folder: Path) -> None:
    """Refuse a file that leaves the folder, or is not there, before anything is read."""
    location = next((entry.value for entry in tensor.external_data if entry.key == "location"), "")
    try:
        place = (folder / location).resolve()
        inside, there = place.is_relative_to(folder.resolve()), place.is_file()
    except (OSError, ValueError):
        inside, there = False, False
    if not inside:
        raise unreadable(path, f"`{tensor.name}` lies in `{location}`, outside the model's folder")
    if not there:
        help = "such a model consists of two files that have to lie in one folder"
        raise unreadable(path, f"`{tensor.name}` lies in `{location}`, which is not there", help=help)


def _read(path: str, tensor: TensorProto, folder: Path) -> np.ndarray:
    import numpy as np
    from onnx import checker, numpy_helper

    try:
        array: np.ndarray = numpy_helper.to_array(tensor, str(folder))
        return array.astype(np.float32) if str(array.dtype) == "bfloat16" else array
    except (OSError, ValueError, TypeError, checker.ValidationError) as problem:
        raise unreadable(path, f"`{tensor.name}`: {problem}") from None


def _constants(path: str, graph: GraphProto) -> dict[str, Stored]:
    """Results of `Constant` and `ConstantOfShape`: what some writers have in place of initializers."""
    known = {tensor.name: tensor for tensor in graph.initializer}
    found = {}
    for node in graph.node:
        value = next((item.t for item in node.attribute if item.name == "value"), None)
        if node.op_type == "Constant" and value is not None:
            found[node.output[0]] = _stored(path, value)
        elif node.op_type == "ConstantOfShape" and node.input[0] in known:
            found[node.output[0]] = _repeated(node, known[node.input[0]], value)
    return found


def _repeated(node: NodeProto, shape: TensorProto, value: TensorProto | None) -> Stored:
    """One number everywhere, 0 where none is given."""
    import numpy as np
    from onnx import numpy_helper

    sizes = tuple(numpy_helper.to_array(shape).tolist())
    number = np.zeros(1, np.float32) if value is None else numpy_helper.to_array(value)
    return Stored(sizes, str(number.dtype), lambda: np.full(sizes, number[0]))
