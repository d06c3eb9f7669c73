"""Weights to a file, one array in memory at a time; the file takes its name when it is complete."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO
from zipfile import ZIP_STORED, ZipFile, ZipInfo

from archdsl.language.diagnostics import error
from archdsl.language.output import staged
from archdsl.ops.base import DTYPE_BYTES, Weight

if TYPE_CHECKING:
    import numpy as np

Arrays = Mapping[str, "np.ndarray"]
#: the names that safetensors has for element types, in the order in which it lays them out, so that all are aligned
TYPES = {"int64": "I64", "float64": "F64", "float32": "F32", "int32": "I32", "float16": "F16", "uint8": "U8",
         "bool": "BOOL"}  # fmt: skip
ALIGNMENT = 8
#: a zip archive has to say when its parts were made; the same input gives the same bytes
LONG_AGO = (1980, 1, 1, 0, 0, 0)


def save_weights(path: str | Path, arrays: Arrays, declared: Mapping[str, Weight], metadata: Mapping[str, str]) -> None:
    """Write all arrays, which are as `declared`; the end of the name tells the format.

    `metadata` goes into a .safetensors file. Raises `ArchError` (`weights-format`, `cannot-write`).
    """
    write = WRITERS.get(Path(path).suffix.lower())
    if write is None:
        raise error("weights-format", f"`{path}` ends in none of {', '.join(WRITERS)}", help="name it `W.safetensors`")
    with staged(path) as file:
        write(file, arrays, declared, metadata)


def _safetensors(file: BinaryIO, arrays: Arrays, declared: Mapping[str, Weight], metadata: Mapping[str, str]) -> None:
    """As huggingface.co/docs/safetensors describes it, byte for byte what the library writes."""
    order = sorted(declared, key=lambda name: (list(TYPES).index(declared[name].dtype), name))
    header: dict[str, object] = {"__metadata__": dict(sorted(metadata.items()))}
    end = 0
    for name in order:
        weight = declared[name]
        start, end = end, end + weight.elements * DTYPE_BYTES[weight.dtype]
        header[name] = {"dtype": TYPES[weight.dtype], "shape": list(weight.shape), "data_offsets": [start, end]}
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % ALIGNMENT)
    file.write(len(text).to_bytes(8, "little"))
    file.write(text)
    for name in order:
        _write_numbers(file, arrays[name])


def _write_numbers(file: BinaryIO, array: np.ndarray) -> None:
    import numpy as np

    little = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
    file.write(little.reshape(-1).view(np.uint8).data)


def _npz(file: BinaryIO, arrays: Arrays, declared: Mapping[str, Weight], metadata: Mapping[str, str]) -> None:
    from numpy.lib import format as npy

    with ZipFile(file, "w", ZIP_STORED) as archive:
        for name in declared:
            with archive.open(ZipInfo(f"{name}.npy", LONG_AGO), "w", force_zip64=True) as member:
                npy.write_array(member, arrays[name], allow_pickle=False)


Writer = Callable[[BinaryIO, Arrays, Mapping[str, Weight], Mapping[str, str]], None]
WRITERS: dict[str, Writer] = {".safetensors": _safetensors, ".npz": _npz}
