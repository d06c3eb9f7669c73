"""`archdsl export`."""

from __future__ import annotations

import click

from archdsl.cli import options
from archdsl.language.limits import Limits


@click.command()
@options.network_options
@options.weight_options
@click.option("-o", "--output", required=True, metavar="X.onnx", help="The file to write.")
@click.option("--opset", type=int, default=17, show_default=True, help="ONNX operator set.")
@click.option("--batch", type=click.IntRange(min=1), help="A fixed batch; symbolic without it.")
@click.option("--external", type=click.Choice(["auto", "always", "never"]), default="auto", show_default=True,
              help="Weights in a file of their own; auto: only above 2 GB.")  # fmt: skip
def command(
    file: str, network: str | None, parameters: dict[str, object], inputs: dict[str, tuple[int, ...]], limits: Limits,
    weights: str | None, seed: int, output: str, opset: int, batch: int | None, external: str,
) -> None:  # fmt: skip
    """Write the deployed network as ONNX: training-only parts left out, names as in the spec.

    \b
    Example: archdsl export googlenet -o googlenet.onnx
    """
    from archdsl.cli.show import steps
    from archdsl.emit.onnx.model import onnx_model
    from archdsl.emit.onnx.writer import save

    with steps(["checking", "initializing weights", "building the graph", "writing"], options.said("quiet")) as step:
        next(step)
        loaded = options.load_network(file, network, parameters, inputs, limits)
        next(step)
        arrays = options.load_weights(loaded, weights, seed)
        next(step)
        model = onnx_model(loaded.checked, arrays, opset=opset, batch=batch)
        next(step)
        written = save(model, output, external)  # type: ignore[arg-type]
        next(step)
    if not options.said("quiet"):
        click.echo(f"wrote {', '.join(map(str, written))} (opset {opset}, IR version {model.ir_version})")
