"""`archdsl export`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from archdsl.cli import options
from archdsl.cli.precision import check_precision, lower, precision_options, show_accuracy
from archdsl.language.limits import Limits

if TYPE_CHECKING:
    from archdsl.runtime.deploy import Prepared, Written


def passes(ctx: click.Context, option: click.Parameter, text: str | None) -> tuple[str, ...] | None:
    """`--passes fold_scale,fc_to_conv`; empty for none."""
    return None if text is None else tuple(name.strip() for name in text.split(",") if name.strip())


@click.command()
@options.network_options
@options.weight_options
@click.option("-o", "--output", required=True, metavar="X.onnx", help="The file to write.")
@click.option("--opset", type=int, default=17, show_default=True, help="ONNX operator set.")
@click.option("--batch", type=options.BATCH, help="A fixed batch; symbolic without it.")
@click.option(
    "--passes", "chosen", metavar="A,B", callback=passes, help="Just these passes; the deployment set without it."
)
@click.option("--no-fold-bn", is_flag=True, help="Leave batch norm as it is.")
@precision_options
@click.option(
    "--external",
    type=click.Choice(["auto", "always", "never"]),
    default="auto",
    show_default=True,
    help="Weights in a file of their own; auto: only above 2 GB.",
)
@click.option("--no-weights", is_flag=True, help="A skeleton: its weights are inputs.")
@click.option("--labels", metavar="F", help="A text file with one class name a line, to be kept in the model.")
@click.option("--verify", is_flag=True, help="Compare with PyTorch first, and keep the result in the model.")
@options.tolerance_option
def command(
    file: str, network: str | None, parameters: dict[str, object], inputs: dict[str, Any], limits: Limits,
    weights: str | None, seed: int, output: str, opset: int, batch: int | None, chosen: tuple[str, ...] | None,
    no_fold_bn: bool, external: str, no_weights: bool, labels: str | None, verify: bool, tolerance: float,
    precision: str, calibrate: str | None,
) -> None:  # fmt: skip
    """Write the network as ONNX for deployment: training-only parts left out, batch norm folded.

    \b
    Examples:
      archdsl export googlenet -o googlenet.onnx
      archdsl export torchvision/vgg16 --passes fc_to_conv --input image=3x256x256 -o dense.onnx
      archdsl export torchvision/resnet50 --weights W.safetensors --precision int8 --calibrate photos -o small.onnx
    """
    from archdsl.cli.show import steps, warn_of_still
    from archdsl.passes.pipeline import DEPLOYMENT, known
    from archdsl.runtime.deploy import Deployment, prepare, prove, write

    check_precision(precision, calibrate, no_weights)
    if no_weights and (verify or weights is not None):
        raise click.UsageError(f"--no-weights leaves nothing to {'--verify' if verify else '--weights'}")
    if no_fold_bn and "fold_batchnorm" in (chosen or ()):
        raise click.UsageError("--no-fold-bn and --passes disagree about fold_batchnorm")
    options.spare_inputs(output, f"{output}.data")
    wanted = DEPLOYMENT if chosen is None else known(chosen)
    wanted = tuple(name for name in wanted if not (no_fold_bn and name == "fold_batchnorm"))
    dense = "fc_to_conv" in wanted  # elaborated as the spec has it; its layers then read the other size
    how = Deployment(
        wanted, opset, batch, inputs if dense else {}, external, not no_weights,  # type: ignore[arg-type]
        options.read_labels(labels, limits),
    )  # fmt: skip
    titles = ["checking", "building the graph", "comparing with PyTorch", "lowering the precision", "writing"]
    with steps(titles, options.said("quiet")) as step:
        next(step)
        loaded = options.load_network(file, network, parameters, {} if dense else inputs, limits)
        arrays = options.load_weights(loaded, weights, seed)
        next(step)
        prepared = prepare(loaded.checked, arrays, how, loaded.counted)
        next(step)
        if verify:
            prepared = prove(loaded.checked, arrays, prepared, how, seed, tolerance)
        next(step)
        prepared, accuracy = lower(prepared, precision, calibrate)
        next(step)
        written = write(prepared, output, how)
        next(step)
    if not options.said("quiet"):
        _print(written, prepared)
        warn_of_still(prepared.still)
        if accuracy is not None:
            show_accuracy(accuracy, initialized=weights is None)


def _print(written: Written, prepared: Prepared) -> None:
    runtime = f"onnxruntime {written.runtime} or later" if written.runtime else "no onnxruntime known to read it"
    files = ", ".join(map(str, written.files))
    click.echo(f"wrote {files} (opset {written.opset}, IR version {written.ir_version}, {runtime})")
    click.echo(f"passes: {', '.join(written.applied) or 'none'}; {written.nodes:,} nodes")
    changed = [row for row in written.counts if row.logical != row.deployed]
    if not changed:
        return
    from rich.table import Table

    from archdsl.cli.show import console

    table = Table()
    for name in ("", "as written", "as deployed"):
        table.add_column(name, justify="right" if name else "left")
    for row in written.counts:
        table.add_row(row.quantity, f"{row.logical:,}", f"{row.deployed:,}")
    console().print(table)
