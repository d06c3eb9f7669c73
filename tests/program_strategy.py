"""Random valid programs over the whole language, for hypothesis: `@given(programs())`.

Types are tracked while a program is written, so that it is valid by construction: a refusal by the compiler is a
finding, but for what is `excused` in `program_checks`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from hypothesis import strategies as st
from program_ops import Draw, Value, chance, op_call, pick
from program_writer import Scope, Writer

from archdsl.ops.base import TensorType
from archdsl.ops.dims import Symbol, dim

RECIPES = (
    "optimizer: sgd(lr = 0.1, momentum = 0.9)", "schedule: steps(0.1, at = [30, 60])", "clip: norm(1)", "epochs: 90",
    "augmentation: [random_crop(4, pad = 1), horizontal_flip]", "loss: mse", "batch: 32", "optimizer: adam",
)  # fmt: skip
COMMENTS = ("# a comment", "#", '# with `quotes" and { brackets', "# é")
SHAPES = ((3, 6, 6), (4, 5, 7), (1, 8, 8), (2, 4, 4), (3, 4, 4, 4), (5, 6), (4, 4), (6,), (8,), (1,))


@dataclass(frozen=True)
class Program:
    """A program, and the lines of its network `main` that are labelled statements: (number, path)."""

    text: str
    stages: tuple[tuple[int, str], ...] = ()


@st.composite
def programs(draw: Draw) -> Program:
    """A file with a network `main`, and whatever blocks, networks and constants it needs."""
    writer = Writer(draw)
    scope = Scope(None)
    head = ['"""Drawn at random."""'] if chance(draw, 0.3) else []
    if chance(draw, 0.3):
        head.append("let width = 2 + 2")
        scope.numbers["width"] = 4
    parameters = _parameters(writer, scope)
    statements = _network(writer, scope)
    variants = (
        ["network other = main"] if not parameters or chance(draw, 0.5) else [f"network other = main({parameters})"]
    )
    brackets = f"({parameters})" if parameters else ""
    texts = [*head, *writer.items, *(variants if chance(draw, 0.2) else [])]
    texts.insert(pick(draw, (0, len(texts))), _laid_out(draw, f"network main{brackets} {{", statements))
    text = "\n\n".join(texts) + "\n"
    stages = tuple(
        (number, line.split(":")[0].strip())
        for number, line in enumerate(text.split("\n"))
        if line.startswith("    s") and line.split(":")[0].strip() in scope.seen and line.strip() in statements
    )
    return Program(text, stages)


def _parameters(writer: Writer, scope: Scope) -> str:
    if not writer.chance(0.3):
        return ""
    name, size = writer.name("p"), pick(writer.draw, (1, 2, 3))
    scope.numbers[name] = size
    return f"{name} = {size}"


def _network(writer: Writer, scope: Scope) -> list[str]:
    """Inputs, statements, outputs and what else a network's body holds."""
    draw = writer.draw
    lines = ["initialize weight = normal(std = 0.02), bias = zeros"] if writer.chance(0.2) else []
    more, value = _inputs(writer, scope)
    lines += more
    text, value = op_call(draw, value, writer.number(scope, value))
    lines.append(f"{text} -> tanh" if text == "skip" else text)
    for _ in range(pick(draw, range(1, 6))):
        text, value = writer.statement(scope, value, 0)
        lines.append(text)
    if writer.chance(0.2):
        lines += _training(writer, scope)
    if writer.chance(0.3):
        lines += _regions(writer)
        value = Value(TensorType((2, 6, 6)))
    for _ in range(pick(draw, (0, 0, 1, 2))):
        text, value = writer.chain(scope, value, 0, 2)
        lines.append(f"output {writer.name('out')}: {text}")
    if writer.chance(0.2):
        lines.append(
            f"train {{ {'; '.join(draw(st.lists(st.sampled_from(RECIPES), unique_by=_setting, max_size=3)))} }}"
        )
    return lines


def _setting(recipe: str) -> str:
    return recipe.split(":")[0]


