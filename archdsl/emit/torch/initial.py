"""The spec's initialization as calls of `torch.nn.init`, where it is not what PyTorch's constructors do anyway."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

from archdsl.emit.torch.expression import Display, Text, written
from archdsl.emit.torch.layout import STEP, lines
from archdsl.emit.torch.rules import Helper, by_rank
from archdsl.graph.graph import Graph, Layer
from archdsl.ops.attention import MultiheadAttention
from archdsl.ops.base import DEFAULT, ZEROS, Init, Op, Weight
from archdsl.ops.convolution import Conv, Depthwise
from archdsl.ops.embedding import Embedding, Parameter
from archdsl.ops.linear import Linear
from archdsl.ops.local import LocalConv
from archdsl.ops.schemes import SCHEMES
from archdsl.ops.transposed import Deconv

#: Ops whose weights are given an initialization, and how PyTorch begins; it starts those of all others as the ops do.
DECLARING: dict[type[Op], Init] = {
    **dict.fromkeys((Conv, Depthwise, Deconv, LocalConv, Linear), DEFAULT),
    Embedding: Init("normal"),
}
CLASSES: dict[type[Op], str] = {Linear: "nn.Linear", Embedding: "nn.Embedding", LocalConv: "LocalConv"}
FUNCTIONS = {"truncated_normal": "trunc_normal_", "he_uniform": "kaiming_uniform_", "he_normal": "kaiming_normal_"}
KEYWORDS = {"low": "a", "high": "b"}
#: Schemes that scale by fans, which PyTorch reads off the first axes: where those are others, numbers are written.
BY_FAN = ("he_uniform", "he_normal", "xavier_uniform", "xavier_normal")


BILINEAR = Helper(
    "bilinear_",
    '''\
def bilinear_(weight: Tensor) -> Tensor:
    """Make a transposed convolution interpolate bilinearly, one channel to one (Long et al., 2015)."""
    window = torch.ones(())
    for size in weight.shape[2:]:
        places = torch.arange(size) - (size - 1) / 2
        window = window[..., None] * (1 - places.abs() / ((size + 1) // 2))
    rows = torch.arange(weight.shape[0])
    with torch.no_grad():
        weight.zero_()[rows, rows % weight.shape[1]] = window
    return weight''',
)


def initialization_helpers(graph: Graph) -> dict[str, str]:
    """Source of the functions that the initialization calls besides PyTorch's, by name."""
    schemes = {weight.init.scheme for layer in graph.layers for weight in layer.weights}
    return {BILINEAR.name: BILINEAR.source} if "bilinear" in schemes else {}


@dataclass(slots=True)
class Group:
    """Weights of one name in modules of one class: the modules that have it, and those of each call, `{}` in it.

    What a parametrization stores is set through the weight that it computes, module by module. So are modules of a
    class that PyTorch uses `within` its own: `nn.MultiheadAttention` has an `nn.Linear`, which begins otherwise.
    """

    parametrized: bool = False
    within: bool = False
    having: list[str] = field(default_factory=list)
    calls: dict[str, list[str]] = field(default_factory=dict)

    @property
    def usual(self) -> str | None:
        """The commonest call, to begin with for all of them; None where some are left to the constructor."""
        complete = sum(map(len, self.calls.values())) == len(self.having)
        if not complete or self.parametrized or self.within:
            return None
        return max(self.calls, key=lambda call: len(self.calls[call]))


def initialization(graph: Graph) -> list[str]:
    """The lines of a method `_initialize`, or none where the constructors' own initialization is what the spec says."""
    groups, counts = _groups(graph)
    declared = {key: group for key, group in groups.items() if group.calls}
    body = [*_by_class(declared, counts), *_by_module(declared), *_parameters(graph)]
    if not body:
        return []
    return [f"{' ' * STEP}def _initialize(self) -> None:", *(f"{' ' * 2 * STEP}{line}" for line in body)]


