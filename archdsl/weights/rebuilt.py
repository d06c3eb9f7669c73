"""The same network with another value of a parameter, compiled anew, so that advice is tried before it is given."""

from __future__ import annotations

from pathlib import Path

from archdsl import resources
from archdsl.graph.check import check
from archdsl.graph.graph import Graph
from archdsl.graph.network import Request
from archdsl.graph.values import show
from archdsl.language.diagnostics import ArchError
from archdsl.language.limits import Limits
from archdsl.language.program import Program, read_program


def rebuilt(graph: Graph, name: str, value: object) -> Graph | None:
    """The network as `--set name=value` makes it; None where it is rejected, or its file is not what it was."""
    for path in (Path(graph.source), resources.folder("specs") / graph.source):
        try:
            program = read_program(path, graph.source, Limits())
            if program.digest == graph.digest:
                return _checked(program, graph, {name: value}, path)
        except ArchError:
            continue
    return None


def _checked(program: Program, graph: Graph, change: dict[str, object], path: Path) -> Graph:
    """With the parameters and inputs that were changed from outside before, and the change."""
    before = graph.overridden
    parameters = {name: value for name, value in graph.parameters.items() if f"`{name} = {show(value)}`" in before}
    shapes = {node.path: node.type.shape for node in graph.inputs}
    inputs = {name: shape for name, shape in shapes.items() if f"`{name}: {show(shape)}`" in before}
    return check(program, Request(graph.name, {**parameters, **change}, inputs), path).graph
