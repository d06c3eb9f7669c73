"""The body of a part's `forward` as statements over tensors: one for each layer or inner part, then joined."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from archdsl.emit.torch.expression import (
    Argument,
    Call,
    Display,
    Expr,
    Join,
    Operand,
    Text,
    Var,
    apply,
    call,
    leaves,
    rewrite,
)
from archdsl.emit.torch.rules import Kind, in_place, is_fresh
from archdsl.emit.torch.spelling import METHODS, attribute, inside, variable
from archdsl.emit.torch.structure import MODULE, Node, beneath
from archdsl.graph.graph import Layer, TensorRef
from archdsl.language.diagnostics import error
from archdsl.ops.recurrence import SUFFIX, Recur, Steps

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
    loop: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """The method that is one step of a `recur`: its name, its arguments, and what it returns."""

    name: str
    arguments: dict[TensorRef, str]
    returns: tuple[TensorRef, ...]


@dataclass(slots=True)
class Content:
    """What a part consists of: its modules by name, and what its `forward` does.

    `same` maps the result of an op that changes nothing to the tensor it equals. `steps` are by the path of their
    `recur`, and `begun` what the loops that have begun start from.
    """

    modules: dict[str, Expr]
    statements: list[Statement]
    same: dict[TensorRef, TensorRef]
    steps: dict[str, Step] = field(default_factory=dict)
    begun: dict[str, Layer] = field(default_factory=dict)

    def resolve(self, ref: TensorRef) -> TensorRef:
        return self.same.get(ref, ref)


def content(node: Node, construct: Callable[[Node], Expr]) -> Content:
    """Read off the tree; `construct` gives the constructor of an inner part."""
    found = Content({}, [], {})
    for step in node.steps():
        if step.layer is not None and isinstance(step.layer.op, Steps):
            found.begun[step.path.removesuffix(SUFFIX)] = step.layer
        elif step.layer is not None and isinstance(step.layer.op, Recur):
            _add_loop(found, step.layer, found.begun[step.path])
        elif step.layer is not None:
            _add_layer(found, node, step, construct)
        else:
            _add_part(found, node, step, construct)
    return found


def _add_layer(found: Content, node: Node, step: Node, construct: Callable[[Node], Expr]) -> None:
    layer = step.layer
    assert layer is not None
    written = step.form
    module = None
    if layer.weights:
        assert written.module is not None
        _check_held(step)
        module = _module(node, step.module)
        _construct(found, node, step, construct)
    operands = [found.resolve(ref) for ref in layer.inputs]
    if written.call == Operand():
        found.same[TensorRef(layer.path)] = operands[0]
        return
    value = apply(written.call, module, tuple(map(Var, operands)))
    results = tuple(TensorRef(layer.path, index) for index in range(len(layer.output_types)))
    inputs = tuple(leaf.ref for leaf, _ in leaves(value) if isinstance(leaf, Var))
    kinds, ops = (written.kind,), (layer.op.name,)
    found.statements.append(Statement(results, value, inputs, layer.training_only, kinds, ops, layer.loop))


def _add_part(found: Content, node: Node, step: Node, construct: Callable[[Node], Expr]) -> None:
    _construct(found, node, step, construct)
    for first in step.shared.values():
        _construct(found, node, first, construct)
    arguments = tuple(Argument(_argument(found, node, ref)) for ref in step.takes)
    value = Call(_module(node, step.module), arguments)
    inputs = tuple(leaf.ref for leaf, _ in leaves(value) if isinstance(leaf, Var))
    found.statements.append(Statement(tuple(step.gives), value, inputs, step.training_only, loop=step.loop))


def _add_loop(found: Content, layer: Layer, begin: Layer) -> None:
    """`x, h, c = over_time(self._recur, x, (h, c))`; what the steps take from outside follows the states.

    Without states no step waits for another, and all run at once: `x = each(self._recur, x)`.
    """
    op = layer.op
    assert isinstance(op, Recur)
    returns = tuple(found.resolve(ref) for ref in layer.inputs)
    inner = needed([statement for statement in found.statements if statement.loop == layer.path], set(returns))
    stepping = [TensorRef(begin.path, index) for index in range(len(begin.output_types))]
    made = {*stepping, *(ref for statement in inner for ref in statement.results)}
    read = (*(ref for statement in inner for ref in statement.inputs), *returns)
    others = [ref for ref in dict.fromkeys(read) if ref not in made]
    name = _free(f"_{layer.path.rpartition('.')[2]}", {step.name for step in found.steps.values()})
    found.steps[layer.path] = Step(name, _names(stepping, op.states, others), returns)
    sequence, *first = (Var(found.resolve(ref)) for ref in begin.inputs)
    states = (Display(tuple(first), "()"),) if first else ()
    value = call("over_time" if first else "each", Text(f"self.{name}"), sequence, *states, *map(Var, others))
    inputs = tuple(leaf.ref for leaf, _ in leaves(value) if isinstance(leaf, Var))
    results = tuple(TensorRef(layer.path, index) for index in range(len(layer.output_types)))
    found.statements.append(Statement(results, value, inputs, layer.training_only, ops=("recur",), loop=layer.loop))


def _free(name: str, taken: set[str]) -> str:
    """`_recur`, or where a loop of another label has it already `_recur_2` and so on."""
    numbered = (f"{name}_{number}" for number in itertools.count(2))
    return next(each for each in itertools.chain((name,), numbered) if each not in taken)


def _names(stepping: list[TensorRef], states: tuple[str, ...], others: list[TensorRef]) -> dict[TensorRef, str]:
    """A step is `x`, states have their own names, and all else that of its path's end."""
    found: dict[TensorRef, str] = {}
    words = ["x", *states, *(ref.path.rpartition(".")[2] for ref in others)]
    for ref, word in zip((*stepping, *others), words, strict=True):
        found[ref] = variable(word if word.isidentifier() else "other", set(found.values()))
    return found


