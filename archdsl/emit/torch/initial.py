"""The spec's initialization as calls of `torch.nn.init`, where it is not what PyTorch's constructors do anyway."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

from archdsl.emit.torch.expression import Display, Text, written
from archdsl.emit.torch.layout import STEP, lines
from archdsl.emit.torch.rules import by_rank
from archdsl.graph.graph import Graph, Layer
from archdsl.ops.base import DEFAULT, Weight
from archdsl.ops.convolution import Conv, Depthwise
from archdsl.ops.linear import Linear
from archdsl.ops.schemes import SCHEMES

#: Ops whose weights are given an initialization; PyTorch's modules start those of all others as the ops do.
DECLARING = (Conv, Depthwise, Linear)
FUNCTIONS = {"truncated_normal": "trunc_normal_", "he_uniform": "kaiming_uniform_", "he_normal": "kaiming_normal_"}
KEYWORDS = {"low": "a", "high": "b"}
#: Schemes that scale by fans: PyTorch refuses them for vectors, so that those get the numbers.
BY_FAN = ("he_uniform", "he_normal", "xavier_uniform", "xavier_normal")


@dataclass(slots=True)
class Group:
    """Weights of one name in modules of one class: the modules that have it, and those of each call, `{}` in it."""

    having: list[str] = field(default_factory=list)
    calls: dict[str, list[str]] = field(default_factory=dict)

    @property
    def usual(self) -> str | None:
        """The commonest call, to begin with for all of them; None where some are left to the constructor."""
        complete = sum(map(len, self.calls.values())) == len(self.having)
        return max(self.calls, key=lambda call: len(self.calls[call])) if complete else None


def initialization(graph: Graph) -> list[str]:
    """The lines of a method `_initialize`, or none where the constructors' own initialization is what the spec says."""
    groups, counts = _groups(graph)
    declared = {key: group for key, group in groups.items() if group.calls}
    if not declared:
        return []
    body = [*_by_class(declared, counts), *_by_module(declared)]
    return [f"{' ' * STEP}def _initialize(self) -> None:", *(f"{' ' * 2 * STEP}{line}" for line in body)]


def _groups(graph: Graph) -> tuple[dict[tuple[str, str], Group], dict[str, int]]:
    """Groups by module class and weight name, and how many modules each class has."""
    groups: dict[tuple[str, str], Group] = {}
    counts: dict[str, int] = {}
    for layer in {layer.module: layer for layer in graph.layers if isinstance(layer.op, DECLARING)}.values():
        name = _class_name(layer)
        counts[name] = counts.get(name, 0) + 1
        for weight in layer.weights:
            group = groups.setdefault((name, weight.name), Group())
            group.having.append(layer.module)
            if weight.init != DEFAULT:
                group.calls.setdefault(_call(weight), []).append(layer.module)
    return groups, counts


def _class_name(layer: Layer) -> str:
    return "nn.Linear" if isinstance(layer.op, Linear) else by_rank("nn.Conv", layer.input_types)


def _call(weight: Weight) -> str:
    """`nn.init.normal_({}, std=0.01)`."""
    scheme, mode = weight.init.scheme, ""
    if scheme.endswith("_fan_out"):
        scheme, mode = scheme.removesuffix("_fan_out"), ', mode="fan_out"'
    numbers = dict(weight.init.arguments)
    if scheme in BY_FAN and len(weight.shape) < 2:
        return _scaled(weight, scheme, numbers.get("gain", 1.0), mode)
    if scheme == "signs":  # not of `torch.nn.init`
        return "{}.data.bernoulli_().mul_(2).sub_(1)"
    if scheme == "constant":
        return f"nn.init.constant_({{}}, {written(numbers['value'])})"
    defaults = SCHEMES[weight.init.scheme].arguments
    given = {key: numbers[key] for key, default in defaults.items() if numbers.get(key, default) != default}
    arguments = "".join(f", {KEYWORDS.get(key, key)}={written(value)}" for key, value in given.items())
    relu = ', nonlinearity="relu"' if scheme.startswith("he_") else ""
    return f"nn.init.{FUNCTIONS.get(scheme, f'{scheme}_')}({{}}{arguments}{mode}{relu})"


def _scaled(weight: Weight, scheme: str, gain: float, mode: str) -> str:
    """The same distribution with its numbers; variances as in `archdsl.weights.initialize`."""
    fan = weight.fan_in + weight.fan_out if scheme.startswith("xavier") else weight.fan_out if mode else weight.fan_in
    std = gain * math.sqrt(2 / fan) if fan else 0.0
    if scheme.endswith("_normal"):
        return f"nn.init.normal_({{}}, std={std!r})"
    bound = math.sqrt(3) * std
    return f"nn.init.uniform_({{}}, a={-bound!r}, b={bound!r})"


def _by_class(groups: dict[tuple[str, str], Group], counts: dict[str, int]) -> Iterator[str]:
    """A loop over all modules, for what holds for most of a class; classes with the same calls together."""
    bodies: dict[str, list[str]] = {}
    for (name, weight), group in groups.items():
        usual = group.usual
        if usual is None:
            continue
        tensor = f"module.{weight}"
        guarded = len(group.having) < counts[name]
        bodies.setdefault(name, []).extend([f"if {tensor} is not None:"] if guarded else [])
        bodies[name].append(" " * STEP * guarded + usual.format(tensor))
    classes: dict[tuple[str, ...], list[str]] = {}
    for name, body in bodies.items():
        classes.setdefault(tuple(body), []).append(name)
    if classes:
        yield "for module in self.modules():"
    for position, (calls, names) in enumerate(classes.items()):
        test = names[0] if len(names) == 1 else f"({', '.join(names)})"
        yield f"{' ' * STEP}{'elif' if position else 'if'} isinstance(module, {test}):"
        yield from (" " * 2 * STEP + call for call in calls)


def _by_module(groups: dict[tuple[str, str], Group]) -> Iterator[str]:
    """A loop over the names of the modules for each call that only some of a class get."""
    calls = [
        (weight, call, names)
        for (_, weight), group in groups.items()
        for call, names in group.calls.items()
        if call != group.usual
    ]
    if calls:
        yield "modules = dict(self.named_modules())"
    for weight, call, names in calls:
        if len(names) == 1:
            yield call.format(f"modules[{written(names[0])}].{weight}")
            continue
        yield from _loop([written(name) for name in names])
        yield f"{' ' * STEP}{call.format(f'modules[name].{weight}')}"


def _loop(names: list[str]) -> list[str]:
    """`for name in (...):`, broken for a method's body."""
    display = Display(tuple(Text(name) for name in names), "()")
    return [line.removeprefix(" " * 2 * STEP) for line in lines("for name in ", display, ":", 2 * STEP)]
