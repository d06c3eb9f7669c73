"""Flowcharts in Mermaid's text form, which Markdown renderers draw: one level of a network at a time."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

from archdsl.graph.graph import CheckedGraph, Input, Layer, TensorRef
from archdsl.ops.dims import factor

Edge = tuple[str, str]


def flowchart(graph: CheckedGraph, scope: str = "", training: bool = True) -> str:
    """What lies directly in a scope ("" is the network): a box for each stage and layer, an arrow for each tensor.

    Boxes carry the name, the op or block, and the output's shape. What comes from outside the scope is its `in`.
    """
    layers = [layer for layer in graph.layers if _inside(layer.path, scope) and (training or not layer.training_only)]
    boxes: dict[str, list[Layer]] = {}
    for layer in layers:
        boxes.setdefault(_box(layer.path, scope), []).append(layer)
    owner = {layer.path: box for box, members in boxes.items() for layer in members}
    edges = dict.fromkeys(edge for layer in layers for edge in _edges(graph, layer, owner, scope))
    numbers = {name: f"n{i}" for i, name in enumerate(dict.fromkeys([*_sources(edges, boxes), *boxes]))}
    lines = ["flowchart TD"]
    lines += [f"    {numbers[name]}([{_quoted(_source_text(graph, name))}])" for name in _sources(edges, boxes)]
    lines += [f"    {numbers[box]}[{_quoted(_text(graph, box, members, scope))}]" for box, members in boxes.items()]
    lines += [f"    {numbers[start]} --> {numbers[end]}" for start, end in edges]
    return "\n".join(lines) + "\n"


def _inside(path: str, scope: str) -> bool:
    return not scope or path.startswith(f"{scope}.")


def _box(path: str, scope: str) -> str:
    """The scope's own child that a path belongs to."""
    rest = path[len(scope) + 1 :] if scope else path
    child = rest.partition(".")[0]
    return f"{scope}.{child}" if scope else child


def _edges(graph: CheckedGraph, layer: Layer, owner: dict[str, str], scope: str) -> Iterable[Edge]:
    for ref in layer.inputs:
        start = owner.get(ref.path) or _outside(graph, ref, scope)
        if start != owner[layer.path]:
            yield start, owner[layer.path]


def _outside(graph: CheckedGraph, ref: TensorRef, scope: str) -> str:
    return ref.path if not scope or isinstance(graph.nodes[ref.path], Input) else "in"


def _sources(edges: Iterable[Edge], boxes: dict[str, list[Layer]]) -> list[str]:
    return list(dict.fromkeys(start for start, _ in edges if start not in boxes))


def _source_text(graph: CheckedGraph, name: str) -> str:
    node = graph.nodes.get(name)
    return f"{name}<br>{_shape(node.type.shape)}" if isinstance(node, Input) else name


def _text(graph: CheckedGraph, box: str, members: list[Layer], scope: str) -> str:
    name = box[len(scope) + 1 :] if scope else box
    stage = graph.stages.get(box)
    shape = stage.type.shape if stage else members[-1].output_types[0].shape
    what = _what(graph, box, members)
    head = (
        what
        if name in (what, members[0].op.name) or re.fullmatch(r"\d+|(concat|add|mul|max)(_\d+)?", name)
        else f"{name}: {what}"
    )
    mark = " (training)" if members[0].training_only else ""
    return f"{head}{mark}<br>{_shape(shape)}"


def _what(graph: CheckedGraph, box: str, members: list[Layer]) -> str:
    """The block's name, or the parts in order, alike ones counted: `conv + relu`, `3 x bottleneck`."""
    found = graph.scopes.get(box)
    if found is not None and found.block:
        return found.block
    parts = {_instance(graph, box, layer) or layer.path: layer for layer in members}
    counts = Counter(
        graph.scopes[path].block if path in graph.scopes else layer.op.name for path, layer in parts.items()
    )
    names = [f"{count} x {name}" if count > 1 else str(name) for name, count in counts.items()]
    return " + ".join(names) if len(names) <= 4 else f"{len(members)} layers"


def _instance(graph: CheckedGraph, box: str, layer: Layer) -> str:
    """The block instance directly in the box that a layer belongs to, or ""."""
    child = _box(layer.path, box) if layer.path != box else ""
    scope = graph.scopes.get(child)
    return child if scope is not None and scope.block else ""


def _shape(shape: tuple[int, ...]) -> str:
    return "x".join(map(factor, shape))


def _quoted(text: str) -> str:
    """Mermaid's quoting: names of the language contain neither quotes nor brackets that would end it."""
    return '"' + text.replace('"', "#quot;") + '"'
