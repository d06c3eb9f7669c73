"""`archdsl run`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from archdsl.cli import options
from archdsl.language.limits import Limits

if TYPE_CHECKING:
    from archdsl.runtime.run import RunResult


@click.command()
@options.network_options
@options.weight_options
@click.option("--image", required=True, metavar="P", help="A photograph (any format that Pillow reads).")
@click.option("--device", type=click.Choice(["cpu", "cuda"]), default="cpu", show_default=True,
              help="cuda fails where there is none; it never falls back.")  # fmt: skip
@click.option("--top", type=click.IntRange(min=1), default=5, show_default=True, help="Classes to print.")
@click.option("--labels", metavar="F", help="A text file with one class name a line; the model's own without it.")
def command(
    file: str, network: str | None, parameters: dict[str, object], inputs: dict[str, tuple[int, ...]], limits: Limits,
    weights: str | None, seed: int, image: str, device: str, top: int, labels: str | None,
) -> None:  # fmt: skip
    """Run a spec, or an .onnx file that archdsl wrote, on a photograph with onnxruntime.

    \b
    Example: archdsl run specs/googlenet.arch --image photo.jpg
    """
    from archdsl.cli.models import is_onnx, refuse_spec_options
    from archdsl.runtime.labels import check_labels
    from archdsl.runtime.run import run

    names = options.read_labels(labels, limits)
    model: str | bytes = file
    if is_onnx(file):
        refuse_spec_options("inputs")
    else:
        loaded = options.load_network(file, network, parameters, inputs, limits)
        model = loaded.onnx(options.load_weights(loaded, weights, seed)).SerializeToString()
        if weights is None and not options.said("quiet"):
            click.echo(
                f"no --weights: the network is freshly initialized (seed {seed}), so its classes mean nothing", err=True
            )
    result = run(model, image, device, top)  # type: ignore[arg-type]
    check_labels(names, {name: shape[1:] for name, shape in result.shapes.items()})
    _print(result, names)


def _print(result: RunResult, names: tuple[str, ...]) -> None:
    from rich.table import Table

    from archdsl.cli.show import console
    from archdsl.runtime.labels import has_classes

    out = console()
    names = names or result.labels
    if result.classes:
        if not has_classes(result.shapes[result.output][1:], len(names)):
            names = ()  # those of another output
        table = Table(title=f"top classes ({result.output})")
        table.add_column("class", justify="right")
        table.add_column("name")
        table.add_column("probability", justify="right")
        for item in result.classes:
            name = names[item.index] if item.index < len(names) else ""
            table.add_row(str(item.index), name, f"{item.probability:.4%}")
        out.print(table)
    else:
        for name, shape in result.shapes.items():
            out.print(f"{name}: {list(shape)}")
    size = "x".join(map(str, result.input_shape))
    out.print(f"{result.latency_ms:.2f} ms on {result.device} (median of {result.repeats} runs, input {size})")
