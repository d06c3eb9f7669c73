"""Preprocessing of inputs that have another size than their spec was written for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from archdsl.graph.graph import CheckedGraph, Input
from archdsl.ops.dims import symbolic


def refitted(graph: CheckedGraph) -> CheckedGraph:
    """The graph whose inputs prepare images for the size that they have, where `--input` changed it or left it open."""
    changed = [node for node in graph.inputs if len(node.type.shape) == 3 and _changed(graph, node)]
    nodes = {node.path: replace(node, preprocess=_settings(node)) for node in changed}
    return replace(graph, nodes={**graph.nodes, **nodes}) if nodes else graph


def _changed(graph: CheckedGraph, node: Input) -> bool:
    return symbolic(node.type.shape) or any(text.startswith(f"`{node.path}: ") for text in graph.overridden)


def _settings(node: Input) -> tuple[tuple[str, Any], ...]:
    return tuple(fitted(dict(node.preprocess), node.type.shape[1:]).items())


def fitted(settings: Mapping[str, Any], size: tuple[int, ...]) -> dict[str, Any]:
    """The settings for another height and width: `crop` becomes that size, and `resize` grows as the larger side does.

    A size that is open is nothing to cut to, so there `crop` goes. A `resize` without `crop` goes at a new size, since
    it belongs to the old one: the image is then made just large enough.
    """
    found = dict(settings)
    if symbolic(size):
        found.pop("crop", None)
        return found
    if "crop" not in found:
        found.pop("resize", None)
        return found
    if "resize" in found:
        found["resize"] = round(found["resize"] * max(size) / found["crop"])
    found["crop"] = size[0] if size[0] == size[1] else list(size)
    return found
