"""Random elements, chains and bodies around a value of known type, with blocks and networks on demand."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from program_idioms import IDIOMS, POINTWISE, Site
from program_ops import LARGEST, Draw, Value, chance, op_call, pick

from archdsl.ops.base import TensorType

DEEPEST = 3
MOST_AXES = 4  # of a sample: channels and three of space


@dataclass
class Scope:
    """What may be named at one place: tensors by path, numbers and modules by name, and what `in` is there."""

    inside: Value | None
    seen: dict[str, Value] = field(default_factory=dict)
    numbers: dict[str, int] = field(default_factory=dict)
    modules: dict[str, tuple[Value, Value]] = field(default_factory=dict)
    prefix: str = ""
    labels: bool = True  # whether labels and modules are possible; in what is repeated they would clash


@dataclass(frozen=True)
class Part:
    """A block or network that was written: what it takes, what to write between its brackets, and what it gives."""

    name: str
    given: Value
    arguments: str
    result: Value
    inner: dict[str, Value]
    other: Value | None = None  # its tensor parameter


class Writer:
    """One program being written. Everything random is drawn through `draw`, so that failures shrink."""

    def __init__(self, draw: Draw) -> None:
        self.draw = draw
        self.count = itertools.count(1)
        self.items: list[str] = []
        self.parts: list[Part] = []
        self.budget = 24  # elements that may still be written

    def name(self, letter: str) -> str:
        return f"{letter}{next(self.count)}"

    def pick(self, *options: object) -> object:
        return pick(self.draw, options)

    def chance(self, share: float) -> bool:
        return chance(self.draw, share)

    # Expressions ------------------------------------------------------------------------------------------------------

    def number(self, scope: Scope, value: Value | None) -> Callable[[int], str]:
        """A writer of whole numbers as expressions of what is known in the scope."""

        def write(size: int) -> str:
            if not self.chance(0.25):
                return str(size)
            options = [name for name, known in scope.numbers.items() if known == size]
            options += [f"{name} + {size - known}" for name, known in scope.numbers.items() if known < size]
            options += [
                f"{size * 2} // 2",
                f"{size + 1} - 1",
                f"max({size}, 0)",
                f"[{size}, 7][0]",
                f"len(range({size}))",
            ]
            options += [f'{{"a": {size}}}["a"]', f"{size} if true else 3", f"sum([1, {size - 1}])", f"1 * ({size})"]
            if value is not None and len(value.shape) >= 3 and not value.open:
                channels = value.shape[0]
                options += [f"in.channels + {size - channels}"] if size > channels else []
                options += ["in.channels"] * (size == channels) + [f"in.channels // {channels} * {size}"]
            return str(pick(self.draw, options))

        return write

    def condition(self, scope: Scope, value: Value) -> tuple[str, bool]:
        known = [(f"{name} == {number}", True) for name, number in scope.numbers.items()]
        known += [("true", True), ("not true", False), ("1 < 2 <= 2", True), ("3 in [1, 2] or false", False)]
        if len(value.shape) >= 3:
            known.append((f"in.channels > {int(value.shape[0])}", False))
        return pick(self.draw, known)

    # Elements ---------------------------------------------------------------------------------------------------------

    def element(self, scope: Scope, value: Value, depth: int) -> tuple[str, Value]:
        self.budget -= 1
        kind = self.draw_kind() if depth < DEEPEST and self.budget > 0 and value.real else "op"
        if value.open and kind in ("idiom", "recur", "each", "part", "module"):
            kind = "op"
        before = dict(scope.seen)
        found = getattr(self, f"_{kind}")(scope, value, depth) if kind != "op" else None
        if found is None:
            _restore(scope, before)
        return found or op_call(self.draw, value, self.number(scope, value))

    def draw_kind(self) -> str:
        kinds = (
            ["op"] * 16 + ["idiom"] * 5 + ["merge"] * 3 + ["braces", "part", "part", "repeat", "loop", "conditional"]
        )
        return str(pick(self.draw, [*kinds, "ternary", "recur", "each", "reference", "module"]))

    def _idiom(self, scope: Scope, value: Value, depth: int) -> tuple[str, Value] | None:
        site = Site(self.draw, lambda: self.name("t"), value, scope.labels)
        found = pick(self.draw, IDIOMS if value.shape else POINTWISE)(site)
        if found is None or math.prod(found[1].shape) > LARGEST:
            return None
        return found

    def _braces(self, scope: Scope, value: Value, depth: int) -> tuple[str, Value]:
        text, result = self.body(scope, value, depth + 1, 2)
        return f"{{ {text} }}", result

    def _reference(self, scope: Scope, value: Value, depth: int) -> tuple[str, Value] | None:
        alike = [(path, seen) for path, seen in scope.seen.items() if seen.real]
        if scope.inside is not None and scope.inside.real:
            alike.append(("", scope.inside))
        if not alike:
            return None
        path, found = pick(self.draw, alike)
        return (f"@{path}" if path else "in"), found

    def _merge(self, scope: Scope, value: Value, depth: int) -> tuple[str, Value] | None:
        word = str(self.pick("add", "mul", "max", "concat"))
        first, target = self.branch(scope, value, depth)
        if not target.real or not target.shape:
            return None
        branches = [first]
        for _ in range(pick(self.draw, (1, 1, 2))):
            before = dict(scope.seen)
            text, result = ("skip", value) if self.chance(0.3) else self.branch(scope, value, depth)
            fitted = self.fit(result, target)
            if fitted is None:
                _restore(scope, before)
            else:
                branches.append(f"{{ {text}{fitted} }}" if fitted else text)
        if word != "concat":
            return f"{word} {{ {'; '.join(branches)} }}", Value(target.type)
        axis = pick(self.draw, range(len(target.shape)))
        size = target.shape[axis] * len(branches)
        shape = (*target.shape[:axis], size, *target.shape[axis + 1 :])
        if math.prod(map(int, shape)) > LARGEST:
            return None
        brackets = "" if axis == 0 and self.chance(0.5) else f"(axis = {axis + 1})"
        return f"concat{brackets} {{ {'; '.join(branches)} }}", Value(TensorType(shape))

    def branch(self, scope: Scope, value: Value, depth: int) -> tuple[str, Value]:
        text, result = self.chain(scope, value, depth + 1, 2)
        return f"{{ {text} }}", result

    def _repeat(self, scope: Scope, value: Value, depth: int) -> tuple[str, Value] | None:
        inner = replace(scope, labels=False)
        text, result = self.chain(inner, value, depth + 1, 2)
        fitted = self.fit(result, value)
        if fitted is None:
            return None
        times = self.number(scope, value)(pick(self.draw, (1, 2)))
        return f"repeat {times} {{ {text}{fitted} }}", Value(value.type)

    def _loop(self, scope: Scope, value: Value, depth: int) -> tuple[str, Value] | None:
        i, w = self.name("i"), self.name("w")
        if len(value.shape) < 3:
            if not value.shape or value.open:
                return None
            widths = pick(self.draw, ("[3, 2]", "{3: 0.5, 2: 1}", "range(1, 3)"))
            heads = {"{3: 0.5, 2: 1}": f"for {w}, {i} in {widths} {{ linear({w}) -> scale({i}) }}"}
            label = f"l{{{i}}}_{i}: " if scope.labels else ""
            text = heads.get(widths, f"for {i}, {w} in {widths} {{ {label}linear({w}) -> tanh }}")
            return text, Value(TensorType((*value.shape[:-1], 2)))
        channels = int(value.shape[0])
        label = f"c{{{i}}}_{w}: " if self.chance(0.5) and scope.labels else ""
        text = f"for {i}, {w} in [1, 3] {{ {label}conv({channels}, {w}, pad = {w} // 2) -> relu }}"
        return text, Value(value.type)

    def _ternary(self, scope: Scope, value: Value, depth: int) -> tuple[str, Value]:
        condition, holds = self.condition(scope, value)
        text, result = op_call(self.draw, value, self.number(scope, value))
        other, _ = op_call(self.draw, value, str)
        return f"{text} if {condition} else {other}" if holds else f"{other} if {condition} else {text}", result

    def _conditional(self, scope: Scope, value: Value, depth: int) -> tuple[str, Value]:
        condition, holds = self.condition(scope, value)
        other, _ = op_call(self.draw, value, str)
        text, result = self.chain(scope, value, depth + 1, 2)
        if holds:
            return f"if {condition} {{ {text} }}" + (f" else {{ {other} }}" if self.chance(0.5) else ""), result
        return f"if {condition} {{ {other} }} else {{ {text} }}", result

    def _recur(self, scope: Scope, value: Value, depth: int) -> tuple[str, Value] | None:
        if len(value.shape) < 2 or value.shape[0] > 8 or not scope.labels:  # a state names a stage
            return None
        state, units = self.name("h"), pick(self.draw, (1, 2, 3))
        step = Value(TensorType(value.shape[1:]))
        inner = Scope(step, dict(scope.seen), dict(scope.numbers), labels=False)
        text, result = self.chain(inner, step, depth + 1, 2)
        fitted = self.fit(result, Value(TensorType((units,))))
        if fitted is None:
            return None
        last, out = self.chain(inner, Value(TensorType((units,))), depth + 1, 2) if self.chance(0.4) else ("", None)
        out = out or Value(TensorType((units,)))
        if not out.real or len(out.shape) > MOST_AXES - 1 or math.prod(out.shape) * value.shape[0] > LARGEST:
            return None
        begin = f"zeros({units})" if self.chance(0.6) else f"{{ flatten -> linear({units}) }}"
        mixed = f"{state} = add {{ {{ {text}{fitted} }}; {{ {state} -> linear({units}) }} }} -> tanh"
        body = f"{mixed}; {last}" if last else mixed
        text = f"recur over time with {state} = {begin} {{ {body} }}"
        return text, Value(TensorType((value.shape[0], *out.shape)))

    def _each(self, scope: Scope, value: Value, depth: int) -> tuple[str, Value] | None:
        """A recurrence without states."""
        if len(value.shape) < 2 or value.open or value.shape[0] > 8:
            return None
        step = Value(TensorType(value.shape[1:]))
        text, out = self.chain(Scope(step, dict(scope.seen), dict(scope.numbers), labels=False), step, depth + 1, 2)
        if not out.real or len(out.shape) > MOST_AXES - 1 or math.prod(out.shape) * value.shape[0] > LARGEST:
            return None
        return f"recur over time {{ {text} }}", Value(TensorType((value.shape[0], *out.shape)))

    def _module(self, scope: Scope, value: Value, depth: int) -> tuple[str, Value] | None:
        fits = [(name, out) for name, (given, out) in scope.modules.items() if given.type == value.type]
        return pick(self.draw, fits) if fits else None

    def _part(self, scope: Scope, value: Value, depth: int) -> tuple[str, Value] | None:
        found = self.part(value, depth)
        return None if found is None else (self.call(found, scope, value), found.result)

    def call(self, part: Part, scope: Scope, value: Value) -> str:
        if part.other is None:
            return part.name + part.arguments
        path = next((path for path, seen in scope.seen.items() if seen.type == part.other.type), None)
        tensor = f"@{path}" if path else "in"
        return f"{part.name}({', '.join(filter(None, (part.arguments[1:-1], f'other = {tensor}')))})"

    def part(self, value: Value, depth: int) -> Part | None:
        """A block or a network for such values: one that was written before, or a new one."""
        fits = [part for part in self.parts if part.given.type == value.type]
        if fits and self.chance(0.5):
            return pick(self.draw, fits)
        if self.budget < 4 or depth >= 2 or not value.shape:
            return None
        return self.new_network(value, depth) if self.chance(0.3) else self.new_block(value, depth)

    def new_block(self, value: Value, depth: int) -> Part:
        name, n, m = self.name("block"), self.name("n"), self.name("m")
        known = {n: pick(self.draw, (1, 2, 4)), m: pick(self.draw, (2, 3))}
        given = Value(value.type)
        other = given if self.chance(0.3) else None
        scope = Scope(given, numbers=dict(known))
        text, result = self.body(scope, given, depth + 1, 3)
        if other is not None and result.real and self.fit(result, given) is not None:
            text += f"; skip{self.fit(result, given)}; add {{ skip; @other }}"
            result = given
        other_text = ", other: tensor" if other is not None else ""
        domain = pick(self.draw, ("", ": 1 .. 8", f": one of [{known[m]}, 9]"))
        self.items.append(f"block {name}({n}{other_text}, {m}{domain} = {known[m]}) {{\n    {text}\n}}")
        arguments = pick(self.draw, (f"({known[n]})", f"({n} = {known[n]})", f"({n} = {known[n]}, {m} = {known[m]})"))
        part = Part(name, given, arguments, result, scope.seen, other)
        self.parts.append(part)
        return part

    def new_network(self, value: Value, depth: int) -> Part:
        name, source, out = self.name("net"), self.name("x"), self.name("out")
        given = Value(value.type)
        scope = Scope(None, {source: given})
        text, result = self.body(scope, given, depth + 1, 3)
        lines = [f"input {source}: {list(map(int, value.shape))}", text]
        inner = {}
        if self.chance(0.6):
            lines += [f"output {out}: skip", f"output {out}_b: {pick(self.draw, ('@' + source, 'skip'))}"]
            inner = {out: result}
        self.items.append(f"network {name} {{\n    " + "\n    ".join(lines) + "\n}")
        part = Part(name, given, "", result, inner)
        self.parts.append(part)
        return part

    # Chains and bodies ------------------------------------------------------------------------------------------------

    def chain(self, scope: Scope, value: Value, depth: int, longest: int) -> tuple[str, Value]:
        pieces = []
        for _ in range(pick(self.draw, range(1, longest + 1))):
            text, value = self.element(scope, value, depth)
            pieces.append(text)
        arrow = "\n        -> " if depth == 0 and self.chance(0.1) else " -> "
        return arrow.join(pieces), value

    def statement(self, scope: Scope, value: Value, depth: int) -> tuple[str, Value]:
        kind = self.pick("chain", "chain", "label", "label", "stage", "let", "module", "from")
        if kind == "let":
            name, size = self.name("k"), pick(self.draw, (1, 2, 3))
            text = f"let {name} = {self.number(scope, value)(size)}"
            scope.numbers[name] = size
            return text, value
        if kind == "module" and scope.labels and value.real and value.shape and not value.open and self.budget > 0:
            return self.module(scope, value, depth), value
        if kind == "from" and scope.seen:
            path, source = pick(self.draw, scope.seen.items())
            text, result = self.chain(scope, source, depth, 2)
            return f"{text} from @{path}", result
        if kind in ("label", "stage") and scope.labels:
            return self.labelled(scope, value, depth, kind == "stage")
        return self.chain(scope, value, depth, 2)

    def labelled(self, scope: Scope, value: Value, depth: int, body: bool) -> tuple[str, Value]:
        label = self.name("s")
        part = self.part(value, depth) if self.chance(0.2) and value.real and not value.open and depth < 2 else None
        if part is not None:
            text, result = self.call(part, scope, value), part.result
            scope.seen |= {f"{scope.prefix}{label}.{path}": seen for path, seen in part.inner.items()}
        else:
            inner = replace(
                scope, prefix=f"{scope.prefix}{label}.", numbers=dict(scope.numbers), modules=dict(scope.modules)
            )
            if body:
                text, result = self.body(inner, value, depth + 1, 2)
                text = f"{{ {text} }}"
            else:
                text, result = self.chain(inner, value, depth, 3)
        scope.seen[scope.prefix + label] = result
        return f"{label}: {text}", result

    def module(self, scope: Scope, value: Value, depth: int) -> str:
        name, given = self.name("mod"), Value(value.type)
        inner = Scope(None, numbers=dict(scope.numbers), labels=False)
        text, result = self.chain(inner, given, max(depth, 1), 2)
        if result.real:
            scope.modules[name] = (given, result)
        return f"module {name}: {text}"

    def body(self, scope: Scope, value: Value, depth: int, longest: int) -> tuple[str, Value]:
        """Statements on one line; what is defined in it is not seen after it, but for labels."""
        inner = replace(scope, numbers=dict(scope.numbers), modules=dict(scope.modules)) if depth else scope
        pieces = []
        for _ in range(pick(self.draw, range(1, longest + 1))):
            text, value = self.statement(inner, value, depth)
            pieces.append(text)
        if all(piece.startswith(("let ", "module ")) for piece in pieces):
            pieces.append("skip")
        return pick(self.draw, ("; ", "\n    ")).join(pieces), value

    # Bringing one type to another -------------------------------------------------------------------------------------

    def fit(self, value: Value, target: Value) -> str | None:
        """What follows a value to make it of another type, "" where nothing has to; None where it is not done here."""
        if value.type == target.type:
            return ""
        if not value.real or not target.real or not target.shape:
            return None
        if len(value.shape) == len(target.shape) >= 3 and value.shape[1:] == target.shape[1:]:
            return f" -> conv({target.shape[0]}, 1)"
        if value.open or target.open:
            return None
        if value.shape[:-1] == target.shape[:-1] and 1 <= len(value.shape) <= 2:
            return f" -> linear({target.shape[-1]})"
        elements = math.prod(target.shape)
        if math.prod(value.shape) * elements > 20000:
            return None
        head = " -> reshape([1])" if not value.shape else " -> flatten" if len(value.shape) > 1 else ""
        tail = f" -> reshape({list(target.shape)})" if len(target.shape) > 1 else ""
        return f"{head} -> linear({elements}){tail}"


def _restore(scope: Scope, seen: dict[str, Value]) -> None:
    """Forget what was labelled in a text that is thrown away."""
    scope.seen.clear()
    scope.seen.update(seen)
