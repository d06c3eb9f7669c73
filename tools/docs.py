"""Write docs/ops.md from the ops themselves: `python tools/docs.py`; `--check` only says whether the page is current.

Names, arguments, defaults and descriptions are the dataclasses' own. Every example is compiled, and what the page says
of it (shapes, weights, counts, the PyTorch and ONNX form) is what came out. Every counting formula is evaluated on its
examples and has to give the op's own count.
"""

from __future__ import annotations

import ast
import inspect
import math
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, Field, dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import archdsl
from archdsl.graph.evaluate import Place, evaluate
from archdsl.graph.graph import Layer
from archdsl.graph.values import Env, show
from archdsl.language.limits import Limits
from archdsl.language.parse import parse
from archdsl.language.source import Source
from archdsl.ops import OPS, activation
from archdsl.ops.base import Init, Op, TensorType, Weight, parameters, per_axis

PAGE = Path(__file__).parents[1] / "docs" / "ops.md"


#: Files of ops in the order of the page; others come after them.
ORDER = "convolution linear pooling normalization activation shaping resampling channels merge".split()


def families() -> list[ModuleType]:
    """The files of ops."""
    modules = {cls.__module__.rpartition(".")[2]: sys.modules[cls.__module__] for cls in OPS.values()}
    return [modules[name] for name in (*ORDER, *sorted(modules.keys() - set(ORDER))) if name in modules]


#: What an argument may be, by the kind of its field.
KINDS = {
    "count": "whole number, 1 or more",
    "natural": "whole number, 0 or more",
    "integer": "whole number",
    "number": "number",
    "flag": "`true` or `false`",
    "sizes": "whole number, 1 or more, or a list",
    "naturals": "whole number, 0 or more, or a list",
    "window": "whole number, 1 or more, a list, or `global`",
    "scales": "number above 0, or a list",
    "padding": "whole number, 0 or more, a list, or a [padding word](language/expressions.md#padding)",
    "integers": "list of whole numbers",
    "table": "list of lists of whole numbers, 0 or more",
    "choice": "one of its words",
    "init": "[scheme](language/weights.md#initialization)",
    "axis": "axis number",
    "axes": "axis number, or a list of them",
}

#: Arguments that take less than their kind does.
KINDS_HERE = {("pad", "amount"): "whole number, 0 or more, or a list"}

INTRODUCTION = """\
<!-- written by tools/docs.py from archdsl/ops; do not edit -->
# Ops

{count} ops, as they are now. [language.md](language.md) says how they are combined.

{index}

## How to read an entry

**Signature.** Arguments in positional order; each can be given by name too. `name = value` shows the default. An
argument in `[ ]` may be left out; its description says what holds then. A list of sizes has one number for each spatial
axis; a single number holds for all of them.

**Shapes** leave the batch out: a vector is `[F]`, a sequence `[T, F]` or `[C, L]`, an image `[C, H, W]`, a volume
`[C, D, H, W]`. Axis numbers count the batch as 0, so 1 is the channels and -1 the last axis.

**Cost** is for one sample. MACs are multiply-accumulates without biases. Operations are everything else, and
FLOPs = 2 * MACs + operations. Each formula stands beside its value for the example. In it,

| letter | means |
| --- | --- |
| `I`, `O` | elements of the input, of the output |
| `C` | input channels: the size of axis 1 |
| `F` | size of the input's last axis |
| `K` | kernel sizes multiplied; with `global`, the sizes of all spatial axes multiplied |
| `n` | number of inputs |
| `R` | size of axis 1 of the last input: its number of boxes |

and other names are the op's arguments.

**PyTorch** is what `archdsl torch` writes for the example, **ONNX** the operators that `archdsl export` writes for it
at opset 17, and at opset 20 where those differ.

**Labels.** An op that *can own weights* gives its name to the label before it, also before weight-free layers
([Labels and paths](language/bodies.md#labels-and-paths)).
"""


@dataclass(frozen=True)
class Example:
    """A use of an op, further uses, and the formulas that are tried on all of them; see tools/op_examples.toml."""

    call: str
    inputs: Sequence[Sequence[int]] | Mapping[str, str] = ((8, 16, 16),)
    before: str = ""
    macs: str = "0"
    operations: str = "0"
    others: Sequence[str] = ()


def read_examples() -> dict[str, Example]:
    """The examples of tools/op_examples.toml by op."""
    tables = tomllib.loads((Path(__file__).parent / "op_examples.toml").read_text("utf-8"))
    unknown = tables.keys() - OPS.keys()
    if unknown:
        raise ValueError(f"op_examples.toml has examples of {', '.join(sorted(unknown))}, which are no ops")
    return {name: Example(**table) for name, table in tables.items()}


EXAMPLES = read_examples()


