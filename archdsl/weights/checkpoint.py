"""What a file of weights holds: names, shapes and element types from its header, arrays when they are read."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from archdsl.graph.renames import shown
from archdsl.language.diagnostics import ArchError, Diagnostic, error
from archdsl.weights.lazy import Lazy, Make

if TYPE_CHECKING:
    import numpy as np

#: element types of real numbers and of integers, as NumPy and the file formats call them; others are something else
FLOATS = ("float32", "float16", "bfloat16", "float64")
INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
#: what is the matter with most damaged files
DAMAGED = "is damaged, or was not written to its end"
AGAIN = "fetch it or write it anew: most such files are downloads that stopped early"


@dataclass(frozen=True, slots=True)
class Stored:
    """One array of a file: what the header says, and how to read it.

    `dtype` is the element type in the file; a bfloat16 array is read as float32, which holds each of its values. What
    lies `aside` is no weight unless the network has one of that name.
    """

    shape: tuple[int, ...]
    dtype: str
    read: Make
    aside: bool = False


class Checkpoint(Lazy):
    """The arrays of a file, each read when it is asked for. `path` is the file as the user named it.

    `remarks` tell what was done to get at the arrays under these names. `asides` are those that lie aside.
    """

    def __init__(self, path: str, stored: Mapping[str, Stored], remarks: tuple[Diagnostic, ...] = ()) -> None:
        self.path = path
        self.stored = {name: array for name, array in stored.items() if not array.aside}
        self.asides = {name: array for name, array in stored.items() if array.aside}
        self.remarks = remarks
        super().__init__({name: partial(_read, path, name, array) for name, array in self.stored.items()})

    def with_asides(self, names: Collection[str]) -> Checkpoint:
        """The arrays of these names count among the weights."""
        wanted = {name: array for name, array in self.asides.items() if name in names}
        if not wanted:
            return self
        added = {name: Stored(array.shape, array.dtype, array.read) for name, array in wanted.items()}
        return Checkpoint(self.path, {**self.asides, **added, **self.stored}, self.remarks)


def _read(path: str, name: str, array: Stored) -> np.ndarray:
    with guarded(path, f"`{shown(name)}`"):
        found = array.read()
    if found.shape != array.shape:
        raise unreadable(path, f"`{shown(name)}` is not what the header says", AGAIN)
    return found


def unreadable(path: str, reason: str, help: str | None = None) -> ArchError:
    """The diagnostic of a file that is damaged, or no file of weights."""
    return error("weights-unreadable", f"`{path}` cannot be read: {reason}", help=help)


@contextmanager
def guarded(path: str, what: str = "it") -> Iterator[None]:
    """Whatever a library trips over in a file becomes the diagnostic `weights-unreadable`; `what` is being read."""
    before = "" if what == "it" else f"{what}: "
    try:
        yield
    except ArchError:
        raise
    except OSError as problem:
        raise unreadable(path, before + os_reason(problem)) from None
    except MemoryError:
        raise unreadable(path, f"{before}there is not enough memory") from None
    except Exception:  # noqa: BLE001 (libraries trip over damaged files in all ways, and say it in words for their users)
        raise unreadable(path, f"{what} {DAMAGED}", AGAIN) from None


def os_reason(problem: OSError) -> str:
    """Why the system refused, in its own words."""
    return problem.strerror or str(problem)


def require_file(path: Path) -> None:
    """Raises `OSError` for what is no ordinary file: a pipe or a device may never end."""
    try:
        mode = path.stat().st_mode
    except ValueError as problem:  # a NUL in the name
        raise OSError(errno.EINVAL, str(problem)) from None
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "it is not an ordinary file")


Reader = Callable[[str], dict[str, Stored]]