def _groups(graph: Graph) -> tuple[dict[tuple[str, str], Group], dict[str, int]]:
    """Groups by module class and weight name, and how many modules each class has."""
    groups: dict[tuple[str, str], Group] = {}
    counts: dict[str, int] = {}
    attention = any(isinstance(layer.op, MultiheadAttention) for layer in graph.layers)
    for layer in {layer.module: layer for layer in graph.layers if type(layer.op) in DECLARING}.values():
        name = _class_name(layer)
        counts[name] = counts.get(name, 0) + 1
        for weight in layer.weights:
            if weight.init.scheme not in SCHEMES:  # made of another weight, with which it is set
                continue
            group = groups.setdefault((name, weight.name), Group("." in weight.name, attention and name == "nn.Linear"))
            group.having.append(layer.module)
            if weight.init != DECLARING[type(layer.op)]:
                group.calls.setdefault(_call(weight), []).append(layer.module)
    return groups, counts


def _parameters(graph: Graph) -> Iterator[str]:
    """A call for each learned tensor that does not begin at zero."""
    for layer in {layer.module: layer for layer in graph.layers if isinstance(layer.op, Parameter)}.values():
        (weight,) = layer.weights
        if weight.init != ZEROS:
            yield _call(weight).format(f"self.get_parameter({written(layer.module)})")


def _class_name(layer: Layer) -> str:
    if type(layer.op) in CLASSES:
        return CLASSES[type(layer.op)]
    if isinstance(layer.op, Conv) and layer.op.table:
        return by_rank("TableConv", layer.input_types)
    return by_rank("nn.ConvTranspose" if isinstance(layer.op, Deconv) else "nn.Conv", layer.input_types)


def _call(weight: Weight) -> str:
    """`nn.init.normal_({}, std=0.01)`."""
    scheme, mode = weight.init.scheme, ""
    if scheme.endswith("_fan_out"):
        scheme, mode = scheme.removesuffix("_fan_out"), ', mode="fan_out"'
    numbers = dict(weight.init.arguments)
    if scheme in BY_FAN and _fans(weight) != (weight.fan_in, weight.fan_out):
        return _scaled(weight, scheme, numbers.get("gain", 1.0), mode)
    if scheme == "bilinear":
        return "bilinear_({})"
    if scheme == "signs":  # not of `torch.nn.init`
        return "{}.data.bernoulli_().mul_(2).sub_(1)"
    if scheme == "default":
        bound = 1 / math.sqrt(weight.fan_in)
        return f"nn.init.uniform_({{}}, a={-bound!r}, b={bound!r})"
    if scheme == "constant":
        return f"nn.init.constant_({{}}, {written(numbers['value'])})"
    defaults = SCHEMES[weight.init.scheme].arguments
    given = {key: numbers[key] for key, default in defaults.items() if numbers.get(key, default) != default}
    arguments = "".join(f", {KEYWORDS.get(key, key)}={written(value)}" for key, value in given.items())
    relu = ', nonlinearity="relu"' if scheme.startswith("he_") else ""
    return f"nn.init.{FUNCTIONS.get(scheme, f'{scheme}_')}({{}}{arguments}{mode}{relu})"


def _fans(weight: Weight) -> tuple[int, int] | None:
    """As `torch.nn.init` counts them; None for vectors, for which it refuses to."""
    if len(weight.shape) < 2:
        return None
    out, channels, *kernel = weight.shape
    return channels * math.prod(kernel), out * math.prod(kernel)


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
        (*_target(weight, call, group), names)
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


def _target(weight: str, call: str, group: Group) -> tuple[str, str]:
    """The attribute that is set, and how, `{}` being it."""
    if not group.parametrized:
        return weight, call
    return weight.split(".")[1], "{0} = " + call.replace("{}", "{0}.detach()")


def _loop(names: list[str]) -> list[str]:
    """`for name in (...):`, broken for a method's body."""
    display = Display(tuple(Text(name) for name in names), "()")
    return [line.removeprefix(" " * 2 * STEP) for line in lines("for name in ", display, ":", 2 * STEP)]
