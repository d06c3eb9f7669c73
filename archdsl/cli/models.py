"""FILE as an ONNX file: one that exists, or what `archdsl export` would write."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

if TYPE_CHECKING:
    import numpy as np

    from archdsl.api import Network

SPEC_ONLY = frozenset({"network", "parameters", "weights", "map", "partial", "seed"})


def is_onnx(file: str) -> bool:
    """Whether FILE is a model already, and no spec."""
    return file.endswith(".onnx")


def refuse_spec_options(*also: str) -> None:
    """Raise a usage error where an option is given that only a spec can follow, or one of `also`, beside a model."""
    ctx = click.get_current_context()
    for option in ctx.command.params:
        if option.name in {*SPEC_ONLY, *also} and ctx.get_parameter_source(option.name) is ParameterSource.COMMANDLINE:
            raise click.UsageError(f"{option.opts[0]} changes a spec; an .onnx file stays as it is")


def open_inputs(network: Network) -> dict[str, tuple[int, ...]]:
    """Shapes, without the batch, for the inputs of a network that leaves sizes open: the nominal ones."""
    from archdsl.graph.sizes import at, nominal

    graph = network.checked
    return {node.path: node.type.shape for node in at(graph, nominal(graph)).inputs} if graph.symbols else {}


@contextmanager
def exported(network: Network, weights: Mapping[str, np.ndarray]) -> Iterator[Path]:
    """The deployed network as a file that is gone afterwards."""
    from archdsl.passes.pipeline import DEPLOYMENT

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{network.name}.onnx"
        network.save_onnx(path, weights, passes=DEPLOYMENT)
        yield path
