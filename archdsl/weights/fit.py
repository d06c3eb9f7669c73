"""How the names and shapes of given arrays meet those of a network's weights, before an array is loaded."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from archdsl.graph.graph import Graph
from archdsl.graph.renames import shown
from archdsl.ops.base import Weight
from archdsl.weights.checkpoint import FLOATS, INTEGERS, Checkpoint

if TYPE_CHECKING:
    import numpy as np

#: groups of names that one line shows
SHOWN = 6
#: scopes of a name that are looked at; a name of a million dots is somebody's joke
MOST_SCOPES = 50
Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Header:
    """Shape and element type of one given array."""

    shape: Shape
    dtype: str


@dataclass(frozen=True, slots=True)
class Wrong:
    """An array of the right name that is not what the network needs."""

    name: str
    given: Header
    wanted: Weight

    @property
    def mistyped(self) -> bool:
        return _same_numbers(self.given.shape, self.wanted.shape)

    def __str__(self) -> str:
        if self.mistyped:
            return f"{shown(self.name)} is {self.given.dtype}, not {self.wanted.dtype}"
        return f"{shown(self.name)} is {list(self.given.shape)}, not {list(self.wanted.shape)}"


@dataclass(frozen=True)
class Fit:
    """Names by how they came out. `spared` have no array and need none: only training reads them."""

    headers: Mapping[str, Header]
    wanted: Mapping[str, Weight]
    fitting: tuple[str, ...]
    missing: tuple[str, ...]
    spared: tuple[str, ...]
    unexpected: tuple[str, ...]
    wrong: tuple[Wrong, ...]

    @property
    def complete(self) -> bool:
        """Every weight that inference reads has its array, and no array is left over."""
        return not (self.missing or self.unexpected or self.wrong)

    @property
    def faults(self) -> int:
        return len(self.missing) + len(self.unexpected) + len(self.wrong)

    def lines(self) -> Iterator[str]:
        """What does not fit, in groups: `missing: aux1.* (8), fc.bias`."""
        if self.missing:
            yield f"missing: {listed(grouped(self.missing, _countless(self.wanted)))}"
        if self.unexpected:
            yield f"unexpected: {listed(grouped(self.unexpected, self.headers))}"
        for title, mistyped in (("misshapen", False), ("mistyped", True)):
            if found := [str(wrong) for wrong in self.wrong if wrong.mistyped == mistyped]:
                yield f"{title}: {listed(found)}"


def weights_of(graph: Graph) -> dict[str, Weight]:
    """Every parameter and buffer by its `state_dict` key."""
    return {layer.key(weight): weight for layer in graph.layers for weight in layer.weights}


def headers_of(given: Mapping[str, np.ndarray]) -> dict[str, Header]:
    """Shapes and types of given arrays: from the header of a file, else from the arrays, one at a time."""
    if isinstance(given, Checkpoint):
        return {name: Header(array.shape, array.dtype) for name, array in given.stored.items()}
    return {name: Header(tuple(array.shape), str(array.dtype)) for name, array in given.items()}


def fit(graph: Graph, headers: Mapping[str, Header]) -> Fit:
    """Compare; nothing is loaded.

    An array fits where it has the weight's numbers in the same order: with more or fewer axes, of which the others are
    1, or as a convolution over its whole input where the network has a linear layer, and the other way round.
    """
    wanted = weights_of(graph)
    headers = {name: header for name, header in headers.items() if not _is_cast_counter(name, header)}
    inference = {layer.key(weight) for layer in graph.deployed for weight in layer.weights}
    needless = {name for name in wanted if name not in inference or name.endswith(".num_batches_tracked")}
    absent = [name for name in wanted if name not in headers]
    met = {name: _fits(headers[name], wanted[name]) for name in wanted if name in headers}
    return Fit(
        headers,
        wanted,
        fitting=tuple(name for name, fits in met.items() if fits),
        missing=tuple(name for name in absent if name not in needless),
        spared=tuple(name for name in absent if name in needless and not name.endswith(".num_batches_tracked")),
        unexpected=tuple(name for name in headers if name not in wanted),
        wrong=tuple(Wrong(name, headers[name], wanted[name]) for name, fits in met.items() if not fits),
    )


def _is_cast_counter(name: str, header: Header) -> bool:
    """What is left of `num_batches_tracked` where somebody cast all of a checkpoint to floats: it may be wrong by now,
    and nothing needs it."""
    return name.endswith(".num_batches_tracked") and header.dtype in FLOATS


def _fits(given: Header, wanted: Weight) -> bool:
    """Any real numbers fit real numbers, any integers integers."""
    for kinds in (FLOATS, INTEGERS):
        if wanted.dtype in kinds and given.dtype not in kinds:
            return False
    return _same_numbers(given.shape, wanted.shape)


def _same_numbers(a: Shape, b: Shape) -> bool:
    """Shapes of as many axes have to be equal: a kernel of 7x1 is none of 1x7."""
    if len(a) == len(b):
        return a == b
    if [size for size in a if size != 1] == [size for size in b if size != 1]:
        return True
    return bool(a and b) and a[0] == b[0] and min(len(a), len(b)) == 2 and math.prod(a) == math.prod(b)


# Groups of names ------------------------------------------------------------------------------------------------------


def grouped(names: Collection[str], among: Collection[str]) -> list[str]:
    """Names by the largest scopes of which all names are there: `aux1.* (8)`; `among` is all names there could be.

    Where many groups remain: by outermost scopes, `layer3.* (102 of 138)`, else by how names end, `*.bias (57)`. They
    are as a message may print them.
    """
    return [shown(group) for group in _groups(names, among)]


def _groups(names: Collection[str], among: Collection[str]) -> list[str]:
    total = Counter(scope for name in among for scope in _scopes(name))
    here = Counter(scope for name in names for scope in _scopes(name))
    groups = Counter(
        next((f"{scope}.*" for scope in _scopes(name) if here[scope] == total[scope] > 1), name) for name in names
    )
    if len(groups) <= SHOWN:
        return [f"{group} ({count})" if "*" in group else group for group, count in groups.items()]
    outer = dict.fromkeys(next(_scopes(name), name) for name in names)
    if len(outer) <= SHOWN:
        return [f"{scope}.* ({_of(here[scope], total[scope])})" if scope in here else scope for scope in outer]
    ends = Counter(name.rpartition(".")[2] for name in names)
    if len(ends) <= SHOWN:
        return [f"*.{end} ({count})" for end, count in ends.items()]
    return [f"{group} ({count})" if "*" in group else group for group, count in groups.items()]


def _of(number: int, total: int) -> str:
    return f"{number}" if number == total else f"{number} of {total}"


def _countless(names: Collection[str]) -> list[str]:
    """Names without the counters of batch norms, which are never missed."""
    return [name for name in names if not name.endswith(".num_batches_tracked")]


def _scopes(name: str) -> Iterator[str]:
    """`a`, `a.b` for `a.b.c`."""
    return (name[:i] for i in islice(dots(name), MOST_SCOPES))


def dots(name: str) -> Iterator[int]:
    """Where the dots of a name are."""
    return (i for i, letter in enumerate(name) if letter == ".")


def listed(groups: list[str]) -> str:
    more = f" and {len(groups) - SHOWN} more" if len(groups) > SHOWN else ""
    return ", ".join(groups[:SHOWN]) + more
