"""A folder for files that nobody is to see."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from archdsl.language.diagnostics import error


@contextmanager
def scratch() -> Iterator[Path]:
    """A temporary folder that vanishes with all it holds; raises `ArchError` (`cannot-write`) where it has no room."""
    try:
        with tempfile.TemporaryDirectory(prefix="archdsl-") as name:
            yield Path(name)
    except OSError as problem:
        message = f"cannot write temporary files: {problem.strerror or problem}"
        raise error("cannot-write", message, help="make room, or name another folder in TMPDIR") from problem
