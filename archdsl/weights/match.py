"""Given weights against the names and shapes that a network has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from archdsl.graph.graph import Graph
from archdsl.language.diagnostics import error
from archdsl.weights.initialize import initialize

if TYPE_CHECKING:
    import numpy as np

SHOWN = 5


def complete(
    graph: Graph, given: Mapping[str, np.ndarray], seed: int = 0, strict: bool = False
) -> dict[str, np.ndarray]:
    """An array for every parameter and buffer: the given ones in the declared element type, the rest initialized.

    Raises `ArchError` (`weights-mismatch`) for names that the network does not have and for other shapes; with
    `strict` for missing names too, but for `num_batches_tracked`, which only training reads.
    """
    expected = {f"{layer.module}.{weight.name}": weight for layer in graph.layers for weight in layer.weights}
    missing = [name for name in expected if name not in given and not name.endswith("num_batches_tracked")]
    unexpected = [name for name in given if name not in expected]
    misshapen = [
        f"{name} is {list(array.shape)}, not {list(expected[name].shape)}"
        for name, array in given.items()
        if name in expected and array.shape != expected[name].shape
    ]
    groups = (("missing", missing if strict else []), ("unexpected", unexpected), ("misshapen", misshapen))
    notes = tuple(_group(title, names) for title, names in groups if names)
    if notes:
        raise error("weights-mismatch", f"the weights do not fit `{graph.name}`", notes=notes)
    drawn = initialize(graph, seed, without=given.keys())
    return {
        name: given[name].astype(weight.dtype, copy=False) if name in given else drawn[name]
        for name, weight in expected.items()
    }


def _group(title: str, names: list[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"{title}: {', '.join(names[:SHOWN])}{more}"
