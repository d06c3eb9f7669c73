"""Given weights and drawn ones, joined into what a network needs. Nothing is loaded before names and shapes fit."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial as bound
from typing import TYPE_CHECKING

from archdsl.graph.graph import Graph
from archdsl.graph.renames import shown
from archdsl.language.diagnostics import ArchError, Diagnostic, error
from archdsl.ops.base import Weight
from archdsl.weights.causes import advice, causes
from archdsl.weights.checkpoint import FLOATS, Checkpoint
from archdsl.weights.fit import Fit, fit, grouped, headers_of, listed
from archdsl.weights.initialize import lazy_initialize
from archdsl.weights.lazy import Lazy, Make, makers

if TYPE_CHECKING:
    import numpy as np

Notice = Callable[[str], None]


def warn(name: str) -> None:
    """What Python's own users get to see of a NaN."""
    warnings.warn(f"`{shown(name)}` has numbers that are NaN or infinite", stacklevel=2)


def complete(
    graph: Graph,
    given: Mapping[str, np.ndarray],
    seed: int = 0,
    strict: bool = False,
    partial: bool = False,
    notice: Notice = warn,
) -> Lazy:
    """An array for every parameter and buffer: the given ones in the declared shape and element type, the rest drawn.

    Names and shapes are compared at once; arrays are read, or drawn, when they are asked for. `notice` is then told
    the name of each given array that has numbers that are NaN or infinite. Raises `ArchError` (`weights-mismatch`)
    for names that the network does not have and for other shapes, but not if `partial`, which takes what fits; with
    `strict` for missing names too, but for those that only training reads.
    """
    found = fit(graph, headers_of(given))
    if not partial and (found.unexpected or found.wrong or (strict and found.missing)):
        raise mismatch(graph, found if strict else replace(found, missing=()), given)
    drawn = lazy_initialize(graph, seed, without=found.fitting).makers
    read, fitting = makers(given), set(found.fitting)
    made: dict[str, Make] = {
        name: bound(_given, read[name], name, weight, notice) if name in fitting else drawn[name]
        for name, weight in found.wanted.items()
    }
    return Lazy(made)


def _given(read: Make, name: str, weight: Weight, notice: Notice) -> np.ndarray:
    import numpy as np

    # what float32 cannot hold becomes infinite, infinities of both signs add up to NaN, and both is noticed
    with np.errstate(over="ignore", invalid="ignore"):
        array = read().reshape(weight.shape).astype(weight.dtype, copy=False)
        # one sum tells of almost all arrays that they are fine, without a second array of their size
        suspicious = weight.dtype in FLOATS and not np.isfinite(array.sum())
    if suspicious and not np.isfinite(array).all():
        notice(name)
    return array


def mismatch(graph: Graph, found: Fit, given: Mapping[str, np.ndarray]) -> ArchError:
    """The diagnostic: names in groups, and the likely cause."""
    likely = causes(graph, found)
    help = advice(found, likely) if isinstance(given, Checkpoint) else next((it.help for it in likely if it.help), None)
    notes = (*found.lines(), *(f"cause: {cause.text}" for cause in likely))
    what = f"`{given.path}` does" if isinstance(given, Checkpoint) else "the weights do"
    return error("weights-mismatch", f"{what} not fit `{graph.name}`", notes=notes, help=help)


def remarks(found: Fit, path: str, partial: bool) -> list[Diagnostic]:
    """Warnings about what is not taken from a file, though nothing is refused."""
    remarks: list[Diagnostic] = []
    if partial and not found.complete:
        message = f"{len(found.fitting)} of {len(found.wanted)} arrays come from `{path}`; the others are initialized"
        remarks.append(Diagnostic("weights-partial", message, severity="warning", notes=tuple(found.lines())))
    elif found.spared:
        message = f"`{path}` has no weights for the parts that exist in training only; they are initialized"
        notes = (f"initialized: {listed(grouped(found.spared, found.wanted))}",)
        remarks.append(Diagnostic("weights-partial", message, severity="warning", notes=notes))
    return remarks


def not_finite(path: str, names: list[str]) -> Diagnostic:
    """The warning about numbers that no network computes anything useful with."""
    message = f"`{path}` has numbers that are NaN or infinite"
    return Diagnostic("weights-not-finite", message, severity="warning", notes=(f"in {listed([*map(shown, names)])}",))
