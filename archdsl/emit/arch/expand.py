"""`archdsl expand`: a checked graph as one flat network, which gives the same graph when it is compiled."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from archdsl.emit.arch import spelling
from archdsl.emit.arch.names import Place
from archdsl.emit.arch.parts import tree
from archdsl.emit.arch.statements import Writer
from archdsl.graph.check import check
from archdsl.graph.graph import CheckedGraph, Graph, Input, Layer
from archdsl.graph.network import Request
from archdsl.graph.refit import refitted
from archdsl.language.diagnostics import ArchError, error
from archdsl.language.format import format_source
from archdsl.language.limits import Limits
from archdsl.language.parse import parse
from archdsl.language.program import link
from archdsl.language.source import Source, Span
from archdsl.version import __version__

BOUNDLESS = 2**62
NOWHERE = Span(Source("", ""), 0, 0)


def arch_source(graph: CheckedGraph) -> str:
    """The network without blocks, loops, conditions and parameters, every argument written out, each line with its
    origin. Claims stay behind. Raises `ArchError` (`not-expandable`) where the text would be another network.
    """
    graph = refitted(graph)  # the text has its own size, which nothing overrides
    limits = Limits(file_size=BOUNDLESS, nesting=200, statements=BOUNDLESS, layers=BOUNDLESS, elements=BOUNDLESS)
    try:
        source = Source(f"{graph.name}.arch", _text(graph))
    except KeyError as lost:
        raise _refusal(graph, f"nothing can refer to {lost}") from None
    text = format_source(source, limits, BOUNDLESS)  # a layer, a line
    _refuse_others(graph, Source(source.name, text), limits)
    return text


def _text(graph: CheckedGraph) -> str:
    root = tree(graph)
    writer = Writer(graph, root)
    place = Place("", None)
    inputs = [part for part in root.parts.values() if isinstance(part.node, Input)]
    writer.body(inputs, place)
    writer.modules(root, place)
    writer.body([part for part in root.parts.values() if part not in inputs], place)
    if [output.name for output in graph.outputs if not output.training_only] != ["output"]:
        writer.declare_outputs(len(graph.outputs), place)
    elif graph.outputs[-1].tensor != place.flow:
        writer.lines.append(writer.known.spell(graph.outputs[-1].tensor, place))
    lines = [*_head(graph), *writer.lines]
    if graph.recipe:
        lines += ["", "train {", spelling.recipe(graph), "}"]
    if graph.renames:
        lines += ["", "weights {", spelling.rules(graph), "}"]
    return "\n".join([*lines, "}\n"])


def _head(graph: CheckedGraph) -> list[str]:
    given = ", ".join(f"{name} = {spelling.value(held)}" for name, held in graph.parameters.items())
    called = f"{graph.name}({given})" if given and "{" not in given else graph.name
    lines = [f'"""{graph.title}"""', ""] if graph.title else []
    lines += [f"# {called} of {graph.source}, expanded by archdsl {__version__}", f"network {graph.name} {{"]
    return [*lines, f'"""{graph.docstring}"""'] if graph.docstring else lines


def _refuse_others(graph: CheckedGraph, source: Source, limits: Limits) -> None:
    """The text is compiled: it has to give the very graph that it was made of."""
    path = Path(source.name)
    try:
        found = check(link(parse(source, limits), path, limits), Request(limits=limits), path).graph
    except ArchError as failure:
        raise _refusal(graph, failure.diagnostics[0].message) from None
    different = difference(graph, found)
    if different:
        raise _refusal(graph, different)


def _refusal(graph: Graph, reason: str) -> ArchError:
    message = f"`{graph.name}` cannot be written as one flat network"
    return error("not-expandable", message, notes=(f"what was tried differs: {reason}",))


def difference(graph: Graph, other: Graph) -> str:
    """The first thing in which two graphs differ, "" where they are the same; spans do not matter."""
    for path, node in graph.nodes.items():
        if path not in other.nodes:
            return f"`{path}` is missing"
        if _bare(node) != _bare(other.nodes[path]):
            return f"`{path}` is another layer"
    for what in ("nodes", "outputs", "uses", "symbols", "recipe"):
        mine, its = getattr(graph, what), getattr(other, what)
        if (list(mine) if what == "nodes" else mine) != (list(its) if what == "nodes" else its):
            return f"its {what} are others"
    rules = [[replace(rule, span=None) for rule in each.renames] for each in (graph, other)]
    return "" if rules[0] == rules[1] else "its rules for weights are others"


def _bare(node: Input | Layer) -> Input | Layer:
    """A node without its place in a text."""
    if isinstance(node, Layer):
        return replace(node, span=NOWHERE, stack=())
    return replace(node, span=NOWHERE)
