"""What can be said of a program without elaborating it, and of a graph without lowering it."""

from __future__ import annotations

from collections.abc import Iterator

from archdsl.graph.graph import Graph, Input, needed
from archdsl.language import syntax as s
from archdsl.language.diagnostics import ArchError, Diagnostic, Label
from archdsl.language.program import Program
from archdsl.ops import OPS


def refuse_recursion(program: Program) -> None:
    """Raise where a block contains itself, or has the name of an op."""
    found = [_named_like_op(block) for block in program.blocks.values() if block.name in OPS]
    done: set[str] = set()
    for start in {**program.networks, **program.blocks}:
        cycle = _cycle(start, program, done)
        if cycle:
            found.append(_recursive(cycle, program))
            break
    if found:
        raise ArchError(found)


def _named_like_op(block: s.Block) -> Diagnostic:
    message = f"`{block.name}` is an op of the language, so no block can have its name"
    return Diagnostic("duplicate-definition", message, block.name_span)


def _called(name: str, program: Program) -> Iterator[s.Call]:
    """What a block or network calls; a variant calls the network that it varies."""
    node = program.blocks.get(name) or program.networks[name]
    if isinstance(node, s.Variant):
        return iter((s.Call(node.base_span, node.base, node.base_span, None),))
    own = {*OPS, *(name for inner in walk((node.parameters, node.body)) for name in _bound(inner))}
    return (call for call in calls_in(node.body) if call.name not in own or call.name in program.blocks)


def _bound(node: s.Node) -> tuple[str, ...]:
    """Names that stand for something else than a network in the body around."""
    if isinstance(node, s.Results):
        return node.names
    return (node.name,) if isinstance(node, s.Let | s.Parameter | s.ModuleStatement | s.State) else ()


def _cycle(start: str, program: Program, done: set[str]) -> list[s.Call]:
    """Calls that lead from a block or network back to itself; an explicit stack, since programs may be deep."""
    trail: list[tuple[str, Iterator[s.Call], s.Call | None]] = [(start, _called(start, program), None)]
    while trail:
        name, calls, _ = trail[-1]
        call = next(calls, None)
        if call is None:
            done.add(name)
            trail.pop()
            continue
        names = [entry[0] for entry in trail]
        if call.name in names:
            inside = [entry[2] for entry in trail[names.index(call.name) + 1 :]]
            return [*(c for c in inside if c is not None), call]
        if call.name in {**program.blocks, **program.networks} and call.name not in done:
            trail.append((call.name, _called(call.name, program), call))
    return []


def _recursive(cycle: list[s.Call], program: Program) -> Diagnostic:
    name = cycle[-1].name
    through = " -> ".join([name, *(call.name for call in cycle)])
    labels = tuple(Label(call.name_span, f"`{call.name}` is entered here") for call in cycle[:-1])
    kind = "block" if name in program.blocks else "network"
    message = f"{kind} `{name}` contains itself: {through}"
    help = f"a {kind} is unrolled where it is used, so this would never end; use `repeat` for a fixed depth"
    return Diagnostic("recursive-block", message, cycle[-1].name_span, labels=labels, help=help)


def calls_in(node: object) -> Iterator[s.Call]:
    """Every call below a syntax node."""
    return (found for found in walk(node) if isinstance(found, s.Call))


def walk(node: object) -> Iterator[s.Node]:
    """Every syntax node below and including this one."""
    stack = [node]
    while stack:
        item = stack.pop()
        if isinstance(item, tuple):
            stack.extend(reversed(item))
        elif isinstance(item, s.Node):
            yield item
            stack.extend(getattr(item, name) for name in reversed(item.__dataclass_fields__) if name != "span")


def unused(program: Program) -> list[Diagnostic]:
    """Warnings about parameters, modules and blocks of the main file that nothing uses."""
    owners: list[s.Block | s.Network] = [
        *program.main.blocks,
        *(n for n in program.main.networks if isinstance(n, s.Network)),
    ]
    found = [d for owner in owners for d in (*_unused_parameters(owner), *_unused_modules(owner))]
    if not program.main.networks:
        return found
    called = {
        call.name for file in program.files for owner in (*file.blocks, *file.networks) for call in calls_in(owner)
    }
    for block in program.main.blocks:
        if block.name not in called:
            message = f"block `{block.name}` is never used"
            found.append(Diagnostic("unused-block", message, block.name_span, "warning"))
    return found


def _unused_parameters(owner: s.Block | s.Network) -> list[Diagnostic]:
    used = {
        node.name
        for node in walk((owner.body, owner.clauses if isinstance(owner, s.Network) else ()))
        if isinstance(node, s.Name | s.Call)
    }
    used |= {node.name for p in owner.parameters for node in walk((p.default, p.domain)) if isinstance(node, s.Name)}
    firsts = (node.parts[node.from_root] for node in walk(owner.body) if isinstance(node, s.Path))
    used |= {first for first in firsts if isinstance(first, str)}
    unused = [parameter for parameter in owner.parameters if parameter.name not in used]
    return [
        Diagnostic("unused-parameter", f"parameter `{p.name}` of `{owner.name}` is never used", p.span, "warning")
        for p in unused
    ]


def _unused_modules(owner: s.Block | s.Network) -> list[Diagnostic]:
    nodes = list(walk(owner.body))
    used = {node.name for node in nodes if isinstance(node, s.Name | s.Call)}
    declared = [node for node in nodes if isinstance(node, s.ModuleStatement) and node.name not in used]
    return [
        Diagnostic("unused-module", f"module `{m.name}` of `{owner.name}` is never used", m.name_span, "warning")
        for m in declared
    ]


def dead_ends(graph: Graph) -> list[Diagnostic]:
    """Warnings about inputs and last layers of stages that no output depends on.

    Of a network that is used inside this one, not everything need be used.
    """
    nested = tuple(f"{path}." for path, scope in graph.scopes.items() if scope.network)
    alive = needed(graph, {output.tensor.path for output in graph.outputs})
    read = {ref.path for layer in graph.layers for ref in layer.inputs}
    found: dict[object, Diagnostic] = {}
    for path, node in graph.nodes.items():
        if path in alive or path in read or path.startswith(nested):
            continue
        if isinstance(node, Input):
            diagnostic = Diagnostic("unused-input", f"no output depends on input `{path}`", node.span, "warning")
        else:
            message = f"no output depends on `{path}` ({node.op.name})"
            diagnostic = Diagnostic("unused-stage", message, node.span, "warning", stack=node.stack)
        found.setdefault(diagnostic.key, diagnostic)
    return list(found.values())
