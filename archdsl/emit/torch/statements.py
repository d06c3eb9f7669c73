"""The body of a part's `forward` as statements over tensors: one for each layer or inner part, then joined."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from archdsl.emit.torch.expression import Argument, Call, Expr, Operand, Text, Var, apply, leaves, rewrite
from archdsl.emit.torch.rules import Kind
from archdsl.emit.torch.spelling import attribute
from archdsl.emit.torch.structure import Node, beneath
from archdsl.graph.graph import Layer, TensorRef
from archdsl.language.diagnostics import error

#: More calls inside one another than this are hard to read.
DEEPEST = 3


@dataclass(frozen=True, slots=True)
class Statement:
    """`results = value`; a result is None where nothing uses it.

    `inputs` are the tensors in the value, each as often as it is there; `kinds` and `ops` are of all that it joins.
    """

    results: tuple[TensorRef | None, ...]
    value: Expr
    inputs: tuple[TensorRef, ...]
    training_only: bool
    kinds: tuple[Kind, ...] = ("other",)
    ops: tuple[str, ...] = ()


@dataclass(slots=True)
class Content:
    """What a part consists of: its modules by name, and what its `forward` does.

    `same` maps the result of an op that changes nothing to the tensor it equals.
    """

    modules: dict[str, Expr]
    statements: list[Statement]
    same: dict[TensorRef, TensorRef]

    def resolve(self, ref: TensorRef) -> TensorRef:
        return self.same.get(ref, ref)


def content(node: Node, construct: Callable[[Node], Expr]) -> Content:
    """Read off the tree; `construct` gives the constructor of an inner part."""
    found = Content({}, [], {})
    for step in node.steps():
        if step.layer is not None:
            _add_layer(found, node, step)
        else:
            _add_part(found, node, step, construct)
    return found


def _add_layer(found: Content, node: Node, step: Node) -> None:
    layer = step.layer
    assert layer is not None
    written = step.form
    name = None
    if layer.weights:
        assert written.module is not None
        name = _name(node, step)
        found.modules.setdefault(name, written.module)
    operands = [found.resolve(ref) for ref in layer.inputs]
    if written.call == Operand():
        found.same[TensorRef(layer.path)] = operands[0]
        return
    value = apply(written.call, name and attribute(name), tuple(map(Var, operands)))
    results = tuple(TensorRef(layer.path, index) for index in range(len(layer.output_types)))
    inputs = tuple(leaf.ref for leaf, _ in leaves(value) if isinstance(leaf, Var))
    found.statements.append(Statement(results, value, inputs, layer.training_only, (written.kind,), (layer.op.name,)))


def _add_part(found: Content, node: Node, step: Node, construct: Callable[[Node], Expr]) -> None:
    name = _name(node, step)
    if name not in found.modules:
        found.modules[name] = construct(step)
    inputs = tuple(found.resolve(ref) for ref in step.takes)
    value = Call(Text(attribute(name)), tuple(Argument(Var(ref)) for ref in inputs))
    found.statements.append(Statement(tuple(step.gives), value, inputs, step.training_only))


def _name(node: Node, step: Node) -> str:
    """Name of the step's module in this part; raises `ArchError` if it is a module of another part."""
    name = step.module.removeprefix(f"{node.module}.") if node.module else step.module
    if beneath(step.module, node.module) and "." not in name:
        return name
    layer = next(_layers(step))
    message = f"`{step.path}` shares the weights of `{step.module}`, which belong to another part of the network"
    raise error("torch-unsupported", message, layer.span, stack=layer.stack)


def _layers(node: Node) -> Iterator[Layer]:
    if node.layer is not None:
        yield node.layer
    for child in node.children.values():
        yield from _layers(child)


def needed(statements: list[Statement], returned: set[TensorRef]) -> list[Statement]:
    """Statements that the results depend on; what nothing uses keeps its modules, but is not computed."""
    wanted, kept = set(returned), []
    for statement in reversed(statements):
        results = tuple(ref if ref in wanted else None for ref in statement.results)
        if any(results):
            kept.append(replace(statement, results=results))
            wanted.update(statement.inputs)
    return kept[::-1]


def joined(statements: list[Statement], returned: set[TensorRef]) -> list[Statement]:
    """Statements with activations, norms and convolutions written around the value they follow: `F.relu(conv(x))`."""
    uses = Counter(ref for statement in statements for ref in statement.inputs)
    result: list[Statement] = []
    for statement in statements:
        before = result[-1] if result else None
        if before is not None and _joins(before, statement, uses, returned):
            result[-1] = _around(before, statement)
        else:
            result.append(statement)
    return result


def _joins(before: Statement, statement: Statement, uses: Counter[TensorRef], returned: set[TensorRef]) -> bool:
    """Wrap the value before if nothing else needs it and the line stays one that a person would write."""
    (kind,) = statement.kinds
    (*rest, value) = before.results
    if kind == "other" or rest or value is None or statement.inputs != (value,):
        return False
    if uses[value] > 1 or value in returned or before.training_only != statement.training_only:
        return False
    if len(before.ops) >= DEEPEST or statement.ops[0] in before.ops:
        return False
    return kind != "core" or set(before.kinds) <= {"activation", "norm"}


def _around(before: Statement, statement: Statement) -> Statement:
    value = rewrite(statement.value, lambda leaf: before.value if isinstance(leaf, Var) else leaf)
    kinds, ops = (*before.kinds, *statement.kinds), (*before.ops, *statement.ops)
    return Statement(statement.results, value, before.inputs, statement.training_only, kinds, ops)
