"""`archdsl compile`."""

from __future__ import annotations

from pathlib import Path

import click

from archdsl.cli import options
from archdsl.language.limits import Limits


@click.command()
@options.network_options
@options.weight_options
@click.option("-o", "--output", "folder", default="build", show_default=True, metavar="DIR", help="Where to write.")
@click.option("--opset", type=int, default=17, show_default=True, help="ONNX operator set.")
@click.option("--depth", type=click.IntRange(min=0), default=1, show_default=True, help="Levels of the printed report.")
def command(
    file: str, network: str | None, parameters: dict[str, object], inputs: dict[str, tuple[int, ...]], limits: Limits,
    weights: str | None, seed: int, folder: str, opset: int, depth: int,
) -> None:  # fmt: skip
    """Check a network and write NAME.onnx, NAME.py and NAME.report.json.

    \b
    Example: archdsl compile specs/googlenet.arch -o build
    """
    from archdsl.cli.show import console, steps
    from archdsl.emit.report import text
    from archdsl.emit.torch.source import torch_source
    from archdsl.language.output import make_folder

    with steps(
        ["checking", "initializing weights", "writing ONNX", "writing PyTorch", "reporting"], options.said("quiet")
    ) as step:
        next(step)
        loaded = options.load_network(file, network, parameters, inputs, limits)
        next(step)
        arrays = options.load_weights(loaded, weights, seed)
        target = make_folder(folder)
        model, source, figures = (target / f"{loaded.name}.{ending}" for ending in ("onnx", "py", "report.json"))
        options.spare_inputs(model, f"{model}.data", source, figures)
        next(step)
        written = list(loaded.save_onnx(model, arrays, opset=opset))
        next(step)
        written.append(_write(source, torch_source(loaded.checked)))
        next(step)
        report = loaded.report()
        written.append(_write(figures, text.to_json(report)))
        next(step)
    if options.said("quiet"):
        return
    from archdsl.emit.report.table import render_table

    render_table(report, console(), depth)
    click.echo("wrote " + ", ".join(str(path) for path in written))


def _write(path: Path, text: str) -> Path:
    from archdsl.language.output import write_atomic

    write_atomic(path, text.encode())
    return path
