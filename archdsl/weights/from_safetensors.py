"""`.safetensors`: a header of JSON, then the arrays, which are mapped into memory one at a time.

The library checks the header (shapes against offsets, no gaps, no overlaps, the file's size) and gives its order; the
format is described at huggingface.co/docs/safetensors.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from archdsl.weights.checkpoint import Stored, os_reason, unreadable

if TYPE_CHECKING:
    import numpy as np

#: element types of the format: NumPy's name for what is stored, and the name to show
TYPES = {
    "F64": ("<f8", "float64"), "F32": ("<f4", "float32"), "F16": ("<f2", "float16"), "BF16": ("<u2", "bfloat16"),
    "I64": ("<i8", "int64"), "I32": ("<i4", "int32"), "I16": ("<i2", "int16"), "I8": ("i1", "int8"),
    "U64": ("<u8", "uint64"), "U32": ("<u4", "uint32"), "U16": ("<u2", "uint16"), "U8": ("u1", "uint8"),
    "BOOL": ("?", "bool"),
}  # fmt: skip


def read_safetensors(path: str) -> dict[str, Stored]:
    """Arrays by name; raises `ArchError` (`weights-unreadable`)."""
    import numpy as np
    from safetensors import SafetensorError, safe_open

    found = {}
    try:
        with open(path, "rb") as file:  # noqa: PTH123 (a path that cannot exist is an OSError or a ValueError here)
            offset = 8 + int.from_bytes(file.read(8), "little")
        with safe_open(path, framework="numpy") as archive:
            for name in archive.offset_keys():
                part = archive.get_slice(name)
                shape, kind = tuple(part.get_shape()), part.get_dtype()
                if kind not in TYPES:
                    raise unreadable(path, f"`{name}` has elements of type {kind}, which is not supported")
                stored, dtype = TYPES[kind]
                found[name] = Stored(shape, dtype, partial(_read, path, name, offset, shape, stored, dtype))
                offset += int(np.prod(shape, dtype=np.int64)) * np.dtype(stored).itemsize
    except SafetensorError as problem:
        raise unreadable(path, str(problem).removeprefix("Error while deserializing header: ")) from None
    except OSError as problem:
        raise unreadable(path, os_reason(problem)) from None
    except ValueError as problem:
        raise unreadable(path, str(problem)) from None
    return found


def _read(path: str, name: str, offset: int, shape: tuple[int, ...], stored: str, dtype: str) -> np.ndarray:
    """One array, mapped for as long as somebody holds it."""
    import numpy as np

    if 0 in shape:
        return np.zeros(shape, stored)
    try:
        values: np.ndarray = np.memmap(path, stored, "r", offset, shape or (1,)).view(np.ndarray).reshape(shape)
    except (OSError, ValueError) as problem:
        raise unreadable(path, f"`{name}`: {problem}") from None
    return widened(values) if dtype == "bfloat16" else values


def widened(values: np.ndarray) -> np.ndarray:
    """bfloat16, given as uint16, as float32: its bits are the upper half of those of the same number."""
    import numpy as np

    wide = values.astype("<u4")
    wide <<= 16
    return wide.view(np.float32)