def example_of(name: str) -> Example:
    """The op's example; a plain use, one operation an element, for activations without an entry of their own."""
    if name not in EXAMPLES and name not in members(activation):
        raise ValueError(f"op_examples.toml has no example of `{name}`")
    return EXAMPLES.get(name, Example(name, operations="O"))


# Compiling ------------------------------------------------------------------------------------------------------------


def program(call: str, example: Example) -> str:
    """A network that applies the op to the example's inputs; a merge gets one branch for each."""
    types = _input_types(example.inputs)
    inputs = [f"    input {name}: {type}" for name, type in types.items()]
    merge = OPS[call.partition("(")[0]].combinator
    use = f"{call} {{ {'; '.join(f'@{name}' for name in types)} }}" if merge else call
    before = [f"    {example.before}"] if example.before else []
    return "\n".join(["network example {", *inputs, *before, f"    y: {use}", "}"])


def _input_types(inputs: Sequence[Sequence[int]] | Mapping[str, str]) -> dict[str, str]:
    """The inputs' types by name: `x` for one that has no name, else `a`, `b` ..."""
    if isinstance(inputs, Mapping):
        return dict(inputs)
    names = ["x"] if len(inputs) == 1 else [chr(ord("a") + index) for index in range(len(inputs))]
    return {name: f"[{', '.join(map(str, shape))}]" for name, shape in zip(names, inputs, strict=True)}


def compiled(text: str) -> archdsl.Network:
    """The network of a text."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "example.arch"
        path.write_text(text, "utf-8")
        return archdsl.load(path)


def last_layer(network: archdsl.Network) -> Layer:
    """The layer of the op itself, after those that its example needs."""
    return network.checked.layers[-1]


def counts(layer: Layer) -> tuple[int, int]:
    """MACs and other operations by the op's own rules."""
    op, inputs, outputs = layer.op, layer.input_types, layer.output_types
    return op.macs(inputs, outputs), op.elementwise_ops(inputs, outputs)


# Formulas -------------------------------------------------------------------------------------------------------------


def value(formula: str, layer: Layer) -> object:
    """A formula's value on a layer."""
    let = parse(Source("formula", f"let value = {formula}"), Limits()).lets[0]
    return evaluate(let.value, Place(Env(letters(layer)), None, lambda path: None, Limits()))


def letters(layer: Layer) -> dict[str, object]:
    """What the names in a formula mean on a layer."""
    first = layer.input_types[0]
    arguments = {field.name: getattr(layer.op, field.name) for field in parameters(type(layer.op))}
    return {
        **arguments,
        "I": first.elements,
        "O": layer.output_types[0].elements,
        "C": first.shape[0],
        "F": first.shape[-1],
        "K": area(layer.op, first),
        "R": layer.input_types[-1].shape[0],
        "n": len(layer.inputs),
    }


def area(op: Op, value: TensorType) -> int:
    """The kernel's sizes multiplied, 1 where there is no kernel."""
    kernel = getattr(op, "kernel", 1)
    sizes = value.spatial if kernel == "global" else per_axis(kernel, len(value.spatial), "kernel")
    return math.prod(sizes)


def check_formulas(name: str) -> None:
    """Raise where a formula gives another count than the op, on any of the examples."""
    example = example_of(name)
    for call in (example.call, *example.others):
        layer = last_layer(compiled(program(call, example)))
        stated = (value(example.macs, layer), value(example.operations, layer))
        if stated != counts(layer):
            raise ValueError(f"`{call}`: the formulas give {stated}, the op counts {counts(layer)}")


# The PyTorch and ONNX forms -------------------------------------------------------------------------------------------


def torch_form(network: archdsl.Network) -> str:
    """The module that the generated class holds, else the expression in its `forward`."""
    example = ast.parse(network.torch_source()).body[-1]
    statements = [node for node in ast.walk(example) if isinstance(node, ast.Assign | ast.Return)]
    modules = [node for node in statements if ast.unparse(node).startswith("self.")]
    values = modules or [node for node in statements if not isinstance(node.value, ast.Name)]
    return ast.unparse(values[-1].value) if values and values[-1].value else "x"


def onnx_form(network: archdsl.Network) -> str:
    """Operators at opset 17, and at 20 where those are others."""
    old, new = (_operators(network, opset) for opset in (17, 20))
    if not old:
        return "left out, since it does nothing at inference"
    return old if old == new else f"{old}; at opset 20 {new}"


def _operators(network: archdsl.Network, opset: int) -> str:
    nodes = network.onnx(opset=opset).graph.node
    kinds = [node.op_type for node in nodes if not node.name.endswith("/identity")]
    return ", ".join(f"`{kind}`" for kind in dict.fromkeys(kinds))


# The page -------------------------------------------------------------------------------------------------------------


def page() -> str:
    """The whole page."""
    parts = [INTRODUCTION.format(count=len(OPS), index="\n".join(index()))]
    for module in families():
        parts += [f"## {title(module)}\n\n{first_paragraph(module)}\n"]
        parts += [entry(name) for name in members(module)]
    return "\n".join(parts)


