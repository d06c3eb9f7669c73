"""The table of passes, and running some of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

from archdsl.graph.dimensions import Asked
from archdsl.graph.graph import CheckedGraph
from archdsl.language.diagnostics import error
from archdsl.language.similar import nearest
from archdsl.passes.draft import Pair, Weights
from archdsl.passes.fc_to_conv import fc_to_conv
from archdsl.passes.fold_batchnorm import fold_batchnorm
from archdsl.passes.fold_scale import fold_scale
from archdsl.passes.merge_padding import merge_padding
from archdsl.passes.plain_weights import plain_weights
from archdsl.passes.remove_training import remove_training
from archdsl.passes.retype import retype


@dataclass(frozen=True, slots=True)
class Pass:
    """A pass and what it preserves.

    `exact`: the same sums of the same terms. `approximate`: the same function, whose rounding differs. `changes`:
    another function, or results of another shape. `default`: part of a deployment unless somebody says otherwise.
    """

    name: str
    doc: str
    preserves: Literal["exact", "approximate", "changes"]
    default: bool
    run: Callable[[CheckedGraph, Weights], Pair]


class Deployed(NamedTuple):
    """What passes made of a network, and the names of those that changed something."""

    graph: CheckedGraph
    weights: Weights
    applied: tuple[str, ...]


#: In the order in which they run, whatever order they are asked for in.
PASSES = {
    item.name: item
    for item in (
        Pass("remove_training", "leave out dropout and what exists in training only", "exact", True, remove_training),
        Pass("plain_weights", "normalized and sparse weights as plain ones", "approximate", True, plain_weights),
        Pass("fc_to_conv", "fully connected layers as convolutions, for larger images", "changes", False, fc_to_conv),
        Pass("fold_scale", "constant factors and offsets into neighbouring weights", "approximate", True, fold_scale),
        Pass("fold_batchnorm", "batch norm and affine into neighbouring weights", "approximate", True, fold_batchnorm),
        Pass("merge_padding", "borders of zeros into the convolutions that read them", "exact", True, merge_padding),
    )
}
DEPLOYMENT = tuple(item.name for item in PASSES.values() if item.default)


def run_passes(
    graph: CheckedGraph,
    weights: Weights,
    names: Iterable[str] = DEPLOYMENT,
    inputs: Mapping[str, Asked] | None = None,
) -> Deployed:
    """The graph and weights after the named passes and `remove_training`, which always runs: no pass knows training.

    `inputs` are shapes, without the batch, that the inputs then have (`retype`): the layers stay as they were laid out,
    so that with `fc_to_conv` a larger image gives a map. `weights` may be lazy and lack arrays; nothing is read before
    somebody reads the result. Raises `ArchError` (`unknown-pass`, and those of `retype`).
    """
    wanted = {"remove_training", *known(names)}
    applied = []
    for name, item in PASSES.items():
        before = graph
        if name in wanted:
            graph, weights = item.run(graph, weights)
        if graph is not before:
            applied.append(name)
        if name == "fc_to_conv" and inputs:  # sizes come before what looks at them: a padding that they decide, say
            graph = retype(graph, inputs)
    return Deployed(graph, weights, tuple(applied))


def known(names: Iterable[str]) -> tuple[str, ...]:
    """The names, each of which has to be a pass's; raises `ArchError` (`unknown-pass`)."""
    found = tuple(names)
    for name in found:
        if name in PASSES:
            continue
        guess = nearest(name, PASSES)
        help = f"did you mean `{guess}`?" if guess else None
        raise error("unknown-pass", f"there is no pass `{name}`", notes=(f"there are {', '.join(PASSES)}",), help=help)
    return found
