"""Sums over the layers at or under each path: one pass over the layers, one step per component of a path."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from archdsl.graph.graph import Layer
from archdsl.graph.layer_cost import LayerCost


@dataclass(slots=True)
class Sums:
    """Running sums; names are those of `StageCost`."""

    params: int = 0
    trainable_params: int = 0
    buffers: int = 0
    weights: int = 0
    biases: int = 0
    weight_bytes: int = 0
    macs: int = 0
    flops: int = 0
    layers: int = 0
    depth: int = 0
    peak_activation_bytes: int = 0

    def figures(self) -> dict[str, int]:
        """The sums by name."""
        return {name: getattr(self, name) for name in self.__slots__}

    def add(self, cost: LayerCost, depth: int) -> None:
        """Count a layer, but not its weights; `depth` is its place on the longest path within the stage."""
        self.macs += cost.macs
        self.flops += cost.flops
        self.layers += 1
        if depth > self.depth:
            self.depth = depth
        if cost.live_bytes > self.peak_activation_bytes:
            self.peak_activation_bytes = cost.live_bytes

    def add_weights(self, cost: LayerCost) -> None:
        """Count a layer's weights."""
        self.params += cost.params
        self.trainable_params += cost.trainable_params
        self.buffers += cost.buffers
        self.weights += cost.weights
        self.biases += cost.biases
        self.weight_bytes += cost.weight_bytes


@dataclass(slots=True)
class Tally:
    """Deployed layers and training-only ones apart; `last` is the last of `own`.

    `modules` are the shared ones met so far, `kept` the bytes that training keeps.
    """

    deployed: Sums = field(default_factory=Sums)
    training: Sums = field(default_factory=Sums)
    kept: int = 0
    modules: set[str] = field(default_factory=set)
    last: Layer | None = None

    @property
    def training_only(self) -> bool:
        """Nothing here is deployed."""
        return self.deployed.layers == 0 and self.training.layers > 0

    @property
    def own(self) -> Sums:
        """The deployed layers' sums; a training-only stage has its own."""
        return self.training if self.training_only else self.deployed

    def add(self, layer: Layer, cost: LayerCost, depth: int, counted: bool) -> None:
        """Count a layer; `counted` says that its weights are known to be in already."""
        sums = self.training if layer.training_only else self.deployed
        sums.add(cost, depth)
        if layer.weights and not counted:
            sums.add_weights(cost)
        self.kept += cost.kept_bytes
        if sums is self.own:
            self.last = layer


def tallies(layers: Sequence[Layer], costs: Mapping[str, LayerCost], stages: Collection[str]) -> dict[str, Tally]:
    """Tallies of the beginnings of all paths, "" included, and of these `stages`; `layers` in topological order."""
    chains = {layer.path: _chain(layer.path) for layer in layers}
    depths = _depths(layers, chains)
    wanted = {path for chain in chains.values() for path in chain[:-1]} | {*stages, ""}
    repeated = {layer.module for layer in layers if costs[layer.path].shared}
    found: dict[str, Tally] = {}
    for layer in sorted(layers, key=lambda layer: layer.training_only):
        for path, depth in zip(chains[layer.path], depths[layer.path], strict=True):
            if path not in wanted:
                continue
            tally = found.setdefault(path, Tally())
            tally.add(layer, costs[layer.path], depth, layer.module in tally.modules)
            if layer.module in repeated:
                tally.modules.add(layer.module)
    return found


def _chain(path: str) -> tuple[str, ...]:
    """The network, every label around a layer, the layer: `a.b` gives "", `a`, `a.b`."""
    return ("", *(path[:end] for end, char in enumerate(path) if char == "."), path)


def _depths(layers: Sequence[Layer], chains: Mapping[str, tuple[str, ...]]) -> dict[str, list[int]]:
    """For each link of a layer's chain: most depth-counting layers on a path that ends here and stays within it.

    A path that left a stage cannot come back into it: what a stage refers to was made before it or in it.
    """
    found: dict[str, list[int]] = {}
    for layer in layers:
        chain = chains[layer.path]
        best = [0] * len(chain)
        for ref in layer.inputs:
            _raise_to(best, chain, found.get(ref.path, []), chains.get(ref.path, ()))
        found[layer.path] = [depth + 1 for depth in best] if layer.op.counts_depth else best
    return found


def _raise_to(best: list[int], chain: tuple[str, ...], depths: list[int], other: tuple[str, ...]) -> None:
    for link, (path, other_path) in enumerate(zip(chain, other, strict=False)):
        if path != other_path:
            return
        best[link] = max(best[link], depths[link])
