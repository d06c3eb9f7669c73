"""`.safetensors`: a header of JSON, then the arrays, which are mapped into memory one at a time.

The library checks the header (shapes against offsets, no gaps, no overlaps, the file's size) and gives its order; the
format is described at huggingface.co/docs/safetensors.
"""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING

from archdsl.graph.renames import shown
from archdsl.weights.checkpoint import AGAIN, DAMAGED, Stored, unreadable

if TYPE_CHECKING:
    import numpy as np

#: element types of the format: NumPy's name for what is stored, and the name to show
TYPES = {
    "F64": ("<f8", "float64"), "F32": ("<f4", "float32"), "F16": ("<f2", "float16"), "BF16": ("<u2", "bfloat16"),
    "I64": ("<i8", "int64"), "I32": ("<i4", "int32"), "I16": ("<i2", "int16"), "I8": ("i1", "int8"),
    "U64": ("<u8", "uint64"), "U32": ("<u4", "uint32"), "U16": ("<u2", "uint16"), "U8": ("u1", "uint8"),
    "BOOL": ("?", "bool"), "C64": ("<c8", "complex64"),
}  # fmt: skip
#: those that NumPy does not have: their bits, and the name to show; no network wants any
OTHERS = {
    "F8_E4M3": (8, "float8_e4m3fn"), "F8_E5M2": (8, "float8_e5m2"), "F8_E8M0": (8, "float8_e8m0fnu"),
    "F8_E4M3FNUZ": (8, "float8_e4m3fnuz"), "F8_E5M2FNUZ": (8, "float8_e5m2fnuz"),
    "F6_E2M3": (6, "float6_e2m3fn"), "F6_E3M2": (6, "float6_e3m2fn"), "F4": (4, "float4_e2m1fn"),
}  # fmt: skip


def read_safetensors(path: str) -> dict[str, Stored]:
    """Arrays by name; raises `ArchError` (`weights-unreadable`)."""
    from safetensors import SafetensorError, safe_open

    with open(path, "rb") as file:  # noqa: PTH123 (the reader of the format takes a text as well)
        offset = 8 + int.from_bytes(file.read(8), "little")
    found = {}
    try:
        with safe_open(path, framework="numpy") as archive:
            for name in archive.offset_keys():
                part = archive.get_slice(name)
                shape, kind = tuple(part.get_shape()), part.get_dtype()
                found[name] = _stored(path, name, offset, shape, kind)
                offset += math.prod(shape) * _bits(kind) // 8
    except SafetensorError as problem:
        reason = str(problem).removeprefix("Error while deserializing header: ")
        raise unreadable(path, f"it {DAMAGED} ({reason})", AGAIN) from None
    return found


def _stored(path: str, name: str, offset: int, shape: tuple[int, ...], kind: str) -> Stored:
    if kind in TYPES:
        stored, dtype = TYPES[kind]
        return Stored(shape, dtype, partial(_read, path, offset, shape, stored, dtype))
    if kind in OTHERS:
        return Stored(shape, OTHERS[kind][1], partial(_refuse, path, name, OTHERS[kind][1]))
    raise unreadable(path, f"`{shown(name)}` has elements of type {kind}, which is not supported")


def _bits(kind: str) -> int:
    import numpy as np

    return OTHERS[kind][0] if kind in OTHERS else 8 * np.dtype(TYPES[kind][0]).itemsize


def _refuse(path: str, name: str, dtype: str) -> np.ndarray:
    raise unreadable(path, f"`{shown(name)}` has elements of type {dtype}, which is not supported")


def _read(path: str, offset: int, shape: tuple[int, ...], stored: str, dtype: str) -> np.ndarray:
    """One array, mapped for as long as somebody holds it."""
    import numpy as np

    if 0 in shape:
        return np.zeros(shape, stored)
    values: np.ndarray = np.memmap(path, stored, "r", offset, shape or (1,)).view(np.ndarray).reshape(shape)
    return widened(values) if dtype == "bfloat16" else values


def widened(values: np.ndarray) -> np.ndarray:
    """bfloat16, given as uint16, as float32: its bits are the upper half of those of the same number."""
    import numpy as np

    wide = values.astype("<u4")
    wide <<= 16
    return wide.view(np.float32)