def _argument(found: Content, node: Node, ref: TensorRef) -> Expr:
    return _module(node, ref.path) if ref.index == MODULE else Var(found.resolve(ref))


def _construct(found: Content, node: Node, step: Node, construct: Callable[[Node], Expr]) -> None:
    """Make the step's module in this part, if it belongs here; the first use of a shared one says how."""
    name = step.module.removeprefix(f"{node.module}.") if node.module else step.module
    if beneath(step.module, node.module) and "." not in name and name not in found.modules:
        first = step.first or step
        made = construct(first) if first.layer is None else first.form.module
        assert made is not None
        found.modules[name] = made


def _check_held(step: Node) -> None:
    """Raise `ArchError` for a learned tensor under a name that only a module can have."""
    layer = step.layer
    assert layer is not None
    if layer.weights[0].name or (not step.label.isdecimal() and step.label not in METHODS):
        return
    message = f"`{layer.path}` cannot be written as PyTorch: `{step.label}` is no name for a parameter"
    raise error("torch-unsupported", message, layer.span, stack=layer.stack, help="put a label before it")


def _module(node: Node, path: str) -> Expr:
    """How this part's code calls the module whose weights lie at `path`."""
    if beneath(path, node.module):
        name, _, rest = path.removeprefix(f"{node.module}." if node.module else "").partition(".")
        return Text(attribute(name) + inside(rest))
    owner = next(ref for ref in node.takes if ref.index == MODULE and f"{path}.".startswith(f"{ref.path}."))
    return Join((Var(owner), Text(inside(path[len(owner.path) + 1 :]))))


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
    fresh = bool(before.ops) and is_fresh(before.kinds[-1], before.ops[-1])
    around = in_place(statement.value) if fresh else statement.value
    value = rewrite(around, lambda leaf: before.value if isinstance(leaf, Var) else leaf)
    kinds, ops = (*before.kinds, *statement.kinds), (*before.ops, *statement.ops)
    return Statement(statement.results, value, before.inputs, statement.training_only, kinds, ops, statement.loop)
