"""Given weights against the names and shapes that a network has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from archdsl.language.diagnostics import error

if TYPE_CHECKING:
    import numpy as np

SHOWN = 5


def merge(initial: Mapping[str, np.ndarray], given: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The given arrays in place of the initial ones, as their element type.

    Raises `ArchError` (`weights-mismatch`) with the missing, unexpected and misshapen names. Buffers that only
    training needs (`num_batches_tracked`) may be missing.
    """
    missing = [name for name in initial if name not in given and not name.endswith("num_batches_tracked")]
    unexpected = [name for name in given if name not in initial]
    misshapen = [
        f"{name} is {list(given[name].shape)}, not {list(initial[name].shape)}"
        for name in given
        if name in initial and given[name].shape != initial[name].shape
    ]
    groups = (("missing", missing), ("unexpected", unexpected), ("misshapen", misshapen))
    notes = tuple(_group(title, names) for title, names in groups if names)
    if notes:
        raise error("weights-mismatch", "the weights do not fit the network", None, notes=notes)
    return {name: given[name].astype(array.dtype) if name in given else array for name, array in initial.items()}


def _group(title: str, names: list[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"{title}: {', '.join(names[:SHOWN])}{more}"
