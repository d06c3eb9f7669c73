"""A network while a pass changes it: its nodes, how its weights are made, and who reads which tensor."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Literal

from archdsl.graph.graph import CheckedGraph, Input, Layer, Output, TensorRef
from archdsl.language.diagnostics import error
from archdsl.ops.base import Op
from archdsl.passes.retype import retype
from archdsl.weights.lazy import Lazy, Make, makers

if TYPE_CHECKING:
    import numpy as np

Weights = Mapping[str, "np.ndarray"]
Pair = tuple[CheckedGraph, Weights]


class Draft:
    """Starts as the graph; `finish` gives the changed one. A pass asks who reads what, rewrites layers, removes them.

    Readers of a removed layer read its input instead. The names of stages stay with the values that they name.
    """

    def __init__(self, graph: CheckedGraph, weights: Weights) -> None:
        self.nodes: dict[str, Input | Layer] = dict(graph.nodes)
        self.makers: dict[str, Make] = makers(weights)
        self._start = graph, weights
        self._changed = False
        self._users = Counter(layer.module for layer in graph.layers)
        self._instead: dict[TensorRef, TensorRef] = {}  # result of a removed layer -> what is read in its place
        self._readers: dict[TensorRef, list[str | Output]] = defaultdict(list)
        self._stages: dict[TensorRef, list[str]] = defaultdict(list)  # names of the value that a tensor holds now
        for layer in graph.layers:
            for ref in layer.inputs:
                self._readers[ref].append(layer.path)
        for output in graph.outputs:
            self._readers[output.tensor].append(output)
        for stage in graph.stages.values():
            self._stages[stage.result].append(stage.path)

    def layers(self) -> list[Layer]:
        """The present layers in topological order."""
        return [node for node in self.nodes.values() if isinstance(node, Layer)]

    def layer(self, path: str) -> Layer:
        """The layer at a path as it is now."""
        node = self.nodes[path]
        assert isinstance(node, Layer)
        return node

    def source(self, layer: Layer) -> TensorRef:
        """The tensor that the layer's first input is now."""
        return self._current(layer.inputs[0])

    def readers(self, ref: TensorRef) -> list[Layer | Output]:
        """Layers and outputs that read a present tensor, once for each time."""
        return [self.layer(reader) if isinstance(reader, str) else reader for reader in self._readers[ref]]

    def only_reader(self, ref: TensorRef) -> Layer | None:
        """The layer that reads this tensor, where nothing else does."""
        found = self.readers(ref)
        return found[0] if len(found) == 1 and isinstance(found[0], Layer) else None

    def owns(self, layer: Layer) -> bool:
        """No other layer has its weights."""
        return self._users[layer.module] == 1

    def maker(self, layer: Layer, name: str) -> Make | None:
        """How one of the layer's weights is made now; None where it has none of that name."""
        keys = [layer.key(weight) for weight in layer.weights if weight.name == name]
        return self.makers.get(keys[0]) or partial(_missing, keys[0]) if keys else None

    def rewrite(self, layer: Layer, op: Op, made: Mapping[str, Make]) -> None:
        """Give the layer another op; `made` makes the weights of these names, the others stay as they are."""
        self.nodes[layer.path] = replace(layer, op=op, weights=op.weights(layer.input_types))
        self.makers |= {f"{layer.module}.{name}": make for name, make in made.items()}
        self._changed = True

    def remove(self, layer: Layer, keeps: Literal["both", "input", "result"] = "both") -> None:
        """Take out a layer of one input and one result: those who read the result read the input from now on.

        `keeps` says which of the two values that tensor then holds: both if they are equal, the input if the readers
        now do the layer's work, the result if the producer does. A stage that named the other one is dropped.
        """
        source, result = self.source(layer), TensorRef(layer.path)
        del self.nodes[layer.path]
        self._users[layer.module] -= 1
        self._readers[source].remove(layer.path)
        self._readers[source] += self._readers.pop(result, [])
        self._instead[result] = source
        before, after = self._stages.pop(source, []), self._stages.pop(result, [])
        self._stages[source] = (before if keeps != "result" else []) + (after if keeps != "input" else [])
        self._changed = True

    def finish(self) -> Pair:
        """The changed graph, its types inferred again, with the weights that it needs; the given pair if unchanged."""
        graph, weights = self._start
        if not self._changed:
            return graph, weights
        places = {path: ref for ref, paths in self._stages.items() for path in paths}
        containers = _containers(self.nodes)
        changed = replace(
            graph,
            nodes={path: self._rewired(node) for path, node in self.nodes.items()},
            outputs=tuple(replace(output, tensor=self._current(output.tensor)) for output in graph.outputs),
            stages={path: replace(s, result=places[path]) for path, s in graph.stages.items() if path in places},
            scopes={path: scope for path, scope in graph.scopes.items() if path in containers},
            uses={path: owner for path, owner in graph.uses.items() if path in containers or path in self.nodes},
        )
        return retype(changed), needed_weights(changed, self.makers)

    def _current(self, ref: TensorRef) -> TensorRef:
        while ref in self._instead:
            ref = self._instead[ref]
        return ref

    def _rewired(self, node: Input | Layer) -> Input | Layer:
        if isinstance(node, Input):
            return node
        return replace(node, inputs=tuple(map(self._current, node.inputs)))


def _missing(key: str) -> np.ndarray:
    raise error("weight-missing", f"no array is given for the weight `{key}`")


def needed_weights(graph: CheckedGraph, made: Mapping[str, Make]) -> Lazy:
    """The weights that the graph's layers have, in their order."""
    keys = dict.fromkeys(layer.key(weight) for layer in graph.layers for weight in layer.weights)
    return Lazy({key: made[key] for key in keys if key in made})


def _containers(paths: Iterable[str]) -> set[str]:
    """The beginnings of all paths, "" included."""
    return {""} | {path[:end] for path in paths for end, char in enumerate(path) if char == "."}
