"""`.npz`: a zip archive with a `.npy` file for each array, whose headers are read without the arrays behind them."""

from __future__ import annotations

import math
import warnings
from functools import partial
from typing import IO, TYPE_CHECKING
from zipfile import ZIP_BZIP2, ZIP_DEFLATED, ZIP_LZMA, ZIP_STORED, ZipFile, ZipInfo

from archdsl.graph.renames import shown
from archdsl.weights.checkpoint import AGAIN, Stored, guarded, unreadable

if TYPE_CHECKING:
    import numpy as np

KNOWN = (ZIP_STORED, ZIP_DEFLATED, ZIP_BZIP2, ZIP_LZMA)
ENCRYPTED = 1
VERSIONS = ((1, 0), (2, 0), (3, 0))


def read_npz(path: str) -> dict[str, Stored]:
    """Arrays by name; raises `ArchError` (`weights-unreadable`). Nothing in the file is executed."""
    archive = ZipFile(path)
    members = [member for member in archive.infolist() if member.filename.endswith(".npy")]
    return {member.filename.removesuffix(".npy"): _stored(path, archive, member) for member in members}


def _stored(path: str, archive: ZipFile, member: ZipInfo) -> Stored:
    """The array as its header tells it, which has to agree with what follows."""
    name = f"`{shown(member.filename)}`"
    if member.flag_bits & ENCRYPTED or member.compress_type not in KNOWN:
        how = "encrypted" if member.flag_bits & ENCRYPTED else "compressed in an unknown way"
        raise unreadable(path, f"{name} is {how}")
    with guarded(path, f"the header of {name}"), archive.open(member) as file:
        shape, dtype = _array_header(file)
        start = file.tell()
    if dtype.hasobject:
        help = "write it with arrays of numbers alone"
        raise unreadable(path, f"{name} holds Python objects, and to load those means to execute them", help)
    if member.file_size != start + math.prod(shape) * dtype.itemsize:
        size = f"{member.file_size - start:,} bytes follow"
        raise unreadable(path, f"the header of {name} promises {list(shape)} {dtype.name}, but {size}", AGAIN)
    return Stored(shape, dtype.name, partial(_read, archive, member))


def _array_header(file: IO[bytes]) -> tuple[tuple[int, ...], np.dtype]:
    """Shape and element type; raises anything for what is no header."""
    from numpy.lib import format as npy

    version = npy.read_magic(file)
    if version not in VERSIONS:
        raise ValueError(version)
    read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of headers that Python 2 wrote
        try:
            shape, _, dtype = read(file)
        except MemoryError as problem:  # of Python's parser, about brackets and signs
            raise ValueError(version) from problem
    if any(isinstance(size, bool) or size < 0 for size in shape):
        raise ValueError(shape)
    return shape, dtype


def _read(archive: ZipFile, member: ZipInfo) -> np.ndarray:
    from numpy.lib import format as npy

    with warnings.catch_warnings(), archive.open(member) as file:
        warnings.simplefilter("ignore")
        return npy.read_array(file, allow_pickle=False)
