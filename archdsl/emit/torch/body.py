"""One part of a network as the content of a class: constructors of its modules, and the lines of its `forward`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from archdsl.emit.torch.expression import Display, Expr, Join, Text, Var, rewrite, written
from archdsl.emit.torch.sequence import is_sequence, sequence
from archdsl.emit.torch.spelling import variable
from archdsl.emit.torch.statements import Content, Statement, content, joined, needed
from archdsl.emit.torch.structure import MODULE, Node, beginnings
from archdsl.emit.torch.variables import names
from archdsl.graph.graph import Graph, Layer, TensorRef
from archdsl.ops.recurrence import Steps


@dataclass(frozen=True, slots=True)
class Line:
    """`target = value`, or with `return` as the target; `shape` is of a value whose shape is worth a comment.

    It stands in `forward`, or in another `method`.
    """

    target: str
    value: Expr
    training_only: bool = False
    shape: str = ""
    method: str = "forward"

    @property
    def prefix(self) -> str:
        return "return " if self.target == "return" else f"{self.target} = "


@dataclass(frozen=True, slots=True)
class Method:
    """The head of a method; `arguments` are with their types."""

    name: str
    arguments: tuple[str, ...]
    returns: str


@dataclass(frozen=True, slots=True)
class Body:
    """The content of a class. In a sequence, `modules` are the arguments of `nn.Sequential` under no name.

    `arguments` are those of `forward` with their types.
    """

    modules: tuple[tuple[str, Expr], ...]
    arguments: tuple[str, ...] = ()
    lines: tuple[Line, ...] = ()
    returns: str = "Tensor"
    is_sequence: bool = False
    methods: tuple[Method, ...] = ()


@dataclass(frozen=True)
class Context:
    """The graph, and the labels that name each tensor, outermost first."""

    graph: Graph
    labels: dict[TensorRef, list[str]]


def context(graph: Graph) -> Context:
    labels = {ref: [name] for ref, name in graph.names.items()}
    for stage in sorted(graph.stages.values(), key=lambda stage: len(beginnings(stage.path))):
        labels.setdefault(stage.result, []).append(stage.path)
    return Context(graph, labels)


def body(context: Context, node: Node, construct: Callable[[Node], Expr], shortest: int) -> Body:
    """`construct` gives the constructor of an inner part; `shortest` is the number of repeats worth a loop."""
    if is_sequence(node):
        return Body(tuple(("", child) for child in sequence(node, construct, shortest)), is_sequence=True)
    found = content(node, construct)
    lines, arguments, absent = _forward(context, node, found)
    shown = _with_shapes(lines) if not node.path else [replace(line, shape="") for line in lines]
    returns = _network_type(context.graph) if not node.path else _part_type(node, absent)
    methods = [_method(context, node, found, loop) for loop in found.steps]
    shown += [line for _, lines in methods for line in lines]
    heads = tuple(method for method, _ in methods)
    return Body(tuple(found.modules.items()), arguments, tuple(shown), returns, methods=heads)


def _method(context: Context, node: Node, found: Content, loop: str) -> tuple[Method, list[Line]]:
    """One step of a `recur`."""
    step = found.steps[loop]
    own = [statement for statement in found.statements if statement.loop == loop]
    statements = joined(needed(own, set(step.returns)), set(step.returns))
    named, targets = names(statements, step.arguments, step.returns, _labels(context, node), {})
    lines = [_line(context, node, *pair, named) for pair in zip(statements, targets, strict=True)]
    lines.append(Line("return", Text(", ".join(named[ref] for ref in step.returns))))
    returns = f"tuple[{', '.join(['Tensor'] * len(step.returns))}]" if len(step.returns) > 1 else "Tensor"
    method = Method(step.name, _typed(step.arguments), returns)
    return method, [replace(line, shape="", training_only=False, method=step.name) for line in lines]


def _typed(arguments: dict[TensorRef, str]) -> tuple[str, ...]:
    return tuple(f"{name}: {'nn.Module' if ref.index == MODULE else 'Tensor'}" for ref, name in arguments.items())


def _forward(context: Context, node: Node, found: Content) -> tuple[list[Line], tuple[str, ...], list[TensorRef]]:
    """Lines and arguments, and what is None outside training."""
    returned = [found.resolve(ref) for ref in node.gives]
    own = [statement for statement in found.statements if statement.loop == node.loop]
    statements = joined(needed(own, set(returned)), set(returned))
    arguments = _arguments(node, context)
    absent, label = _absent(node, statements), _labels(context, node)
    fixed = _output_names(context, found) if not node.path else {ref: label(ref) or "extra" for ref in absent}
    named, targets = names(statements, arguments, returned, label, fixed)
    lines = [Line(named[ref], Text("None")) for ref in absent]
    lines += [_line(context, node, *pair, named) for pair in zip(statements, targets, strict=True)]
    ending = _outputs(context, found, named) if not node.path else _results(returned, named)
    return _with_return(lines, ending), _typed(arguments), absent


def _arguments(node: Node, context: Context) -> dict[TensorRef, str]:
    """Names of `forward`'s arguments: the network's inputs; else `x`, tensor parameters by their names, labels."""
    if not node.path:
        return {ref: variable(ref.path) for ref in node.takes}
    parameters = node.tensor_parameters()
    found: dict[TensorRef, str] = {}
    for ref in node.takes:
        own = parameters.get(ref) or (ref.path.rpartition(".")[2] if ref.index == MODULE else None)
        name = own or (_outside_label(context, ref) if "x" in found.values() else "x")
        found[ref] = variable(name, set(found.values()))
    return found


def _outside_label(context: Context, ref: TensorRef) -> str:
    """A label without its number, so that instances that take different tensors still look the same."""
    maker = context.graph.nodes[ref.path]
    if isinstance(maker, Layer) and isinstance(maker.op, Steps) and ref.index:
        return maker.op.states[ref.index - 1]
    path = next(iter(context.labels.get(ref, ())), ref.path)
    name = path.rpartition(".")[2].rstrip("0123456789").rstrip("_")
    return name if name.isidentifier() else "other"


def _labels(context: Context, node: Node) -> Callable[[TensorRef], str | None]:
    """The outermost label inside this part whose value the tensor is."""
    prefix = f"{node.path}." if node.path else ""

    def label(ref: TensorRef) -> str | None:
        inside = (path for path in context.labels.get(ref, ()) if path.startswith(prefix))
        words = (path.rpartition(".")[2] for path in inside)
        return next((word for word in words if word.isidentifier()), None)

    return label


def _line(context: Context, node: Node, statement: Statement, target: str, named: dict[TensorRef, str]) -> Line:
    value = rewrite(statement.value, lambda leaf: Text(named[leaf.ref]) if isinstance(leaf, Var) else leaf)
    kept = [ref for ref in statement.results if ref is not None]
    shape = ", ".join(str(context.graph.type_of(ref)) for ref in kept)
    guarded = statement.training_only and not (node.path and node.training_only)
    return Line(target, value, guarded, shape)


def _output_names(context: Context, found: Content) -> dict[TensorRef, str]:
    """With several outputs, each tensor is called what its output is; one inside a block has a path for a name."""
    outputs = context.graph.outputs
    inputs = {TensorRef(value.path) for value in context.graph.inputs}
    refs = {found.resolve(output.tensor): output.name.rpartition(".")[2] for output in reversed(outputs)}
    return {ref: name for ref, name in refs.items() if ref not in inputs} if len(outputs) > 1 else {}


def _outputs(context: Context, found: Content, named: dict[TensorRef, str]) -> list[Line]:
    """All outputs while training, the deployed ones otherwise; one alone is the tensor itself."""
    graph = context.graph
    values = {output.name: Text(named[found.resolve(output.tensor)]) for output in graph.outputs}
    deployed = {output.name: values[output.name] for output in graph.deployed_outputs}
    ending = [] if len(deployed) == len(values) else [Line("return", _dictionary(values), training_only=True)]
    single = len(deployed) == 1
    return [*ending, Line("return", next(iter(deployed.values())) if single else _dictionary(deployed))]


def _dictionary(values: dict[str, Text]) -> Expr:
    return Display(tuple(Join((Text(f"{written(name)}: "), value)) for name, value in values.items()), "{}")


def _results(returned: list[TensorRef], named: dict[TensorRef, str]) -> list[Line]:
    values = [named[ref] for ref in returned]
    return [Line("return", Text(", ".join(values)))]


def _absent(node: Node, statements: list[Statement]) -> list[TensorRef]:
    """What exists in training only, but is given out in any case: it is None otherwise."""
    if not node.path or node.training_only:
        return []
    made = [ref for statement in statements if statement.training_only for ref in statement.results]
    return [ref for ref in node.gives if ref in made]


def _part_type(node: Node, absent: list[TensorRef]) -> str:
    types = ["Tensor | None" if ref in absent else "Tensor" for ref in node.gives]
    return types[0] if len(types) == 1 else f"tuple[{', '.join(types)}]"


def _network_type(graph: Graph) -> str:
    deployed = "Tensor" if len(graph.deployed_outputs) == 1 else "dict[str, Tensor]"
    several = len(graph.outputs) > len(graph.deployed_outputs) and deployed == "Tensor"
    return "Tensor | dict[str, Tensor]" if several else deployed


def _with_return(lines: list[Line], ending: list[Line]) -> list[Line]:
    """`x = f(x)`, `return x` becomes `return f(x)`."""
    if not lines or len(ending) > 1:
        return [*lines, *ending]
    last, (final,) = lines[-1], ending
    if final.value != Text(last.target) or last.training_only:
        return [*lines, *ending]
    return [*lines[:-1], replace(final, value=last.value)]


def _with_shapes(lines: list[Line]) -> list[Line]:
    """Keep the shape only where it differs from the value before."""
    result, before = [], ""
    for line in lines:
        result.append(replace(line, shape="") if line.shape == before else line)
        before = before if line.training_only else line.shape
    return result
