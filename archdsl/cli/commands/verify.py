"""`archdsl verify`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from archdsl.cli import options
from archdsl.language.limits import Limits

if TYPE_CHECKING:
    from archdsl.runtime.verify import VerifyResult


@click.command()
@options.network_options
@options.weight_options
@click.option("--batch", "batches", type=options.BATCH, multiple=True, default=(1, 2, 5), show_default=True,
              help="Batch size to compare (repeatable).")  # fmt: skip
@options.tolerance_option
@click.option("--opset", type=int, default=17, show_default=True, help="ONNX operator set.")
@click.option("--against", "other", metavar="OTHER.onnx",
              help="Compare with this file instead of PyTorch, on its weights.")  # fmt: skip
def command(
    file: str, network: str | None, parameters: dict[str, object], inputs: dict[str, tuple[int, ...]], limits: Limits,
    weights: str | None, seed: int, batches: tuple[int, ...], tolerance: float, opset: int,
    other: str | None,
) -> int:  # fmt: skip
    """Compare the PyTorch module with the ONNX file on onnxruntime: same weights, same inputs.

    With `--against`, compare the network with another ONNX file of it, layer by layer.

    \b
    Example: archdsl verify googlenet
    """
    from archdsl.cli.show import steps, warn_of_still

    if other is not None:
        from archdsl.cli.against import verify_against

        loaded = options.load_network(file, network, parameters, inputs, limits)
        return verify_against(loaded, other, weights, seed, batches, tolerance, opset)
    from archdsl.runtime.verify import calibrated, verify

    with steps(["checking", "initializing weights", "comparing"], options.said("quiet")) as step:
        next(step)
        loaded = options.load_network(file, network, parameters, inputs, limits)
        next(step)
        arrays = options.load_weights(loaded, weights, seed)
        next(step)
        result = verify(loaded.checked, arrays, batches, tolerance, opset=opset, seed=seed)
        if weights is None and (result.still or not result.finite):
            # with fresh batch norm statistics a deep network overflows or dies out: take a batch's, as training would
            arrays = calibrated(loaded.checked, arrays, seed)
            result = verify(loaded.checked, arrays, batches, tolerance, opset=opset, seed=seed)
    if not options.said("quiet"):
        _print(result)
        warn_of_still(result.still)
    return _verdict(result)


def _print(result: VerifyResult) -> None:
    from rich.table import Table

    from archdsl.cli.show import console

    table = Table(title=f"PyTorch against ONNX (opset {result.opset})")
    sizes = ["sizes"] if any(row.sizes for row in result.differences) else []
    for name in ("batch", *sizes, "output", "max abs", "max rel", "cosine"):
        table.add_column(name, justify="left" if name in ("output", "sizes") else "right")
    for row in result.differences:
        figures = f"{row.max_abs:.3g}", f"{row.max_rel:.3g}", f"{row.cosine:.9f}"
        table.add_row(str(row.batch), *[row.sizes][: len(sizes)], row.tensor, *figures)
    console().print(table)


def _verdict(result: VerifyResult) -> int:
    if result.agrees:
        click.echo(f"they agree within {result.tolerance:g}")
        return 0
    from archdsl.language.diagnostics import error

    if not result.finite:
        help = "these weights make numbers that no float holds; give trained ones with `--weights`"
        raise error("verify-differs", "outputs are not finite numbers, so nothing is verified", help=help)
    parted = result.first_divergence
    where = f"they part first at `{parted.tensor}`: max rel {parted.max_rel:.3g}" if parted else "no single layer parts"
    message = f"PyTorch and ONNX differ by more than {result.tolerance:g}"
    raise error("verify-differs", message, notes=(where,))
