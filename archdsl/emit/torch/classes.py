"""Parts of a network as classes: instances with the same text share one, with parameters where literals differ."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from archdsl.emit.torch.body import Body, Context, body
from archdsl.emit.torch.expression import REQUIRED, Argument, Call, Expr, Literal, Text, flat, rewrite
from archdsl.emit.torch.parameters import Parameter, Parameters, filler, known_values, slots, texts, varied_roles
from archdsl.emit.torch.sequence import is_named_sequence, is_sequence, sequential
from archdsl.emit.torch.spelling import class_name
from archdsl.emit.torch.structure import Node, beneath

Kind = tuple[str, ...]

#: Repeats of a group of layers are written as a loop from this number on; in a block used more than once from
#: two on, so that its instances differ in a number only.
SHORTEST_LOOP = 3


@dataclass(frozen=True, slots=True)
class Class:
    """A class of the generated file; literals in `modules` and `lines` are text by now."""

    name: str
    docstring: str | None
    parameters: tuple[Parameter, ...]
    body: Body


@dataclass
class Plan:
    """Classes in the order in which they need one another, and the constructor call of every instance."""

    context: Context
    classes: list[Class] = field(default_factory=list)
    calls: dict[str, Call] = field(default_factory=dict)
    taken: set[str] = field(default_factory=set)

    def construct(self, node: Node) -> Expr:
        """The constructor of a part: its class, or `nn.Sequential` for a label around a chain."""
        if _is_plain_sequence(node):
            return sequential(node, self.construct, SHORTEST_LOOP)
        return self.calls[node.path]


def plan(context: Context, root: Node, network: str) -> list[Class]:
    """All classes, each after those it uses, the network's last and under the name given."""
    result = Plan(context, taken={network})
    kinds = _kinds(root)
    for kind in kinds.in_order():
        _define(result, kind, kinds.nodes[kind], network)
    return result.classes


def _is_plain_sequence(node: Node) -> bool:
    return bool(node.path) and node.block is None and (is_sequence(node) or is_named_sequence(node))


@dataclass
class Kinds:
    """Parts that need a class, by what they are, and which kinds occur in which.

    A block is known by its name; a label by itself and the part it is in. Numbers at the end of labels do not
    count, so that `enc1` and `enc2` can share a class.
    """

    nodes: dict[Kind, list[Node]] = field(default_factory=dict)
    inner: dict[Kind, dict[Kind, None]] = field(default_factory=dict)

    def in_order(self) -> list[Kind]:
        """Each kind after those that occur in it."""
        done: dict[Kind, None] = {}

        def visit(kind: Kind) -> None:
            if kind in done:
                return
            for inner in self.inner.get(kind, {}):
                visit(inner)
            done[kind] = None

        visit(())
        return list(done)


def _kinds(root: Node) -> Kinds:
    kinds = Kinds({(): [root]})

    def visit(node: Node, owner: Kind) -> None:
        for part in _parts(node):
            kind = ("block", part.block) if part.block else (*owner, "label", _stem(part.label))
            kinds.nodes.setdefault(kind, []).append(part)
            kinds.inner.setdefault(owner, {})[kind] = None
            visit(part, kind)

    visit(root, ())
    return kinds


def _parts(node: Node) -> Iterator[Node]:
    """Parts directly inside that have classes, looking through chains that are written in place.

    Of several uses of a shared module, the first; it may lie in another part, which gets the module handed in.
    """
    seen: set[str] = set()
    for part in (found for step in node.steps() for found in (step.first or step, *step.shared.values())):
        if not part.is_module or part.module in seen or not beneath(part.module, node.module):
            continue
        seen.add(part.module)
        if _is_plain_sequence(part):
            yield from _parts(part)
        else:
            yield part


def _stem(label: str) -> str:
    return re.sub(r"[_\d]+$", "", label) or label


def _base_name(kind: Kind, nodes: Sequence[Node]) -> str:
    """The block's name; a label by itself, after the block that it is in."""
    if kind[-2] == "block":
        return kind[-1]
    labels = {node.label for node in nodes}
    label = labels.pop() if len(labels) == 1 else kind[-1]
    return f"{kind[1]}_{label}" if kind[0] == "block" else label


def _define(plan: Plan, kind: Kind, nodes: Sequence[Node], network: str) -> None:
    """Add the classes of one kind: one for each text that its instances have."""
    shortest = 2 if len(nodes) > 1 else SHORTEST_LOOP
    bodies = [body(plan.context, node, plan.construct, shortest) for node in nodes]
    groups: dict[object, list[int]] = {}
    for index, one in enumerate(bodies):
        groups.setdefault(_template(one) if len(bodies) > 1 else None, []).append(index)
    members = [[nodes[index] for index in indices] for indices in groups.values()]
    variants = [bodies[indices[0]] for indices in groups.values()]
    for indices, own, base in zip(groups.values(), members, _names(kind, members, variants), strict=True):
        name = class_name(base, "Block", plan.taken) if kind else network
        plan.taken.add(name)
        _add_class(plan, name, own, [bodies[index] for index in indices])


def _names(kind: Kind, members: Sequence[Sequence[Node]], variants: Sequence[Body]) -> list[str]:
    """Names for the variants of a kind: their own labels where those differ, else one with what tells them apart."""
    if not kind:
        return [""]
    labels = [_base_name(kind, nodes) for nodes in members]
    if len(set(labels)) == len(labels):
        return labels
    base = _base_name(kind, [node for nodes in members for node in nodes])
    return [base + suffix for suffix in _suffixes(variants)]


def _template(body: Body) -> object:
    """The text without its literals."""
    modules = tuple((name, _blank(module)) for name, module in body.modules)
    lines = tuple((line.method, line.target, _blank(line.value), line.training_only) for line in body.lines)
    return modules, body.arguments, body.methods, lines


def _blank(expr: Expr) -> str:
    return flat(rewrite(expr, lambda leaf: Text("?")))


def _suffixes(variants: Sequence[Body]) -> list[str]:
    """What tells the variants apart: the modules that only one has (`BasicDownsample`), else nothing."""
    if len(variants) == 1:
        return [""]
    names = [[name for name, _ in variant.modules if not name.isdecimal()] for variant in variants]
    common = set(names[0]).intersection(*names[1:])
    extra = ["_".join(["", *(word for word in words if word not in common)]) for words in names]
    telling = len(set(extra)) == len(extra) and max(map(len, extra)) < 30
    return [text if text != "_" else "" for text in extra] if telling else [""] * len(variants)


def _add_class(plan: Plan, name: str, nodes: Sequence[Node], bodies: Sequence[Body]) -> None:
    known = known_values(plan.context.graph, nodes)
    places = slots(bodies)
    found = Parameters(known, {module for module, _ in bodies[0].modules}, varied_roles(places))
    fill = filler(texts(found, places))
    modules = tuple((key, rewrite(module, fill)) for key, module in bodies[0].modules)
    lines = tuple(replace(line, value=rewrite(line.value, fill)) for line in bodies[0].lines)
    parameters = found.ordered()
    docstring = nodes[0].scope.docstring if nodes[0].path and nodes[0].scope else None
    plan.classes.append(Class(name, docstring, tuple(parameters), replace(bodies[0], modules=modules, lines=lines)))
    for index, node in enumerate(nodes):
        plan.calls[node.path] = Call(Text(name), tuple(_argument(p, index) for p in parameters))


def _argument(parameter: Parameter, index: int) -> Argument:
    value = Literal(parameter.values[index], parameter.name)
    if parameter.default is REQUIRED:
        return Argument(value)
    return Argument(value, parameter.name, parameter.default)
