"""`archdsl compile`."""

from __future__ import annotations

import click

from archdsl.cli import options
from archdsl.language.limits import Limits


@click.command()
@options.network_options
@options.weight_options
@click.option("--batch", type=options.BATCH, help="A fixed batch, which figures are for too; symbolic, and 1, without.")
@click.option("-o", "--output", "folder", default="build", show_default=True, metavar="DIR", help="Where to write.")
@click.option("--opset", type=int, default=17, show_default=True, help="ONNX operator set.")
@click.option("--depth", type=click.IntRange(min=0), default=1, show_default=True, help="Levels of the printed report.")
def command(
    file: str, network: str | None, parameters: dict[str, object], inputs: dict[str, tuple[int, ...]], limits: Limits,
    weights: str | None, seed: int, batch: int | None, folder: str, opset: int, depth: int,
) -> None:  # fmt: skip
    """Check a network and write NAME.onnx, NAME.py and NAME.report.json.

    \b
    Example: archdsl compile specs/googlenet.arch -o build
    """
    from archdsl.cli.show import console, steps
    from archdsl.emit.report import text
    from archdsl.emit.torch.source import torch_source
    from archdsl.language.output import make_folder, refuse_special, write_atomic

    with steps(
        ["checking", "initializing weights", "writing PyTorch", "reporting", "writing"], options.said("quiet")
    ) as step:
        next(step)
        loaded = options.load_network(file, network, parameters, inputs, limits)
        next(step)
        arrays = options.load_weights(loaded, weights, seed)
        target = make_folder(folder)
        model, source, figures = (target / f"{loaded.name}.{ending}" for ending in ("onnx", "py", "report.json"))
        options.spare_inputs(model, f"{model}.data", source, figures)
        refuse_special(model, source, figures)
        next(step)
        texts = {source: torch_source(loaded.checked)}  # all that may fail comes before anything is written
        next(step)
        report = loaded.report(batch or 1)
        texts[figures] = text.to_json(report)
        next(step)
        written = [*loaded.save_onnx(model, arrays, opset=opset, batch=batch), *texts]
        for path, content in texts.items():
            write_atomic(path, content.encode())
        next(step)
    if options.said("quiet"):
        return
    from archdsl.emit.report.table import render_table

    render_table(report, console(), depth)
    click.echo("wrote " + ", ".join(str(path) for path in written))
