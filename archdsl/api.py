"""The Python interface: `load` and the network it returns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archdsl.graph.check import check
from archdsl.graph.costs import Costs
from archdsl.graph.graph import CheckedGraph
from archdsl.graph.network import Request
from archdsl.language.diagnostics import Diagnostic, error
from archdsl.language.limits import Limits
from archdsl.language.program import read_program
from archdsl.library import find

if TYPE_CHECKING:
    import networkx  # noqa: TID251 (a type only)
    import numpy as np
    import onnx
    import torch  # noqa: TID251 (a type only)

    from archdsl.emit.report.model import Report

Weights = Mapping[str, "np.ndarray"]


def load(
    file: str | Path,
    network: str | None = None,
    *,
    inputs: Mapping[str, tuple[int | str, ...]] | None = None,
    limits: Limits | None = None,
    **parameters: object,
) -> Network:
    """Parse, elaborate and check one network of a file.

    `file` is a path, or the name of a network or family of the shipped library (`"googlenet"`). `network` picks one
    of the file's networks (its first where None), `parameters` override those that it declares, and `inputs` the
    shapes of its inputs, without the batch (`{"image": (3, 299, 299)}`); a text leaves a size open
    (`(3, "H", "W:32..512by32")`). Raises `ArchError`, whose `diagnostics`
    say what is wrong and where.
    """
    shapes = {name: _shape(name, _plain(shape)) for name, shape in (inputs or {}).items()}
    values = {name: _plain(value) for name, value in parameters.items()}
    return load_with(str(file), network, values, shapes, limits or Limits())


def load_with(
    file: str,
    network: str | None,
    parameters: Mapping[str, object],
    inputs: Mapping[str, tuple[int | str, ...]],
    limits: Limits,
) -> Network:
    """`load`, with parameters as a mapping, so that one may be called `network` or `limits`."""
    path, name, network = find(file, network)
    program = read_program(path, name, limits)
    checked = check(program, Request(network, parameters, inputs, limits), path)
    return Network(checked.graph, checked.diagnostics, checked.costs)


def _plain(value: object) -> object:
    """A Python value as one of the language: lists become tuples, and numbers of NumPy and PyTorch plain ones."""
    if isinstance(value, list | tuple):
        return tuple(map(_plain, value))
    return value.item() if hasattr(value, "item") and getattr(value, "shape", None) == () else value


def _shape(name: str, sizes: object) -> tuple[int | str, ...]:
    if isinstance(sizes, tuple) and all(isinstance(size, str) or (type(size) is int and size > 0) for size in sizes):
        return sizes
    message = f"`inputs` gives `{name}` the shape {sizes!r}: sizes are whole numbers of at least 1, or names"
    raise error("bad-input-shape", message)


def _chosen(passes: Iterable[str]) -> tuple[str, ...]:
    return (passes,) if isinstance(passes, str) else tuple(passes)


def _check_batch(batch: int | None) -> None:
    if batch is not None and batch < 1:
        raise error("argument-value", f"`batch` is a number of samples, 1 or more, not {batch}")


def _array(value: Any) -> np.ndarray:
    """A given weight, which may be a tensor of PyTorch, or a list."""
    import numpy as np

    return np.asarray(value.detach().cpu() if hasattr(value, "detach") else value)


@dataclass(frozen=True)
class Network:
    """A checked network. `diagnostics` holds warnings and notes; errors never get this far."""

    checked: CheckedGraph
    diagnostics: tuple[Diagnostic, ...] = ()
    counted: Costs | None = None

    @property
    def name(self) -> str:
        return self.checked.name

    @property
    def graph(self) -> networkx.MultiDiGraph:
        """Nodes are paths in topological order, each with a `layer`; edges carry `output` and `input` positions."""
        return self.checked.multigraph

    def report(self, batch: int = 1) -> Report:
        """Rows and totals; `to_dict()` is the JSON of `archdsl report --format json`."""
        from archdsl.emit.report.model import report

        _check_batch(batch)
        return report(self.checked, batch, self.counted)

    def initialize(self, seed: int = 0) -> dict[str, np.ndarray]:
        """Weights and buffers by `state_dict` key, drawn as the spec declares."""
        from archdsl.weights.initialize import initialize

        return initialize(self.checked, seed)

    def read_weights(
        self, file: str | Path, *, map: str | None = None, partial: bool = False, seed: int = 0
    ) -> Weights:
        """Weights from a file, by `state_dict` key; each is read when it is asked for.

        `file` is .safetensors, .npz, .pth, .pt or .onnx; `map` the rules that make its names the network's: a .toml
        file, or a shipped map. Raises `ArchError` where names or shapes do not fit, before anything is loaded;
        `partial` loads what fits and initializes the rest.
        """
        from archdsl.weights.maps import mapped
        from archdsl.weights.match import complete
        from archdsl.weights.read import read_weights

        return complete(self.checked, mapped(self.checked, read_weights(file), map), seed, not partial, partial)

    def arch_source(self) -> str:
        """The network as one flat `.arch` text, each line with its origin, which compiles to the same graph.

        Raises `ArchError` (`not-expandable`).
        """
        from archdsl.emit.arch.expand import arch_source

        return arch_source(self.checked)

    def torch_source(self) -> str:
        """Readable PyTorch source of the network; needs only torch to run."""
        from archdsl.emit.torch.source import torch_source

        return torch_source(self.checked)

    def torch(self, weights: Weights | None = None, seed: int = 0) -> torch.nn.Module:
        """A module whose `state_dict` keys are the spec's paths; raises `ArchError` where torch is not installed."""
        from archdsl.emit.torch.module import module

        return module(self.checked, self._weights(weights, seed))

    def onnx(
        self, weights: Weights | None = None, *, passes: Iterable[str] = (), opset: int = 17, seed: int = 0
    ) -> onnx.ModelProto:
        """The deployed network with a symbolic batch; `weights` by `state_dict` key, the rest initialized.

        Without `passes` (`archdsl.passes.pipeline.DEPLOYMENT` has those of `archdsl export`) initializers are the
        `state_dict` keys. Raises `ArchError`.
        """
        from archdsl.emit.onnx.tensors import attach
        from archdsl.runtime.deploy import Deployment, prepare

        how = Deployment(_chosen(passes), opset)
        prepared = prepare(self.checked, self._weights(weights, seed), how, self.counted)
        return attach(prepared.frame, prepared.weights)

    def save_onnx(
        self,
        path: str | Path,
        weights: Weights | None = None,
        *,
        passes: Iterable[str] = (),
        opset: int = 17,
        seed: int = 0,
        batch: int | None = None,
    ) -> tuple[Path, ...]:
        """Write the ONNX file of any size, and its data next to it above 2 GB; gives the paths.

        Files appear under their names only when they are complete; one weight is in memory at a time. Raises
        `ArchError`.
        """
        from archdsl.runtime.deploy import Deployment, deploy

        _check_batch(batch)
        how = Deployment(_chosen(passes), opset, batch)
        return deploy(self.checked, self._weights(weights, seed), path, how, self.counted).files

    def _weights(self, given: Weights | None, seed: int) -> Weights:
        from archdsl.weights.checkpoint import Checkpoint
        from archdsl.weights.lazy import Lazy
        from archdsl.weights.match import complete

        if given is not None and not isinstance(given, Lazy | Checkpoint):
            given = {name: _array(value) for name, value in given.items()}
        return complete(self.checked, given or {}, seed)

    def _repr_html_(self) -> str:
        return self.report()._repr_html_()

    @cached_property
    def parameters(self) -> dict[str, object]:
        """The network's parameters as bound."""
        return dict(self.checked.parameters)
