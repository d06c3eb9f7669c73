"""Options that several commands share, and the network they ask for."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import click

from archdsl.language.diagnostics import ArchError
from archdsl.language.limits import LIMIT_NAMES, Limits

if TYPE_CHECKING:
    import numpy as np

    from archdsl.api import Network

Command = Callable[..., Any]


def network_options(command: Command) -> Command:
    """FILE, `--network`, `--set`, `--input`, `--limit`."""
    for option in reversed(_NETWORK):
        command = option(command)
    return command


def weight_options(command: Command) -> Command:
    """`--weights` and `--seed`."""
    for option in reversed(_WEIGHTS):
        command = option(command)
    return command


def _setting(text: str, what: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        raise click.BadParameter(f"{text!r} is not of the form {what}")
    return name.strip(), value.strip()


def parameters(ctx: click.Context, option: click.Parameter, texts: tuple[str, ...]) -> dict[str, object]:
    """`--set name=value`: the value is an expression of the language."""
    found = {}
    for text in texts:
        name, value = _setting(text, "name=value, e.g. classes=10")
        found[name] = _expression(value)
    return found


def _expression(text: str) -> object:
    from archdsl.graph.evaluate import Place, evaluate
    from archdsl.graph.functions import BUILTINS
    from archdsl.graph.values import Env
    from archdsl.language.parse import parse
    from archdsl.language.source import Source

    try:
        let = parse(Source("--set", f"let value = {text}"), Limits()).lets[0]
        return evaluate(let.value, Place(Env(dict(BUILTINS)), None, _no_stage, Limits()))
    except (ArchError, IndexError) as failure:
        reason = failure.diagnostics[0].message if isinstance(failure, ArchError) else "it is empty"
        raise click.BadParameter(f'{text!r} is not a value: {reason} (a string is written as "...")') from None


def _no_stage(path: object) -> object:
    raise click.BadParameter("a parameter cannot be a tensor")


def shapes(ctx: click.Context, option: click.Parameter, texts: tuple[str, ...]) -> dict[str, tuple[int, ...]]:
    """`--input image=3x299x299`."""
    found = {}
    for text in texts:
        name, value = _setting(text, "name=CxHxW, e.g. image=3x299x299")
        if not re.fullmatch(r"[1-9]\d*(x[1-9]\d*)*", value) or len(value) > 100:
            raise click.BadParameter(f"{value!r} is not a shape such as 3x299x299")
        found[name] = tuple(map(int, value.split("x")))
    return found


def limits(ctx: click.Context, option: click.Parameter, texts: tuple[str, ...]) -> Limits:
    """`--limit layers=100000`."""
    found = {}
    for text in texts:
        name, value = _setting(text, "name=number, e.g. layers=100000")
        if name not in LIMIT_NAMES:
            raise click.BadParameter(f"there is no limit {name!r}; there are {', '.join(LIMIT_NAMES)}")
        if not value.replace("_", "").isdigit() or len(value) > 25:
            raise click.BadParameter(f"{value!r} is not a whole number")
        found[name.replace("-", "_")] = int(value)
    assert set(found) <= {field.name for field in fields(Limits)}
    return Limits(**found)


def remember(ctx: click.Context, option: click.Parameter, value: bool) -> None:
    """Keep how much is to be said where every part of the command can ask for it."""
    assert option.name is not None
    ctx.meta[f"archdsl.{option.name}"] = value


def said(word: str) -> bool:
    """Whether `quiet` or `verbose` was asked for."""
    return bool(click.get_current_context().meta.get(f"archdsl.{word}"))


def verbosity_options(command: Command) -> Command:
    """`-q` and `-v`."""
    for option in reversed(_VERBOSITY):
        command = option(command)
    return command


_VERBOSITY = (
    click.option("-q", "--quiet", is_flag=True, expose_value=False, callback=remember,
                 help="Print nothing but errors and what was asked for."),
    click.option("-v", "--verbose", is_flag=True, expose_value=False, callback=remember,
                 help="Print notes too, besides warnings."),
)  # fmt: skip
quiet_option = _VERBOSITY[0]
_NETWORK = (
    click.argument("file"),
    click.option("--network", metavar="NAME", help="Network of the file; its first where none is named."),
    click.option("--set", "parameters", multiple=True, metavar="NAME=VALUE", callback=parameters,
                 help="Override a parameter of the network (repeatable)."),
    click.option("--input", "inputs", multiple=True, metavar="NAME=CxHxW", callback=shapes,
                 help="Override an input's shape, e.g. image=3x299x299."),
    click.option("--limit", "limits", multiple=True, metavar="NAME=N", callback=limits,
                 help=f"Raise a limit: {', '.join(LIMIT_NAMES)}."),
    verbosity_options,
)  # fmt: skip
_WEIGHTS = (
    click.option("--weights", metavar="F", help="Weights by name (.npz); initialized by the spec without it."),
    click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True,
                 help="Seed of the initialization."),
)  # fmt: skip


def load_network(
    file: str, network: str | None, parameters: dict[str, object], inputs: dict[str, tuple[int, ...]], limits: Limits
) -> Network:
    """The checked network that the options ask for; its warnings are shown, with `-v` its notes too."""
    from archdsl.api import load_with
    from archdsl.cli.show import show_diagnostics

    loaded = load_with(file, network, parameters, inputs, limits)
    shown = [found for found in loaded.diagnostics if found.severity != "note" or said("verbose")]
    if shown and not said("quiet"):
        show_diagnostics(shown)
    return loaded


def load_weights(loaded: Network, path: str | None, seed: int) -> dict[str, np.ndarray]:
    """The network's weights: from a file, else initialized."""
    if path is None:
        return loaded.initialize(seed)
    from archdsl.weights.match import complete
    from archdsl.weights.read import read_weights

    return complete(loaded.checked, read_weights(path), seed, strict=True)
