"""An ONNX model -> a file that is complete or absent; large weights in a second file next to it.

Weights are written one after the other as they are made, so that no more than one is in memory.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Literal

import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from onnx import GraphProto, ModelProto, TensorProto, helper, numpy_helper

from archdsl.emit.onnx.tensors import Pending
from archdsl.language.diagnostics import error
from archdsl.language.output import staged, sync

External = Literal["auto", "always", "never"]
#: protobuf cannot hold a message of 2 GiB; the margin is for everything that is not weights
SINGLE_FILE_BYTES = 2**31 - 2**24
#: smaller tensors (shapes, bounds) stay in the model, where shape inference needs them
EXTERNAL_FROM_BYTES = 1024
#: what runtimes need to map the file into memory
ALIGNMENT = 4096


def save(
    model: ModelProto, path: str | Path, external: External = "auto", weights: Sequence[Pending] = ()
) -> list[Path]:
    """Write the model with the weights that it lacks, and give the files written.

    Weights go to `path` + ".data" if one file cannot hold them (`auto`), always, or never; small ones stay in the
    model. Files take their names only when complete, and if anything fails the older ones are still there; raises
    `ArchError` (`cannot-write`, `too-large`).
    """
    path = Path(path)
    sizes = [*map(_bytes, model.graph.initializer), *(weight.bytes for weight in weights)]
    fits = sum(sizes) < SINGLE_FILE_BYTES
    if external == "never" and not fits:
        raise error("too-large", f"cannot write `{path}`: one ONNX file holds less than 2 GiB")
    if not fits or (external == "always" and max(sizes, default=0) >= EXTERNAL_FROM_BYTES):
        return _save_pair(model, path, weights)
    surplus = _data_of(path)
    with staged(path) as file:
        _write(file, model, weights)
    if surplus:
        with suppress(OSError):  # the model is written; what is left over does no harm
            surplus.unlink()
    return [path]


def _data_name(path: Path) -> Path:
    return path.with_name(path.name + ".data")


def _data_of(path: Path) -> Path | None:
    """The data file next to the model at this path, if the model there keeps its weights in it."""
    data = _data_name(path)
    if not data.is_file():
        return None
    try:
        tensors = onnx.load(path, load_external_data=False).graph.initializer
    except (OSError, ValueError, DecodeError):
        return None  # no model, so the other file is none of ours
    named = {item.value for tensor in tensors for item in tensor.external_data if item.key == "location"}
    return data if data.name in named else None


# One file -------------------------------------------------------------------------------------------------------------


def _write(file: BinaryIO, model: ModelProto, weights: Sequence[Pending]) -> None:
    """The bytes that protobuf gives the whole model, without ever having the whole model."""
    head, tail = _around(model, "graph")
    first, last = _around(model.graph, "initializer")
    heads = [weight.head().SerializeToString(deterministic=True) for weight in weights]
    inline = [tensor.SerializeToString(deterministic=True) for tensor in model.graph.initializer]
    sizes = [len(tensor) for tensor in inline]
    sizes += [len(start) + _field_bytes(weight.bytes) for start, weight in zip(heads, weights, strict=True)]
    file.write(head)
    _open_field(file, ModelProto.GRAPH_FIELD_NUMBER, len(first) + sum(map(_field_bytes, sizes)) + len(last))
    file.write(first)
    for size, tensor in zip(sizes, inline, strict=False):
        _open_field(file, GraphProto.INITIALIZER_FIELD_NUMBER, size)
        file.write(tensor)
    for size, start, weight in zip(sizes[len(inline) :], heads, weights, strict=True):
        _open_field(file, GraphProto.INITIALIZER_FIELD_NUMBER, size)
        file.write(start)
        _open_field(file, TensorProto.RAW_DATA_FIELD_NUMBER, weight.bytes)
        file.write(weight.data())
    file.write(last)
    file.write(tail)


def _around(message: ModelProto | GraphProto, name: str) -> tuple[bytes, bytes]:
    """A message's fields before and after the one of that name, serialized; protobuf orders them by number."""
    number = message.DESCRIPTOR.fields_by_name[name].number
    parts = type(message)(), type(message)()
    for field, value in message.ListFields():
        if field.name != name:
            _copy_field(parts[field.number > number], field.name, value)
    before, after = (part.SerializeToString(deterministic=True) for part in parts)
    return before, after


