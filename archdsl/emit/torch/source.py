"""A checked graph as self-contained PyTorch source: readable, tidy, and the same bytes every time."""

from __future__ import annotations

import ast
import itertools
from collections.abc import Iterator, Sequence

from archdsl.emit.torch import table
from archdsl.emit.torch.body import Line, Method, context
from archdsl.emit.torch.classes import Class, plan
from archdsl.emit.torch.expression import REQUIRED, Argument, Call, Text, flat, respelled, written
from archdsl.emit.torch.header import docstring, title
from archdsl.emit.torch.initial import initialization, initialization_helpers
from archdsl.emit.torch.layout import STEP, WIDTH, lines
from archdsl.emit.torch.loops import header, loops, renumbered
from archdsl.emit.torch.parameters import Parameter, annotation
from archdsl.emit.torch.spelling import attribute, class_name
from archdsl.emit.torch.structure import Node, tree
from archdsl.graph.graph import CheckedGraph

assert table.RULES


def torch_source(graph: CheckedGraph) -> str:
    """The network as a module of Python: a class for each block, the network's last, weights by their paths.

    Raises `ArchError` (`torch-no-rule`, `torch-unsupported`) for what PyTorch, or this text, cannot say.
    """
    root = tree(graph)
    helpers = _helpers(root) | initialization_helpers(graph)
    return _file(graph, plan(context(graph), root, network_class(graph)), helpers)


def network_class(graph: CheckedGraph) -> str:
    """Name of the network's class: `resnet50` is `Resnet50`."""
    return class_name(graph.name, "Network", set())


def _helpers(node: Node) -> dict[str, str]:
    """Source of the functions and classes that the layers call besides PyTorch's, by name."""
    own = node.form.helper if node.layer is not None else None
    found = {own.name: own.source} if own else {}
    for child in node.children.values():
        found |= _helpers(child)
    return found


def _file(graph: CheckedGraph, parts: Sequence[Class], helpers: dict[str, str]) -> str:
    starts: list[list[str]] = [*([] for _ in parts[1:]), initialization(graph)]
    classes = ("\n".join(_class(part, start)) for part, start in zip(parts, starts, strict=True))
    code = "\n\n\n".join([*helpers.values(), *classes])
    head = "\n".join(docstring(title(graph), 0))
    return f"{head}\n\n{_imports(code)}\n\n\n{code}\n"


def _imports(code: str) -> str:
    """Only what the code uses, in the order of the usual tools."""
    used = {node.id for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Name)}
    lines = {"torch": "import torch", "F": "import torch.nn.functional as F"}
    modules = [line for name, line in lines.items() if name in used]
    library = {"OrderedDict": "from collections import OrderedDict", "Callable": "from collections.abc import Callable"}
    standard = [line for name, line in library.items() if name in used]
    standard += [""] if standard else []
    names = ["Tensor", "nn"] if "Tensor" in used else ["nn"]
    return "\n".join([*standard, *modules, f"from torch import {', '.join(names)}"])


def _class(part: Class, initialization: list[str]) -> list[str]:
    """`initialization` is a further method, that `__init__` ends with."""
    numbered = any(name.isdecimal() for name, _ in part.body.modules)
    base = "nn.Sequential" if part.body.is_sequence else "nn.ModuleDict" if numbered else "nn.Module"
    sections = [docstring(part.docstring, STEP)] if part.docstring else []
    ending = [f"{' ' * 2 * STEP}self._initialize()"] if initialization else []
    sections += [[*_init(part), *ending]] if part.body.modules or part.parameters else []
    sections += [initialization] if initialization else []
    sections += [list(_method(part, method)) for method in part.body.methods]
    sections += [] if part.body.is_sequence else [list(_method(part, _forward(part)))]
    body = [line for section in sections for line in ("", *section)][1:]
    return [f"class {part.name}({base}):", *body]


def _init(part: Class) -> Iterator[str]:
    arguments = tuple(Argument(Text(text)) for text in ("self", *map(_parameter, part.parameters)))
    yield from lines("def ", Call(Text("__init__"), arguments), " -> None:", STEP)
    start = Text("super().__init__")
    if part.body.is_sequence:
        children = tuple(Argument(module) for _, module in part.body.modules)
        yield from lines("", Call(start, children, rows=True, exploded=len(children) > 2), "", 2 * STEP)
        return
    yield from lines("", Call(start, ()), "", 2 * STEP)
    stored = (parameter for parameter in part.parameters if parameter.attribute)
    yield from (f"{' ' * 2 * STEP}self.{parameter.attribute} = {parameter.name}" for parameter in stored)
    yield from _statements(part, [Line(attribute(name), module) for name, module in part.body.modules])


def _parameter(parameter: Parameter) -> str:
    default = "" if parameter.default is REQUIRED else f" = {written(parameter.default)}"
    return f"{parameter.name}: {annotation(parameter.values)}{default}"


def _forward(part: Class) -> Method:
    return Method("forward", part.body.arguments, part.body.returns)


def _method(part: Class, method: Method) -> Iterator[str]:
    arguments = tuple(Argument(Text(text)) for text in ("self", *method.arguments))
    yield from lines("def ", Call(Text(method.name), arguments), f" -> {method.returns}:", STEP)
    own = (line for line in part.body.lines if line.method == method.name)
    for training_only, group in itertools.groupby(own, lambda line: line.training_only):
        if training_only:
            yield f"{' ' * 2 * STEP}if self.training:"
        yield from _statements(part, list(group), (3 if training_only else 2) * STEP)


def _statements(part: Class, group: list[Line], indent: int = 2 * STEP) -> Iterator[str]:
    """The lines, with runs over numbered modules as loops."""
    arguments = (text.partition(":")[0] for text in part.body.arguments)
    used = {*arguments, *(p.name for p in part.parameters), *(line.target for line in part.body.lines)}
    variable = next(name for name in ("i", "j", "k", "index", "number") if name not in used)
    starts = {loop.start: loop for loop in loops([line.prefix + flat(line.value) for line in group])}
    position = 0
    while position < len(group):
        loop = starts.get(position)
        if loop is None:
            yield from _statement(group[position], indent)
            position += 1
            continue
        yield " " * indent + header(loop, variable)
        change = renumbered(loop, variable)
        for line in group[position : position + loop.period]:
            yield from lines(change(line.prefix), respelled(line.value, change), "", indent + STEP)
        position += loop.period * loop.count


def _statement(line: Line, indent: int) -> list[str]:
    """With the shape as a comment where there is room."""
    text = lines(line.prefix, line.value, "", indent)
    commented = f"{text[0]}  # {line.shape}"
    return [commented] if line.shape and len(text) == 1 and len(commented) <= WIDTH else text
