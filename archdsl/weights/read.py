"""Weights from files."""

from __future__ import annotations

from typing import TYPE_CHECKING
from zipfile import BadZipFile

from archdsl.language.diagnostics import error

if TYPE_CHECKING:
    import numpy as np


def read_weights(path: str) -> dict[str, np.ndarray]:
    """Arrays by name from an `.npz` file; raises `ArchError` (`weights-unreadable`). Nothing in it is executed."""
    import numpy as np

    if not path.endswith(".npz"):
        raise error("weights-unreadable", f"`{path}` is not an .npz file", None)
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (OSError, ValueError, BadZipFile, EOFError) as problem:
        reason = problem.strerror if isinstance(problem, OSError) and problem.strerror else str(problem)
        raise error("weights-unreadable", f"`{path}` cannot be read: {reason}", None) from None
