"""Options that several commands share, and the network they ask for."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from archdsl.language.diagnostics import ArchError, Diagnostic, error
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
    """`--weights`, `--map`, `--partial` and `--seed`."""
    return weight_file_options(_SEED(command))


def weight_file_options(command: Command) -> Command:
    """`--weights`, `--map` and `--partial`."""
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
    what = "a name means nothing here"
    raise click.BadParameter(f"{what}: a string is written '\"...\"', and the words are true and false")


def shapes(ctx: click.Context, option: click.Parameter, texts: tuple[str, ...]) -> dict[str, tuple[int | str, ...]]:
    """`--input image=3x299x299`, or with open sizes `--input image=3xHxW`."""
    found = {}
    for text in texts:
        name, value = _setting(text, "name=CxHxW, e.g. image=3x299x299")
        sizes = value.split("x")
        if len(value) > 100 or not all(map(_is_size, sizes)):
            raise click.BadParameter(f"{value!r} is not a shape such as 3x299x299, 3xHxW or 3xH:32..512xW")
        found[name] = tuple(int(size) if size.isdigit() else size for size in sizes)
    return found


def _is_size(text: str) -> bool:
    if re.fullmatch(r"[0-9]+", text):
        return text[0] != "0"
    from archdsl.graph.dimensions import SYMBOL

    return SYMBOL.fullmatch(text) is not None


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


def remember(ctx: click.Context, option: click.Parameter, value: object) -> None:
    """Keep how much is to be said, or how weights are to be read, where every part of the command can ask for it."""
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
                 help="Override an input's shape, e.g. image=3x299x299; names leave sizes open: image=3xHxW."),
    click.option("--limit", "limits", multiple=True, metavar="NAME=N", callback=limits,
                 help=f"Raise a limit: {', '.join(LIMIT_NAMES)}."),
    verbosity_options,
)  # fmt: skip
#: onnxruntime and NumPy count in 32 bits here and there
BATCH = click.IntRange(min=1, max=2**31 - 1)
#: more are of no use, and hundreds wait for each other for minutes
THREADS = click.IntRange(min=1, max=4 * (os.cpu_count() or 1))
_WEIGHTS = (
    click.option("--weights", metavar="F",
                 help="Weights: .safetensors, .npz, .pth, .pt or .onnx; initialized by the spec without it."),
    click.option("--map", metavar="M", expose_value=False, callback=remember,
                 help="Rules for the names in F: a .toml file, or timm, torchvision or caffe."),
    click.option("--partial", is_flag=True, expose_value=False, callback=remember,
                 help="Load what fits, say what does not, and initialize the rest."),
)  # fmt: skip
_SEED = click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True,
                     help="Seed of the initialization.")  # fmt: skip


def _tolerance(ctx: click.Context, option: click.Parameter, value: float) -> float:
    if not value >= 0:  # so is NaN
        raise click.BadParameter(f"{value:g} is no number of 0 or more")
    return value


tolerance_option = click.option("--tolerance", type=float, default=1e-5, show_default=True, callback=_tolerance,
                                help="Largest allowed max abs difference / max abs output.")  # fmt: skip


def load_network(
    file: str, network: str | None, parameters: dict[str, object], inputs: dict[str, tuple[int, ...]], limits: Limits
) -> Network:
    """The checked network that the options ask for; its warnings are shown, with `-v` its notes too."""
    from archdsl.api import load_with

    loaded = load_with(file, network, parameters, inputs, limits)
    show_warnings([found for found in loaded.diagnostics if found.severity != "note" or said("verbose")])
    return loaded


def load_weights(loaded: Network, path: str | None, seed: int) -> Mapping[str, np.ndarray]:
    """The network's weights: from a file, by `--map` and `--partial`, else initialized. Each is made when it is read.

    What a file lacks is told at once, numbers in it that are NaN or infinite when the command has ended.
    """
    from archdsl.weights.fit import fit, headers_of
    from archdsl.weights.initialize import lazy_initialize
    from archdsl.weights.maps import mapped
    from archdsl.weights.match import complete, remarks
    from archdsl.weights.read import read_weights

    if path is None:
        return lazy_initialize(loaded.checked, seed)
    meta = click.get_current_context().meta
    partial = bool(meta.get("archdsl.partial"))
    checkpoint = mapped(loaded.checked, read_weights(path), meta.get("archdsl.map"))
    arrays = complete(loaded.checked, checkpoint, seed, strict=True, partial=partial, notice=_at_end(path))
    found = [*checkpoint.remarks, *remarks(fit(loaded.checked, headers_of(checkpoint)), path, partial)]
    show_warnings([remark for remark in found if remark.severity != "note" or said("verbose")])
    return arrays


def read_labels(path: str | None, limits: Limits) -> tuple[str, ...]:
    """The lines of a text file; none where no file is named. Raises `ArchError`: a file without lines names nothing."""
    if path is None:
        return ()
    from archdsl.language.program import read_source

    if Path(path).is_dir():
        help = "name a text file with one class name a line"
        raise error("not-a-file", f"`{path}` is a directory", help=help)
    text = read_source(Path(path), path, limits).text
    *lines, last = re.split(r"\r\n|\n|\r", text)  # at ends of lines alone: a name may hold what Python takes for one
    if last:
        lines.append(last)
    if not lines:
        raise error("labels", f"`{path}` is empty", help="write one class name a line, in the order of the scores")
    return tuple(lines)


def spare_inputs(*outputs: str | Path) -> None:
    """Refuse to write over what the command reads: FILE, and the files that its options name.

    Raises `ArchError` (`cannot-write`). To be called before anything is written.
    """
    from archdsl.library import find

    context = click.get_current_context()
    given = context.params
    read = {f"--{name}": given.get(name) for name in ("weights", "labels", "against")}
    read |= {"FILE": find(given["file"], None)[0], "--map": context.meta.get("archdsl.map")}
    for output in outputs:
        for option, path in read.items():
            if path and _are_one(path, output):
                message = f"cannot write `{output}`: it is what {option} reads"
                raise error("cannot-write", message, help="give the output another name")


def _are_one(path: str | Path, other: str | Path) -> bool:
    """Both exist, and are the same file, by whatever name."""
    try:
        return Path(path).samefile(other)
    except (OSError, ValueError):  # one of them is not there, or can be no name
        return False


def _at_end(path: str) -> Callable[[str], None]:
    """Takes the names of arrays that hold NaN; the warning about all of them comes when the command has ended."""
    names: dict[str, None] = {}

    def show() -> None:
        from archdsl.weights.match import not_finite

        if names:
            show_warnings([not_finite(path, list(names))])

    click.get_current_context().call_on_close(show)
    return lambda name: names.update({name: None})


def show_warnings(diagnostics: list[Diagnostic]) -> None:
    """On stderr, unless `--quiet`."""
    from archdsl.cli.show import show_diagnostics

    if diagnostics and not said("quiet"):
        show_diagnostics(diagnostics)
