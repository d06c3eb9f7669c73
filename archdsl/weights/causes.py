"""Why a checkpoint does not fit: the mistakes that people make, told by the names and shapes that are left over."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice

from archdsl.graph.graph import Graph, Layer
from archdsl.graph.renames import shown
from archdsl.weights.fit import MOST_SCOPES, Fit, Header, Wrong, dots, fit, listed
from archdsl.weights.maps import best, shipped, tried
from archdsl.weights.rebuilt import rebuilt

STATISTICS = ("running_mean", "running_var")
HEADS = re.compile(r"^(aux|loss\d|head_aux)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Cause:
    """What is probably the matter, and what to do about it."""

    text: str
    help: str | None = None


def causes(graph: Graph, found: Fit) -> list[Cause]:
    """The likely causes, the most telling first; none where nothing is known to look like this."""
    if not found.headers:
        return [Cause("the checkpoint holds no arrays", "write each weight into it under the name that it has here")]
    naming, found = _naming(graph, found)
    if not found.fitting and not found.wrong:
        naming.append(Cause("no name is one of the network's: the checkpoint is of another network or naming"))
    checks = (_classes, _kernels, _transposed, _types, _normalization, _heads, _depth)
    return [*naming, *(cause for check in checks for cause in check(graph, found))]


def advice(found: Fit, likely: list[Cause]) -> str | None:
    """What to do about a checkpoint that does not fit, if anything is known that helps."""
    helps = [cause.help for cause in likely if cause.help]
    if found.fitting:
        helps.append("`--partial` loads what fits, and initializes the rest")
    return next(iter(helps), None)


def _naming(graph: Graph, found: Fit) -> tuple[list[Cause], Fit]:
    """Names of another source, or with something before them; and what would be left if they were put right."""
    chosen = best(graph, found.headers, shipped())
    under = tried(graph, found.headers, chosen.rules)
    if under.faults < found.faults and 3 * len(under.fitting) > len(under.wanted):
        source = chosen.name.partition("/")[0]
        different = [Cause(chosen.note)] if chosen.note else []
        help = (
            f"try `--map {source}`" if 10 * len(under.fitting) > 9 * (len(under.wanted) - len(under.spared)) else None
        )
        return [Cause(f"these are {source}'s names", help), *different], under
    for old, new in _prefixes(found):
        names = {new + name.removeprefix(old): header for name, header in found.headers.items()}
        under = fit(graph, names)
        if 4 * under.faults < found.faults:
            what = f"with `{shown(old)}` before them" if old else f"without the `{new}` before them"
            rule = f'a map with `[prefix]` and `"{shown(old)}" = "{new}"` puts it right'
            return [Cause(f"the checkpoint has the network's names {what}", rule)], under
    return [], found


def _prefixes(found: Fit) -> Iterator[tuple[str, str]]:
    """Beginnings that all of the checkpoint's names have, or all of the network's."""
    for names, swap in ((found.headers, False), (found.wanted, True)):
        first = next(iter(names), "")
        for dot in islice(dots(first), MOST_SCOPES):
            prefix = first[: dot + 1]
            if all(name.startswith(prefix) for name in names):
                yield ("", prefix) if swap else (prefix, "")


def _classes(graph: Graph, found: Fit) -> Iterator[Cause]:
    """Last layers of which nothing fits, since their first axis is another."""
    keys = [[layer.key(weight) for weight in layer.weights] for layer in _last_layers(graph)]
    heads = {key for head in keys if not set(head) & set(found.fitting) for key in head}
    wrong = [wrong for wrong in found.wrong if wrong.name in heads and _is_wider(wrong)]
    rest = "all other weights" if len(wrong) == found.faults else "what fits"
    for theirs, ours in dict.fromkeys((wrong.given.shape[0], int(wrong.wanted.shape[0])) for wrong in wrong):
        name = _parameter(graph, found, ours, theirs)
        change = [f"`--set {name}={theirs}` makes the network fit"] if name else []
        partial = [f"`--partial` loads {rest}"] if found.fitting else []
        text = f"the checkpoint has {theirs} classes, the spec {ours}"
        yield Cause(text, "; ".join([*change, *partial]) or None)


def _is_wider(wrong: Wrong) -> bool:
    """Whether the first axis alone is another, which a negative size in a header cannot make."""
    given, wanted = wrong.given.shape, wrong.wanted.shape
    return len(given) == len(wanted) > 0 and given != wanted and given[0] > 0 and given[1:] == wanted[1:]


def _parameter(graph: Graph, found: Fit, ours: int, theirs: int) -> str | None:
    """The parameter with which all fits if it has their size in place of ours; each was tried."""
    names = (name for name, value in graph.parameters.items() if _is_number(value) and value == ours)
    others = ((name, rebuilt(graph, name, theirs)) for name in names)
    return next((name for name, other in others if other and fit(other, found.headers).complete), None)


def _is_number(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _last_layers(graph: Graph) -> Iterator[Layer]:
    """The layer with weights that each output comes from."""
    for output in graph.outputs:
        node = graph.nodes[output.tensor.path]
        while isinstance(node, Layer) and not node.weights:
            node = graph.nodes[node.inputs[0].path]
        if isinstance(node, Layer):
            yield node


def _kernels(graph: Graph, found: Fit) -> Iterator[Cause]:
    counts = Counter(
        ("x".join(map(str, wrong.given.shape[2:])), "x".join(map(str, wrong.wanted.shape[2:])))
        for wrong in found.wrong
        if len(wrong.given.shape) == len(wrong.wanted.shape) > 2 and wrong.given.shape[:2] == wrong.wanted.shape[:2]
    )
    for (theirs, ours), count in counts.items():
        if theirs == ours:
            continue
        text = f"{count} convolution{'s are' if count > 1 else ' is'} {theirs} in the checkpoint, {ours} in the spec"
        if {theirs, ours} == {"3x3", "5x5"} and "inception" in "".join(found.wanted):
            here, there = ("torchvision's", "the paper's") if theirs == "3x3" else ("the paper's", "torchvision's")
            text = f"the checkpoint is {here} variant of GoogLeNet, the spec is {there}: {text}"
        yield Cause(text)


def _transposed(graph: Graph, found: Fit) -> Iterator[Cause]:
    turned = [wrong for wrong in found.wrong if _is_turned(wrong)]
    if turned:
        text = f"{turned[0].name} is transposed: PyTorch and archdsl hold a row for each output"
        yield Cause(text, "store such arrays transposed (other frameworks hold `[in, out]` and `[h, w, in, out]`)")


def _is_turned(wrong: Wrong) -> bool:
    given, wanted = wrong.given.shape, wrong.wanted.shape
    if len(given) == 4:  # [h, w, in, out]
        return given != wanted and (given[3], given[2], given[0], given[1]) == wanted
    return len(given) == 2 and given != wanted and given[::-1] == wanted


def _types(graph: Graph, found: Fit) -> Iterator[Cause]:
    kinds = {header.dtype for header in found.headers.values()} & {"int8", "uint8", "int4", "uint4"}
    if kinds:
        yield Cause(f"the checkpoint is quantized to {', '.join(sorted(kinds))}", "take its float32 original")


def _normalization(graph: Graph, found: Fit) -> Iterator[Cause]:
    """Batch normalization on one side only, or biases on one side only."""
    missing, unexpected = _ends(found.missing), _ends(found.unexpected)
    theirs, ours = (any(name.endswith(STATISTICS) for name in names) for names in (found.headers, found.wanted))
    if ours and not theirs:
        yield Cause("the spec has batch normalization where the checkpoint has none, or folded it")
    elif theirs and not ours:
        yield Cause("the checkpoint has batch normalization where the spec has none")
    elif missing == {"bias"} and not unexpected and len(found.missing) > 1:
        yield Cause("the spec has biases that the checkpoint lacks", "`bias = false` leaves them out")
    elif unexpected == {"bias"} and not missing and len(found.unexpected) > 1:
        yield Cause("the checkpoint has biases where the spec says `bias = false`")


def _ends(names: tuple[str, ...]) -> set[str]:
    return {name.rpartition(".")[2] for name in names}


def _heads(graph: Graph, found: Fit) -> Iterator[Cause]:
    surplus = {name.partition(".")[0] for name in found.unexpected if HEADS.match(name)}
    if not surplus or any(HEADS.match(name) for name in found.wanted):
        return
    switch = next((n for n, value in graph.parameters.items() if n.startswith("aux") and value is False), None)
    help = f"`--set {switch}=true` adds them; " if switch else ""
    text = f"the checkpoint has auxiliary heads ({listed([*map(shown, sorted(surplus))])}), the network has none"
    yield Cause(text, f"{help}`--partial` leaves them out")


def _depth(graph: Graph, found: Fit) -> Iterator[Cause]:
    """Scopes with numbered parts, of which one side has more."""
    theirs, ours = _parts(found.headers), _parts(found.wanted)
    differing = [f"`{scope}` has {theirs[scope]} parts, not {ours[scope]}" for scope in ours if scope in theirs
                 and theirs[scope] != ours[scope]]  # fmt: skip
    if differing and found.fitting:
        yield Cause(f"the checkpoint is of another depth: {', '.join(differing[:4])}")


def _parts(names: Mapping[str, Header] | Mapping[str, object]) -> dict[str, int]:
    """How many different numbers stand directly under each scope."""
    found: dict[str, set[str]] = {}
    for name in names:
        for match in re.finditer(r"\.(\d+)\.", name):
            found.setdefault(name[: match.start()], set()).add(match[1])
    return {scope: len(numbers) for scope, numbers in found.items()}
