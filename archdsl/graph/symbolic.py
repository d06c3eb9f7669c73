"""Networks with open sizes: what they are at given ones, and whether what was found at the nominal ones holds there.

Rules that choose (the larger of two sizes, a condition, a loop over a size) choose at the nominal sizes. So the
network is elaborated again with plain numbers, at both ends of the ranges and in between, and compared.
"""

from __future__ import annotations

from dataclasses import replace

from archdsl.graph.graph import Graph, Input, Layer
from archdsl.graph.network import Request, elaborate
from archdsl.graph.sizes import Sizes, at, nominal
from archdsl.language.diagnostics import ArchError, Diagnostic, error
from archdsl.language.program import Program
from archdsl.language.source import Span
from archdsl.ops.base import Op
from archdsl.ops.dims import Symbol, sizes_text

HELP = "give the symbol a range where the network is one and the same, e.g. `H: 64 .. 512 by 32 = 224`"


def points(symbols: tuple[Symbol, ...]) -> list[dict[str, int]]:
    """Where a network is checked besides its nominal sizes: both ends, an odd place in between, and next to nominal.

    In between, no two symbols have the same number of steps where there is room for it.
    """
    chosen = [
        {symbol.name: symbol.low for symbol in symbols},
        {symbol.name: symbol.high for symbol in symbols},
        {symbol.name: _between(symbol, 2 * number) for number, symbol in enumerate(symbols)},
        {symbol.name: _beside(symbol, 1 + number) for number, symbol in enumerate(symbols)},
    ]
    start = {symbol.name: symbol.nominal for symbol in symbols}
    return [sizes for i, sizes in enumerate(chosen) if sizes not in [start, *chosen[:i]]]


def trials(graph: Graph) -> list[dict[str, int]]:
    """Sizes to run a network at: the nominal ones, and two others that take no more memory, or hardly more."""
    first = nominal(graph)
    others = ({s.name: s.low for s in graph.symbols}, {s.name: _beside(s, 1 + i) for i, s in enumerate(graph.symbols)})
    return [first, *(sizes for sizes in others if sizes != first)]


def _between(symbol: Symbol, offset: int) -> int:
    low, high = symbol.low // symbol.step, symbol.high // symbol.step
    steps = ((low + high) // 2 | 1) + offset
    return min(steps, high) * symbol.step


def _beside(symbol: Symbol, offset: int) -> int:
    return min(symbol.nominal + offset * symbol.step, symbol.high)


def check_sizes(graph: Graph, program: Program, request: Request) -> None:
    """Raise (`symbolic-size`) where the network is not the same at another size within the ranges."""
    for sizes in points(graph.symbols):
        there, e = elaborate(program, replace(request, sizes=sizes))
        if there is None:
            first = next(found for found in e.findings() if found.severity == "error")
            raise _rejected(first, graph, sizes)
        _compare(graph, at(graph, sizes), there, sizes)


def _rejected(found: Diagnostic, graph: Graph, sizes: Sizes) -> ArchError:
    """What is wrong at another size, where it is wrong."""
    message = f"at {sizes_text(sizes)}: {found.message}"
    notes = (*found.notes, f"it holds at {sizes_text(nominal(graph))}")
    return ArchError([replace(found, code="symbolic-size", message=message, notes=notes, help=HELP, fix=None)])


def _compare(graph: Graph, expected: Graph, there: Graph, sizes: Sizes) -> None:
    """Which layers there are, then what each is; where in the text it stands is no matter."""
    _compare_paths(graph, expected, there, sizes)
    for path, node in expected.nodes.items():
        found = there.nodes[path]
        if _without_place(found) != _without_place(node):
            raise _differs(node, _difference(node, found, sizes), graph)


def _compare_paths(graph: Graph, expected: Graph, there: Graph, sizes: Sizes) -> None:
    missing = (node for path, node in expected.nodes.items() if path not in there.nodes)
    extra = (node for path, node in there.nodes.items() if path not in expected.nodes)
    odd = next(missing, None) or next(extra, None)
    if odd is None:
        return
    here, others = len(expected.layers), len(there.layers)
    at_nominal, at_sizes = sizes_text(nominal(graph)), sizes_text(sizes)
    if here != others:
        raise _differs(odd, f"{_layers(here)} at {at_nominal}, {others} at {at_sizes}", graph)
    exists = at_nominal if odd.path in expected.nodes else at_sizes
    lacks = at_sizes if odd.path in expected.nodes else at_nominal
    raise _differs(odd, f"`{odd.path}` exists at {exists}, but not at {lacks}", graph)


def _layers(count: int) -> str:
    return "1 layer" if count == 1 else f"{count} layers"


def _without_place(node: Input | Layer) -> Input | Layer:
    span = Span(node.span.source, 0, 0)
    return replace(node, span=span, stack=()) if isinstance(node, Layer) else replace(node, span=span)


def _differs(node: Input | Layer, message: str, graph: Graph) -> ArchError:
    stack = node.stack if isinstance(node, Layer) else ()
    notes = (f"the network is drawn at {sizes_text(nominal(graph))}, where it is another one",)
    return error("symbolic-size", message, node.span, stack=stack, notes=notes, help=HELP)


def _difference(expected: Input | Layer, found: Input | Layer, sizes: Sizes) -> str:
    """What of a node differs, first of all its inputs, then its op, its weights, its results."""
    where = f"at {sizes_text(sizes)} `{found.path}`"
    if isinstance(expected, Input) or isinstance(found, Input) or expected.inputs != found.inputs:
        return f"{where} reads other tensors"
    if expected.op != found.op:
        return f"{where} is another layer: `{found.op.name}`{_settings(expected.op, found.op)}"
    if expected.weights != found.weights:
        return f"{where} has other weights"
    shown, theirs = (" and ".join(map(str, layer.output_types)) for layer in (expected, found))
    if shown != theirs:
        return f"{where} gives {theirs}, but what is known of it makes {shown}"
    return f"{where} stands elsewhere: in another `recur`, or in training only, or with the weights of another module"


def _settings(expected: Op, found: Op) -> str:
    """How the same op differs; of another one, there is nothing to compare."""
    if type(expected) is not type(found):
        return f", not `{expected.name}`"
    differing = (name for name in found.__dataclass_fields__ if getattr(expected, name) != getattr(found, name))
    return " with " + ", ".join(f"{name} = {getattr(found, name)}" for name in differing)
