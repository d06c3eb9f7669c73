"""The Python interface: `load` and the network it returns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from archdsl.graph.check import check
from archdsl.graph.graph import CheckedGraph
from archdsl.graph.network import Request
from archdsl.language.diagnostics import Diagnostic
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
    inputs: Mapping[str, tuple[int, ...]] | None = None,
    limits: Limits | None = None,
    **parameters: object,
) -> Network:
    """Parse, elaborate and check one network of a file.

    `file` is a path, or the name of a network or family of the shipped library (`"googlenet"`). `network` picks one
    of the file's networks (its first where None), `parameters` override those that it declares, and `inputs` the
    shapes of its inputs, without the batch (`{"image": (3, 299, 299)}`). Raises `ArchError`, whose `diagnostics`
    say what is wrong and where.
    """
    return load_with(str(file), network, _values(parameters), inputs or {}, limits or Limits())


def load_with(
    file: str,
    network: str | None,
    parameters: Mapping[str, object],
    inputs: Mapping[str, tuple[int, ...]],
    limits: Limits,
) -> Network:
    """`load`, with parameters as a mapping, so that one may be called `network` or `limits`."""
    path, name, network = find(file, network)
    program = read_program(path, name, limits)
    checked = check(program, Request(network, parameters, inputs, limits), path)
    return Network(checked.graph, checked.diagnostics)


def _values(parameters: Mapping[str, object]) -> dict[str, object]:
    """Python values as values of the language: lists become tuples."""
    return {name: tuple(value) if isinstance(value, list) else value for name, value in parameters.items()}


@dataclass(frozen=True)
class Network:
    """A checked network. `diagnostics` holds warnings and notes; errors never get this far."""

    checked: CheckedGraph
    diagnostics: tuple[Diagnostic, ...] = ()

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

        return report(self.checked, batch)

    def initialize(self, seed: int = 0) -> dict[str, np.ndarray]:
        """Weights and buffers by `state_dict` key, drawn as the spec declares."""
        from archdsl.weights.initialize import initialize

        return initialize(self.checked, seed)

    def torch_source(self) -> str:
        """Readable PyTorch source of the network; needs only torch to run."""
        from archdsl.emit.torch.source import torch_source

        return torch_source(self.checked)

    def torch(self, weights: Weights | None = None, seed: int = 0) -> torch.nn.Module:
        """A module whose `state_dict` keys are the spec's paths; raises `ArchError` where torch is not installed."""
        from archdsl.emit.torch.module import module

        return module(self.checked, self._weights(weights, seed))

    def onnx(self, weights: Weights | None = None, *, opset: int = 17, seed: int = 0) -> onnx.ModelProto:
        """The deployed network with a symbolic batch; `weights` by `state_dict` key, the rest initialized."""
        from archdsl.emit.onnx.model import onnx_model

        return onnx_model(self.checked, self._weights(weights, seed), opset=opset)

    def save_onnx(self, path: str | Path, weights: Weights | None = None, *, opset: int = 17, seed: int = 0) -> None:
        """Write the ONNX file; it appears under its name only when it is complete."""
        from archdsl.emit.onnx.writer import save

        save(self.onnx(weights, opset=opset, seed=seed), Path(path))

    def _weights(self, given: Weights | None, seed: int) -> dict[str, np.ndarray]:
        from archdsl.weights.match import complete

        return complete(self.checked, given or {}, seed)

    def _repr_html_(self) -> str:
        return self.report()._repr_html_()

    @cached_property
    def parameters(self) -> dict[str, object]:
        """The network's parameters as bound."""
        return dict(self.checked.parameters)
