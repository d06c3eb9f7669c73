"""Arrays that may be too large for this machine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from archdsl.language.diagnostics import ArchError, error

#: of NumPy's ValueError where no machine could count the elements, and of PyTorch's RuntimeError
REFUSALS = ("array is too big", "Maximum allowed dimension exceeded", "can't allocate memory")


@contextmanager
def room_for(what: str) -> Iterator[None]:
    """For a block that makes arrays of sizes that a user chose; raises `ArchError` (`out-of-memory`)."""
    try:
        yield
    except MemoryError as problem:
        raise _no_room(what, problem) from problem
    except (ValueError, RuntimeError) as problem:
        if not any(words in str(problem) for words in REFUSALS):
            raise
        raise _no_room(what, problem) from problem


def _no_room(what: str, problem: Exception) -> ArchError:
    help = "ask for a smaller batch or smaller inputs"
    return error("out-of-memory", f"there is no room for {what}", notes=tuple(str(problem).splitlines()[:1]), help=help)
