"""An ONNX model -> a file that is complete or absent; large weights in a second file next to it."""

from __future__ import annotations

import math
from pathlib import Path
from typing import BinaryIO, Literal

from onnx import GraphProto, ModelProto, TensorProto, helper

from archdsl.language.diagnostics import error
from archdsl.language.output import staged, sync, write_atomic

#: protobuf cannot hold a message of 2 GiB; the margin is for everything that is not weights
SINGLE_FILE_BYTES = 2**31 - 2**24
#: smaller tensors (shapes, bounds) stay in the model, where shape inference needs them
EXTERNAL_FROM_BYTES = 1024
#: what runtimes need to map the file into memory
ALIGNMENT = 4096


def save(model: ModelProto, path: str | Path, external: Literal["auto", "always", "never"] = "auto") -> list[Path]:
    """Write the model, and give the files written.

    The weights go to `path` + ".data" if one file cannot hold them (`auto`), always, or never. Files take their
    names only when complete; raises `ArchError` (`cannot-write`, `too-large`).
    """
    path = Path(path)
    fits = sum(map(_bytes, model.graph.initializer)) < SINGLE_FILE_BYTES
    if external == "never" and not fits:
        raise error("too-large", f"cannot write `{path}`: one ONNX file holds less than 2 GiB")
    if external == "always" or not fits:
        return _save_pair(model, path)
    write_atomic(path, model.SerializeToString(deterministic=True))
    return [path]


def _save_pair(model: ModelProto, path: Path) -> list[Path]:
    data_path = path.with_name(path.name + ".data")
    with staged(path) as file, staged(data_path) as data:
        light = _without_weights(model)
        for tensor in model.graph.initializer:
            _move(tensor, light.graph, data, data_path.name)
        file.write(light.SerializeToString(deterministic=True))
        sync(file)
        sync(data)
        if data_path.exists():  # an older model must never be read with the new data
            path.unlink(missing_ok=True)
    return [path, data_path]


def _without_weights(model: ModelProto) -> ModelProto:
    """A copy of everything but the initializers, without copying those."""
    light = ModelProto()
    for field, value in model.ListFields():
        if field.name != "graph":
            _copy_field(light, field.name, value)
    for field, value in model.graph.ListFields():
        if field.name != "initializer":
            _copy_field(light.graph, field.name, value)
    return light


def _copy_field(target: ModelProto | GraphProto, name: str, value: object) -> None:
    if isinstance(value, str | int):
        setattr(target, name, value)
    else:
        getattr(target, name).MergeFrom(value)


def _move(tensor: TensorProto, graph: GraphProto, data: BinaryIO, location: str) -> None:
    """Append the tensor's bytes to the data file, and a tensor that points there to the graph."""
    if _bytes(tensor) < EXTERNAL_FROM_BYTES:
        graph.initializer.append(tensor)
        return
    data.write(bytes(-data.tell() % ALIGNMENT))
    moved = graph.initializer.add(name=tensor.name, dims=tensor.dims, data_type=tensor.data_type)
    moved.data_location = TensorProto.EXTERNAL
    raw = tensor.raw_data
    for key, value in (("location", location), ("offset", data.tell()), ("length", len(raw))):
        moved.external_data.add(key=key, value=str(value))
    data.write(raw)


def _bytes(tensor: TensorProto) -> int:
    size: int = math.prod(tensor.dims) * helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize
    return size
