"""The library as a table: what each shipped network is, costs, and whether its paper's figures come out."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from archdsl import resources
from archdsl.api import Network
from archdsl.graph.check import check
from archdsl.graph.graph import CheckedGraph
from archdsl.graph.network import Request
from archdsl.language.limits import Limits
from archdsl.language.program import Program, read_program
from archdsl.library import family, shipped

YEAR = re.compile(r"(?<![\d.])((?:19|20)\d\d)(?![\d.])")


@dataclass(frozen=True, slots=True)
class Entry:
    """One network. `source` is its file in the library, or as given; claims are counted by how they came out.

    `held`: borne out; `explained`: a published figure that does not come out, with the reason; `open`: without one.
    """

    network: str
    source: str
    parameters: dict[str, Any]
    title: str
    year: int | None
    inputs: dict[str, list[int]]
    params: int
    macs: int
    held: int
    explained: int
    open: int


def entries_of(path: Path, name: str) -> list[Entry]:
    """All networks of a file; raises `ArchError`."""
    program = read_program(path, name, Limits())
    return [entry(network, name) for network in networks_of(program, path)]


def networks_of(program: Program, path: Path) -> Iterable[Network]:
    """The checked networks of a file, in its order."""
    for declared in program.main.networks:
        checked = check(program, Request(declared.name), path)
        yield Network(checked.graph, checked.diagnostics, checked.costs)


def entry(network: Network, source: str) -> Entry:
    """A network's line of the catalogue."""
    graph, totals = network.checked, network.report().totals
    title = _paper(graph)
    years = YEAR.findall(title)
    deviating = [verdict for verdict in graph.verdicts if not verdict.holds]
    explained = sum(verdict.claim.because is not None for verdict in deviating)
    return Entry(
        graph.name, source, dict(graph.parameters), title, int(years[0]) if years else None,
        {item.path: list(item.type.shape) for item in graph.inputs}, totals.params, totals.macs,
        len(graph.verdicts) - len(deviating), explained, len(deviating) - explained,
    )  # fmt: skip


def _paper(graph: CheckedGraph) -> str:
    """The network's own citation where its docstring begins with one (it has a year), else its family's."""
    own = (graph.docstring or "").partition("\n")[0]
    return own if YEAR.search(own) else graph.title or ""


def stored() -> Path:
    """Where the library's own catalogue is kept, computed beforehand so that `archdsl list` answers at once."""
    return resources.folder("specs") / "catalogue.json"


def read() -> list[Entry]:
    """The library's catalogue as shipped."""
    return [Entry(**row) for row in json.loads(stored().read_text("utf-8"))["networks"]]


def compute() -> list[Entry]:
    """The library's catalogue, computed anew."""
    return [row for path in shipped() for row in entries_of(path, f"{family(path)}.arch")]


def to_json(entries: Iterable[Entry]) -> str:
    """One network a line."""
    lines = ",\n".join("  " + json.dumps(asdict(row), ensure_ascii=False) for row in entries)
    return '{"schema": "archdsl.catalogue/1", "networks": [\n' + lines + "\n]}\n"