def title(module: ModuleType) -> str:
    """A family's heading."""
    return module.__name__.rpartition(".")[2].capitalize()


def members(module: ModuleType) -> list[str]:
    """Ops of a family in the order of its file."""
    return [name for name, cls in OPS.items() if cls.__module__ == module.__name__]


def first_paragraph(documented: object) -> str:
    """What the documentation of a module or class begins with."""
    return (inspect.getdoc(documented) or "").partition("\n\n")[0]


def index() -> Iterator[str]:
    """One line for each family."""
    for module in families():
        links = ", ".join(f"[`{name}`](#{name})" for name in members(module))
        yield f"- **{title(module)}**: {links}"


def entry(name: str) -> str:
    """An op's part of the page; its heading is its name."""
    check_formulas(name)
    cls = OPS[name]
    example = example_of(name)
    text = program(example.call, example)
    parts = [f"### {name}", f"`{signature(name, cls)}`", inspect.cleandoc(cls.__doc__ or "")]
    parts += [_operands(cls)] if len(cls.operands) > 1 else []
    parts += ["\n".join(argument_table(cls))] if parameters(cls) else []
    parts += [f"```arch\n{text}\n```", "\n".join(facts(cls, example, compiled(text)))]
    return "\n\n".join(parts) + "\n"


def signature(name: str, cls: type[Op]) -> str:
    """The call with its defaults; a merge with its branches."""
    arguments = ", ".join(_argument(field) for field in parameters(cls))
    call = f"{name}({arguments})" if arguments else name
    return f"{call} {{ branches }}" if cls.combinator else call


def _argument(field: Field[Any]) -> str:
    if field.default is MISSING:
        return field.name
    return f"[{field.name}]" if field.default is None else f"{field.name} = {default(field)}"


def default(field: Field[Any]) -> str:
    """The default as the language writes it."""
    if isinstance(field.default, Init):
        return field.default.scheme
    return str(field.default) if field.metadata["kind"] == "choice" else show(field.default)


def argument_table(cls: type[Op]) -> Iterator[str]:
    """What each argument is and means."""
    yield "| argument | is | default | meaning |"
    yield "| --- | --- | --- | --- |"
    for field in parameters(cls):
        given = "required" if field.default is MISSING else "" if field.default is None else f"`{default(field)}`"
        yield f"| `{field.name}` | {kind(cls, field)} | {given} | {field.metadata['doc']} |"


def kind(cls: type[Op], field: Field[Any]) -> str:
    """What an argument may be."""
    choices = ", ".join(f"`{word}`" for word in field.metadata["choices"])
    return choices or KINDS_HERE.get((cls.name, field.name)) or KINDS[field.metadata["kind"]]


def facts(cls: type[Op], example: Example, network: archdsl.Network) -> Iterator[str]:
    """What came of the example."""
    layer = last_layer(network)
    macs, operations = counts(layer)
    before, after = (", ".join(f"`{value}`" for value in types) for types in (layer.input_types, layer.output_types))
    yield f"- Shapes: {before} -> {after}" + _results(layer)
    if layer.weights:
        yield "- Weights: " + ", ".join(map(_weight, layer.weights))
    elif cls.weighted:
        yield "- Weights: none here; the op can own weights"
    yield f"- Cost: {_count(macs, example.macs, 'MACs')}, {_count(operations, example.operations, 'operations')}"
    yield f"- PyTorch: `{torch_form(network)}`"
    yield f"- ONNX: {onnx_form(network)}"


def _weight(weight: Weight) -> str:
    name = f"`{weight.name}`" if weight.name else "under the label itself"
    return f"{name} {list(weight.shape)}{'' if weight.trainable else ' (buffer)'}"


def _results(layer: Layer) -> str:
    names = [f"`{name}`" for name in layer.op.results(layer.input_types)]
    listed = f"{', '.join(names[:2])}{', ...' if len(names) > 2 else ''}"
    return f" (results {listed})" if names else ""


def _operands(cls: type[Op]) -> str:
    """Which tensors it reads, where there are several."""
    required = len(cls.operands) - cls.optional_operands
    names = [f"`{name}`" if i < required else f"`{name}` (may be left out)" for i, name in enumerate(cls.operands)]
    return f"Reads {', '.join(names)}."


def _count(number: int, formula: str, what: str) -> str:
    return f"no {what}" if formula == "0" else f"{number:,} {what} = `{formula}`"


def main(arguments: Sequence[str]) -> int:
    """Write the page, or with `--check` compare it; 1 where it is not current."""
    text = page()
    if "--check" not in arguments:
        PAGE.write_text(text, "utf-8")
        return 0
    if PAGE.exists() and PAGE.read_text("utf-8") == text:
        return 0
    print(f"{PAGE} is not current: run `python tools/docs.py`", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
