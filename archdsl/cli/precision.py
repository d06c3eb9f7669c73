"""`--precision` and `--calibrate`: a deployed network in fewer bits, and what a person reads about that."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from archdsl.cli import options

if TYPE_CHECKING:
    from archdsl.runtime.deploy import Prepared
    from archdsl.runtime.precision import Accuracy, Likeness


def precision_options(command: options.Command) -> options.Command:
    """`--precision` and `--calibrate`."""
    for option in reversed(_PRECISION):
        command = option(command)
    return command


_PRECISION = (
    click.option("--precision", type=click.Choice(["fp32", "fp16", "int8"]), default="fp32", show_default=True,
                 help="Of the weights and the arithmetic; int8 needs --calibrate."),
    click.option("--calibrate", metavar="DIR", help="Images, or .npz samples, to calibrate and compare on."),
)  # fmt: skip


def check_precision(precision: str, calibrate: str | None, no_weights: bool) -> None:
    """Refuse options that contradict each other before anything is built."""
    if precision == "fp32" and calibrate is not None:
        raise click.UsageError("--calibrate goes with --precision int8 or fp16")
    if precision != "fp32" and no_weights:
        raise click.UsageError(f"--no-weights leaves nothing to write as {precision}")


def lower(prepared: Prepared, precision: str, folder: str | None) -> tuple[Prepared, Accuracy | None]:
    """The network in that precision, and what it cost; unreadable samples are told as warnings."""
    if precision == "fp32":
        return prepared, None
    from archdsl.emit.onnx.model import deployed_inputs
    from archdsl.runtime.calibration import read_samples
    from archdsl.runtime.precision import lowered

    samples = None if folder is None else read_samples(folder, deployed_inputs(prepared.deployed))
    options.show_warnings(list(samples.skipped) if samples else [])
    return lowered(prepared, precision, samples)  # type: ignore[arg-type]


def show_accuracy(accuracy: Accuracy, initialized: bool) -> None:
    """The comparison with fp32, and what the numbers are worth."""
    count = f"{accuracy.samples} sample{'s' if accuracy.samples > 1 else ''}"
    samples = {
        "held back": f"{count} held back from {accuracy.calibrated + accuracy.samples}",
        "calibrated on": f"{count} that it was calibrated on, too few to hold one back",
        "given": count,
        "random": f"{count} of random numbers; --calibrate compares on real ones",
    }
    click.echo(f"{accuracy.precision} against fp32 on {samples[accuracy.basis]}:")
    for found in accuracy.outputs:
        click.echo(f"  {_line(found, accuracy.samples)}")
    click.echo(f"  {' -> '.join(map(_size, accuracy.bytes))}")
    if initialized:
        click.echo("  no --weights: the network is freshly initialized, so this says little about a trained one")


def _size(bytes: int) -> str:
    return f"{bytes / 10**6:.1f} MB" if bytes >= 10**6 else f"{bytes / 10**3:.1f} kB"


def _line(found: Likeness, samples: int) -> str:
    cosine = f"{found.output}: cosine {found.cosine:.5f}, at worst {found.worst:.5f}"
    apart = "" if found.apart is None else f" (different samples: {found.apart:.5f})"
    same = "" if found.same_class is None else f"; same top class on {found.same_class} of {samples}"
    return cosine + apart + same
