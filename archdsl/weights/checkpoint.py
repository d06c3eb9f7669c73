"""What a file of weights holds: names, shapes and element types from its header, arrays when they are read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from archdsl.language.diagnostics import ArchError, Diagnostic, error
from archdsl.weights.lazy import Lazy, Make

#: element types of real numbers, as NumPy and the file formats call them; all others count as something else
FLOATS = ("float32", "float16", "bfloat16", "float64")


@dataclass(frozen=True, slots=True)
class Stored:
    """One array of a file: what the header says, and how to read it.

    `dtype` is the element type in the file; a bfloat16 array is read as float32, which holds each of its values.
    """

    shape: tuple[int, ...]
    dtype: str
    read: Make


class Checkpoint(Lazy):
    """The arrays of a file, each read when it is asked for. `path` is the file as the user named it.

    `remarks` tell what was done to get at the arrays under these names.
    """

    def __init__(self, path: str, stored: Mapping[str, Stored], remarks: tuple[Diagnostic, ...] = ()) -> None:
        super().__init__({name: array.read for name, array in stored.items()})
        self.path = path
        self.stored = dict(stored)
        self.remarks = remarks


def unreadable(path: str, reason: str, help: str | None = None) -> ArchError:
    """The diagnostic of a file that is damaged, or no file of weights."""
    return error("weights-unreadable", f"`{path}` cannot be read: {reason}", help=help)


def os_reason(problem: OSError) -> str:
    """Why the system refused, in its own words."""
    return problem.strerror or str(problem)


Reader = Callable[[str], dict[str, Stored]]