def _inputs(writer: Writer, scope: Scope) -> tuple[list[str], Value]:
    """One to three inputs; the last is what flows on."""
    draw, lines = writer.draw, []
    value = Value(TensorType((1,)))
    for _ in range(pick(draw, (1, 1, 2, 3))):
        name = writer.name("x")
        kind = pick(draw, ("real", "real", "real", "real", "open", "tokens", "scalar", "number"))
        if kind == "tokens":
            count, width, steps = 5, pick(draw, (2, 4)), pick(draw, (3, 4))
            lines += [f"input {name}: int64 [{steps}]", f"embedding({count}, {width})"]
            value = Value(TensorType((steps, width)))
            continue
        if kind == "scalar":
            lines += [f"input {name}: int64 []", f"{pick(draw, ('', name + 'e: '))}embedding(5, 4)"]
            value = Value(TensorType((4,)))
            continue
        if kind == "number":
            value = scope.seen[name] = Value(TensorType(()), fresh=True)
            lines.append(f"input {name}: []")
            continue
        value, sizes = _open_sizes(draw, name) if kind == "open" else _sizes(writer, scope)
        mean = [0.5] * int(value.shape[0])
        preprocess = f" preprocess mean = {mean}" if len(value.shape) == 3 and chance(draw, 0.1) else ""
        lines.append(f"input {name}: {sizes}{preprocess}")
        scope.seen[name] = value
    return lines, value


def _sizes(writer: Writer, scope: Scope) -> tuple[Value, str]:
    shape = pick(writer.draw, SHAPES)
    return Value(TensorType(shape), fresh=True), "[" + ", ".join(map(writer.number(scope, None), shape)) + "]"


def _open_sizes(draw: Draw, name: str) -> tuple[Value, str]:
    height, width = f"{name}H".upper(), f"{name}W".upper()
    step = pick(draw, (1, 2, 4))
    low, high = 4, 12
    symbols = [Symbol(size, 8, low, high, step) for size in (height, width)]
    written = [f"{symbol.name}: {low} .. {high} by {step} = 8" for symbol in symbols]
    channels = pick(draw, (1, 2, 3))
    shape = (channels, *map(dim, symbols))
    return Value(TensorType(shape)), f"[{channels}, {', '.join(written)}]"


def _training(writer: Writer, scope: Scope) -> list[str]:
    found = [(path, seen) for path, seen in scope.seen.items() if seen.real]
    if not found:
        return []
    path, source = pick(writer.draw, found)
    text, _ = writer.chain(replace(scope, seen={}), source, 1, 2)
    return [f"aux: {{ {text} }} from @{path} training weight = 0.3"]


def _regions(writer: Writer) -> list[str]:
    """A small detector on inputs of its own: boxes of positive size, their scores, what lies under them."""
    draw, name = writer.draw, writer.name
    boxes, scores, image, rows = name("x"), name("x"), name("x"), pick(draw, (1, 3, 5))
    proper, size, low, kept = name("s"), name("t"), name("t"), name("s")
    lines = [
        f"input {image}: [2, 6, 6]",
        f"input {scores}: [{pick(draw, ('2, ', ''))}{rows}]",
        f"input {boxes}: [{rows}, 4]",
        f"{proper}: {{ slice(0, 2, axis = 2) as {low} -> abs -> scale(2, 0.5) as {size}; "
        f"concat(axis = 2) {{ {low}; add {{ {low}; {size} }} }} }}",
        f"output {kept}_o: {kept}: nms(@{proper}, @{scores}, iou = {pick(draw, (0.3, 0.5))}, max = 3)",
    ]
    pooled = pick(draw, ("roi_align(@{0}, @{1}, 2)", "roi_align(@{0}, @{1}, [2, 3], sampling = 1, aligned = true)",
                         "roi_pool(@{0}, @{1}, 2)"))  # fmt: skip
    lines.append(f"output {name('s')}_o: {pooled.format(image, proper)}")
    if chance(draw, 0.5):
        lines.append(f"output {name('s')}_o: box_decode(@{boxes}, @{proper}, clip = 1)")
    if chance(draw, 0.5):
        lines.append(f"output {name('s')}_o: anchors([2, 3], [3, 2], stride = 2) from @{image}")
    if chance(draw, 0.5):
        values, places = name("t"), name("t")
        lines.append(f"output {name('s')}_o: reduce_max(-1) -> topk(1) as {values}, {places} from @{boxes}")
        lines.append(f"output {name('s')}_o: take(@{proper}, {places})")
    lines.append(
        f"output {name('s')}_o: argmax({pick(draw, (1, -1))}{pick(draw, ('', ', keep = true'))}) from @{boxes}"
    )
    return [*lines, f"conv(2, 1) from @{image}"]


def _laid_out(draw: Draw, head: str, statements: list[str]) -> str:
    """The network with a statement on each line, and comments and empty lines here and there."""
    lines = [head]
    for statement in statements:
        if chance(draw, 0.1):
            lines.append("")
        if chance(draw, 0.1):
            lines.append("    " + pick(draw, COMMENTS))
        plain = "\n" not in statement and "->" in statement
        lines.append(f"    {statement}" + (f"    {pick(draw, COMMENTS)}" if plain and chance(draw, 0.1) else ""))
    return "\n".join([*lines, "}"])
