"""`.npz`: a zip archive with a `.npy` file for each array, whose headers are read without the arrays behind them."""

from __future__ import annotations

import math
import zlib
from functools import partial
from typing import IO, TYPE_CHECKING
from zipfile import BadZipFile, ZipFile, ZipInfo

from archdsl.weights.checkpoint import Stored, os_reason, unreadable

if TYPE_CHECKING:
    import numpy as np

BAD = (OSError, ValueError, BadZipFile, EOFError, zlib.error, NotImplementedError, RuntimeError)


def read_npz(path: str) -> dict[str, Stored]:
    """Arrays by name; raises `ArchError` (`weights-unreadable`). Nothing in the file is executed."""
    found = {}
    try:
        archive = ZipFile(path)
        for member in archive.infolist():
            if member.filename.endswith(".npy"):
                name = member.filename.removesuffix(".npy")
                shape, dtype = _header(archive, member)
                found[name] = Stored(shape, dtype.name, partial(_read, path, archive, member))
    except BAD as problem:
        raise unreadable(path, _reason(problem)) from None
    return found


def _header(archive: ZipFile, member: ZipInfo) -> tuple[tuple[int, ...], np.dtype]:
    """Shape and element type; ValueError where the header lies about what follows."""
    with archive.open(member) as file:
        shape, dtype = _array_header(file)
        start = file.tell()
    if dtype.hasobject:
        raise ValueError(f"`{member.filename}` holds Python objects, and to load those means to execute them")
    if member.file_size != start + math.prod(shape) * dtype.itemsize:
        size = f"{member.file_size - start:,} bytes follow"
        raise ValueError(f"the header of `{member.filename}` promises {list(shape)} {dtype.name}, but {size}")
    return shape, dtype


def _array_header(file: IO[bytes]) -> tuple[tuple[int, ...], np.dtype]:
    from numpy.lib import format as npy

    version = npy.read_magic(file)
    read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, _, dtype = read(file)
    return shape, dtype


def _read(path: str, archive: ZipFile, member: ZipInfo) -> np.ndarray:
    from numpy.lib import format as npy

    try:
        with archive.open(member) as file:
            return npy.read_array(file, allow_pickle=False)
    except BAD as problem:
        raise unreadable(path, f"`{member.filename}`: {_reason(problem)}") from None


def _reason(problem: Exception) -> str:
    return os_reason(problem) if isinstance(problem, OSError) else str(problem) or type(problem).__name__
