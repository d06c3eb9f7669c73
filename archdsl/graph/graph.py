"""The layer graph: plain records in topological order, and the networkx graph made of them.

Only this module knows networkx. Its import costs a third of `archdsl check`, so it is made when it is asked for.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING, Literal

from archdsl.graph.renames import Rename
from archdsl.language.diagnostics import Frame
from archdsl.language.records import Record, record
from archdsl.language.source import Span
from archdsl.ops.base import Op, TensorType, Weight
from archdsl.ops.dims import Symbol

if TYPE_CHECKING:
    import networkx as nx

Value = object  # what an expression of the language gives; plain Python data once elaborated


@dataclass(frozen=True, slots=True)
class TensorRef:
    """Result `index` of the node `path`."""

    path: str
    index: int = 0

    @property
    def name(self) -> str:
        """The tensor's name in ONNX and in messages: the path, with `:index` from the second result on."""
        return self.path if self.index == 0 else f"{self.path}:{self.index}"


@record
class Input(Record):
    """A declared input; `preprocess` holds the spec's preprocessing as written."""

    path: str
    type: TensorType
    span: Span
    preprocess: tuple[tuple[str, Value], ...] = ()


@record
class Layer(Record):
    """One application of an op. `module` is the path that owns its weights (itself, unless shared).

    A layer in the body of a `recur` has the path of that `Recur` as its `loop`; then it runs `repeats` times.
    """

    path: str
    op: Op
    inputs: tuple[TensorRef, ...]
    input_types: tuple[TensorType, ...]
    output_types: tuple[TensorType, ...]
    span: Span
    stack: tuple[Frame, ...] = ()
    training_only: bool = False
    module: str = ""
    weights: tuple[Weight, ...] = ()
    loop: str = ""
    repeats: int = 1

    def key(self, weight: Weight) -> str:
        """The weight's `state_dict` key; one without a name of its own is the module itself."""
        return f"{self.module}.{weight.name}" if weight.name else self.module


@record
class Output(Record):
    """A declared output; training-only ones exist in train mode only and carry their loss weight."""

    name: str
    tensor: TensorRef
    type: TensorType
    training_only: bool = False
    weight: float | None = None


@record
class Scope(Record):
    """A path component that contains layers: a label, or an instance of a block.

    `block` names the block it instantiates (a network, if `network`) and `arguments` its bound parameters; a plain
    label has neither. `result` is the tensor that `@path` means. `path` "" is the network itself.
    """

    path: str
    span: Span
    block: str | None = None
    arguments: tuple[tuple[str, Value], ...] = ()
    docstring: str | None = None
    network: bool = False


@record
class Stage(Record):
    """What a label names: the layers under `path` and the tensor they end in."""

    path: str
    result: TensorRef
    type: TensorType
    span: Span
    training_only: bool = False


@record
class Claim(Record):
    """One stated figure. `path` "" is the whole network; `stated` is the text as written.

    `low` and `high` bound the actual value inclusively (exact claims: equal); a shape claim has
    `shape` instead. `unit` is what the stated number was multiplied by (K = 1000 or 1024 ...).
    """

    kind: Literal["expect", "published"]
    path: str
    quantity: str
    stated: str
    span: Span
    low: Fraction | None = None
    high: Fraction | None = None
    shape: tuple[int, ...] | None = None
    source: str | None = None
    because: str | None = None
    result: tuple[int, ...] | None = None  # the claimed tensor's shape, where its statement has no path


@record
class Verdict(Record):
    """A claim held against the graph."""

    claim: Claim
    actual: int | tuple[int, ...] | None
    holds: bool


@dataclass(frozen=True)
class Graph:
    """An elaborated network: `nodes` are its inputs and layers by path, each after all that it reads."""

    name: str
    source: str  # the file as the user named it
    nodes: dict[str, Input | Layer]
    outputs: tuple[Output, ...]
    scopes: dict[str, Scope]
    stages: dict[str, Stage]
    claims: tuple[Claim, ...] = ()
    parameters: dict[str, Value] = field(default_factory=dict)
    overridden: tuple[str, ...] = ()  # parameters and inputs changed from outside
    title: str | None = None
    docstring: str | None = None
    recipe: dict[str, object] = field(default_factory=dict)  # how it is trained, by setting
    digest: str = ""  # SHA-256 of all source text
    renames: tuple[Rename, ...] = ()  # how the names of a checkpoint become this network's
    symbols: tuple[Symbol, ...] = ()  # the sizes that inputs leave open
    uses: dict[str, str] = field(default_factory=dict)  # where a module is applied -> the path that owns its weights
    names: dict[TensorRef, str] = field(default_factory=dict)  # given with `as`, with the path of their scope

    @property
    def inputs(self) -> list[Input]:
        return [node for node in self.nodes.values() if isinstance(node, Input)]

    @property
    def layers(self) -> list[Layer]:
        """Layers in topological order, as written."""
        return [node for node in self.nodes.values() if isinstance(node, Layer)]

    @property
    def deployed(self) -> list[Layer]:
        """Layers that exist outside training."""
        return [layer for layer in self.layers if not layer.training_only]

    @property
    def deployed_outputs(self) -> list[Output]:
        return [output for output in self.outputs if not output.training_only]

    def layer(self, path: str) -> Layer:
        """The layer at a path; KeyError if there is none."""
        node = self.nodes[path]
        if not isinstance(node, Layer):
            raise KeyError(path)
        return node

    def type_of(self, ref: TensorRef) -> TensorType:
        node = self.nodes[ref.path]
        return node.type if isinstance(node, Input) else node.output_types[ref.index]

    @cached_property
    def multigraph(self) -> nx.MultiDiGraph:
        """The graph as networkx has it: nodes are paths with a `layer` (`Input` or `Layer`), edges carry `output`
        (the result index) and `input` (the argument position)."""
        import networkx as nx

        graph = nx.MultiDiGraph(name=self.name)
        for path, node in self.nodes.items():
            graph.add_node(path, layer=node)
        for layer in self.layers:
            for position, ref in enumerate(layer.inputs):
                graph.add_edge(ref.path, layer.path, output=ref.index, input=position)
        return graph


@dataclass(frozen=True)
class CheckedGraph(Graph):
    """A graph whose shapes, counts and claims were checked; what passes and emitters accept."""

    verdicts: tuple[Verdict, ...] = ()


def nodes_of(items: Iterable[Input | Layer]) -> dict[str, Input | Layer]:
    """Nodes by path, in their order (which must be topological)."""
    return {item.path: item for item in items}


def needed(graph: Graph, paths: Iterable[str]) -> set[str]:
    """The paths themselves and every node that they depend on."""
    found = set(paths)
    for path, node in reversed(graph.nodes.items()):
        if path in found and isinstance(node, Layer):
            found.update(ref.path for ref in node.inputs)
    return found
