"""`archdsl verify --against OTHER.onnx`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from archdsl.cli import options

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np

    from archdsl.api import Network
    from archdsl.runtime.against import AgainstResult


def verify_against(
    loaded: Network, other: str, weights: str | None, seed: int, batches: tuple[int, ...], tolerance: float, opset: int
) -> int:
    """Compare, print and judge; raises `ArchError` (`verify-differs`, and those of `against`)."""
    from archdsl.runtime.against import against

    given = options.load_weights(loaded, weights, seed) if weights is not None else None
    named = _named(loaded, other) if weights is None else None
    asked = batches if _is_given("batches") else None
    result = against(loaded.checked, other, given, named, asked, tolerance, opset=opset, seed=seed)
    if not options.said("quiet"):
        _print(result, other, weights)
    return _verdict(result, other)


def _is_given(option: str) -> bool:
    """By the user; the default gives way to what the file fixes."""
    source = click.get_current_context().get_parameter_source(option)
    return source not in (ParameterSource.DEFAULT, ParameterSource.DEFAULT_MAP)


def _named(loaded: Network, other: str) -> Mapping[str, np.ndarray]:
    """The other file's arrays by the network's names, as `--map` or the spec translate them."""
    from archdsl.weights.maps import mapped
    from archdsl.weights.read import read_weights

    name = click.get_current_context().meta.get("archdsl.map")
    return mapped(loaded.checked, read_weights(other), name)


def _print(result: AgainstResult, other: str, weights: str | None) -> None:
    from rich.table import Table
    from rich.text import Text

    from archdsl.cli.show import console

    table = Table(title="the spec's network against the other file")
    for name in ("batch", "output", "theirs", "max abs", "max rel", "cosine"):
        table.add_column(name, justify="left" if name in ("output", "theirs") else "right")
    for row in result.outputs:
        found = row.difference
        figures = f"{found.max_abs:.3g}", f"{found.max_rel:.3g}", f"{found.cosine:.9f}"
        table.add_row(str(found.batch), Text(row.ours), Text(row.theirs), *figures)
    out = console()
    out.print(table)
    for line in _remarks(result, other, weights):
        out.print(line, markup=False, highlight=False, soft_wrap=True)


def _remarks(result: AgainstResult, other: str, weights: str | None) -> list[str]:
    """Where the weights come from, how many layers were compared, and how many of them agree."""
    ours, theirs = result.alignment.nodes
    pairs, named = len(result.alignment.pairs), result.alignment.named
    parted = sum(map(result.parted, result.layers))
    source = (
        f"from {other}, {result.by_name} by name and {result.by_structure} by their layers" if weights is None else ""
    )
    inside = f"{parted} of them differ by more than {result.tolerance:g}" if parted else "all of them agree"
    if parted and result.agrees:
        inside += ", which later layers make up for: what is written as two layers here may be one there"
    return [
        f"weights: {source or f'those of {weights}; {other} has its own'}",
        f"layers: {pairs} of {ours} here and {theirs} there go together, {named} by name; {inside}",
    ]


def _verdict(result: AgainstResult, other: str) -> int:
    if result.agrees:
        click.echo(f"they agree within {result.tolerance:g}")
        return 0
    from archdsl.language.diagnostics import error

    if not result.finite:
        raise error("verify-differs", "outputs are not finite numbers, so nothing is verified")
    parted = result.first_divergence
    found = parted.difference.max_rel if parted else 0
    where = f"they part first at `{parted.ours}`, theirs `{parted.theirs}`: max rel {found:.3g}" if parted else ""
    notes = (where or "no layer that goes together with one of theirs parts",)
    raise error("verify-differs", f"the network and `{other}` differ by more than {result.tolerance:g}", notes=notes)
