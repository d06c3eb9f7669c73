"""Networks that are there for others to use: they need arguments, which variants and calls give them."""

from __future__ import annotations

from collections.abc import Collection

from archdsl.graph.bind import match
from archdsl.graph.lint import calls_in
from archdsl.graph.network import resolve
from archdsl.language import syntax as s
from archdsl.language.diagnostics import ArchError
from archdsl.language.program import Program


def templates(program: Program, given: Collection[str]) -> list[str]:
    """Networks of the main file that nothing says all parameters of, but which another network or block uses.

    `given` are the parameters that have values from outside.
    """
    used = {name for owner in (*program.main.blocks, *program.main.networks) for name in _used_by(owner)}
    names = (network.name for network in program.main.networks)
    return [name for name in names if name in used and not lacking(program, name) <= set(given)]


def lacking(program: Program, name: str) -> set[str]:
    """A network's parameters that its file gives no value; none where a variant cannot be made out."""
    try:
        found = resolve(program, name)
        declared = found.network.parameters
        names = tuple(parameter.name for parameter in declared)
        said = {known for variant in found.variants for known in match(variant.base, names, variant.arguments)}
    except ArchError:  # whoever checks that network says so
        return set()
    return {parameter.name for parameter in declared if parameter.default is None} - said


def _used_by(owner: s.Block | s.Network | s.Variant) -> set[str]:
    if isinstance(owner, s.Variant):
        return {owner.base}
    return {call.name for call in calls_in(owner.body)} - {owner.name}