def _open_field(file: BinaryIO, number: int, size: int) -> None:
    """The start of a field of `size` bytes (protobuf's wire type 2; field numbers here are below 16)."""
    file.write(bytes([number << 3 | 2]) + bytes(_varint(size)))


def _field_bytes(size: int) -> int:
    """A field of `size` bytes with its start."""
    return 1 + len(list(_varint(size))) + size


def _varint(number: int) -> Iterator[int]:
    """Protobuf's integers: seven bits a byte, the lowest first."""
    while number > 0x7F:
        yield number & 0x7F | 0x80
        number >>= 7
    yield number


# Two files ------------------------------------------------------------------------------------------------------------


def _save_pair(model: ModelProto, path: Path, weights: Sequence[Pending]) -> list[Path]:
    data_path = _data_name(path)
    targets = _target(path), _target(data_path)
    with _exchanged(*targets) as set_aside, staged(targets[0]) as file, staged(targets[1]) as data:
        light = _without_weights(model)
        for tensor in model.graph.initializer:
            _move(tensor, light.graph, data, data_path.name)
        for weight in weights:
            _stream(weight, light.graph, data, data_path.name)
        file.write(light.SerializeToString(deterministic=True))
        sync(file)
        sync(data)
        set_aside()
    return [path, data_path]


def _target(path: Path) -> Path:
    """What a link refers to: that file changes, not the link."""
    return Path(os.path.realpath(path)) if path.is_symlink() else path


@contextmanager
def _exchanged(model: Path, data: Path) -> Iterator[Callable[[], None]]:
    """For a block whose end gives the names to new files, first `data`, then `model`: both are exchanged, or neither.

    The block calls what it gets when both are complete; that moves the older files aside, the model first. They come
    back if the new model does not get its name, whatever happened. A process that is killed in between leaves no
    model under the name, so that none is ever read with the data of another.
    """
    token = os.urandom(6).hex()
    aside = {path: path.with_name(f".archdsl-{token}-{kind}.tmp") for path, kind in ((model, "model"), (data, "data"))}
    older = [path for path in aside if path.is_file()]
    begun: list[bool] = []

    def set_aside() -> None:
        begun.append(True)
        for path in older:
            path.rename(aside[path])

    try:
        yield set_aside
    finally:
        if begun:
            _settle(model, data, aside, older)


def _settle(model: Path, data: Path, aside: dict[Path, Path], older: Sequence[Path]) -> None:
    """The last step of `_exchanged`; the files themselves tell how far it came."""
    moved = aside[model].exists() or model not in older
    if moved and not model.exists():  # the new model has no name: the data go back first
        if data not in older:
            data.unlink(missing_ok=True)
        for path in (data, model):
            if aside[path].exists():
                aside[path].replace(path)
    for path in aside.values():
        path.unlink(missing_ok=True)


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


def _stream(weight: Pending, graph: GraphProto, data: BinaryIO, location: str) -> None:
    """As `_move`, for a weight that is not made yet."""
    tensor = weight.head()
    if weight.bytes < EXTERNAL_FROM_BYTES:
        tensor.raw_data = weight.data().tobytes()
        graph.initializer.append(tensor)
        return
    _point(graph, tensor, data, location, weight.bytes)
    data.write(weight.data())


def _move(tensor: TensorProto, graph: GraphProto, data: BinaryIO, location: str) -> None:
    """Append the tensor's bytes to the data file, and a tensor that points there to the graph."""
    if _bytes(tensor) < EXTERNAL_FROM_BYTES:
        graph.initializer.append(tensor)
        return
    raw = tensor.raw_data or numpy_helper.to_array(tensor).tobytes()
    _point(graph, tensor, data, location, len(raw))
    data.write(raw)


def _point(graph: GraphProto, tensor: TensorProto, data: BinaryIO, location: str, length: int) -> None:
    """An initializer whose `length` bytes come next in the data file, which is padded for them."""
    data.write(bytes(-data.tell() % ALIGNMENT))
    moved = graph.initializer.add(name=tensor.name, dims=tensor.dims, data_type=tensor.data_type)
    moved.data_location = TensorProto.EXTERNAL
    for key, value in (("location", location), ("offset", data.tell()), ("length", length)):
        moved.external_data.add(key=key, value=str(value))


def _bytes(tensor: TensorProto) -> int:
    size: int = math.prod(tensor.dims) * helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize
    return size
