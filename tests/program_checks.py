"""What has to hold for a valid program: its report adds up, and both of its forms give the same numbers."""

from __future__ import annotations

import warnings

import numpy as np
import torch
from program_strategy import Program
from spec_weights import ordinary_weights
from support import compiled

import archdsl
from archdsl.emit.torch.module import module
from archdsl.graph.graph import CheckedGraph
from archdsl.runtime.verify import Difference, difference, draw_inputs, opened, run_torch
from archdsl.runtime.verify import compare as compared

TOLERANCE = 1e-4  # of the largest output
BATCHES = (1, 3)
ROUNDINGS = 8  # of one number, one after the other, in as small a network


def check_program(program: Program) -> str:
    """`agrees`, or why nothing was compared; AssertionError or whatever the compiler raises for a finding."""
    try:
        net = compiled(program.text, "main")
        weights = ordinary_weights(net)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            trained = ((name, value) for name, value in net.torch(weights).named_parameters() if value.requires_grad)
            counts = {name: value.numel() for name, value in trained}
            check_report(net, counts)
            check_claims(program, net, counts)
            return check_agreement(net, weights)
    except archdsl.ArchError as refusal:
        if all(excused(diagnostic) for diagnostic in refusal.diagnostics):
            return "excused"
        raise AssertionError("\n".join(f"{d.code}: {d.message}" for d in refusal.diagnostics)) from refusal


def excused(diagnostic: archdsl.Diagnostic) -> bool:
    """Whether an open size is why: what a form cannot say of it is in its documentation."""
    said = diagnostic.code.endswith("-unsupported") and " depends on " in diagnostic.message
    return said or diagnostic.code.startswith("symbolic-")


def check_report(net: archdsl.Network, counts: dict[str, int]) -> None:
    """Totals are the sums of the rows; parameters are those of the module."""
    found = net.report().to_dict()
    assert found["training_totals"]["params"] == sum(counts.values())
    for quantity in ("params", "macs", "flops"):
        deployed = [layer[quantity] for layer in found["layers"] if not layer["training_only"]]
        assert found["totals"][quantity] == sum(deployed), quantity


def check_claims(program: Program, net: archdsl.Network, counts: dict[str, int]) -> None:
    """The program with what PyTorch counts under some stages as claims compiles; with one more it does not."""
    stages = [(number, path) for number, path in program.stages if path in net.checked.stages]  # `a: skip` is none
    if not stages or net.checked.uses:  # weights of a module lie elsewhere
        return
    lines = program.text.split("\n")
    for number, path in stages:
        params = sum(count for key, count in counts.items() if key == path or key.startswith(f"{path}."))
        lines[number] += f" expect params = {params}"
    compiled("\n".join(lines), "main")
    number, path = stages[0]
    try:
        lines[number] += " + 1"
        compiled("\n".join(lines), "main")
    except archdsl.ArchError as refusal:
        codes = [diagnostic.code for diagnostic in refusal.diagnostics if diagnostic.severity == "error"]
        if codes == ["expect-failed"]:
            return
    raise AssertionError(f"a false claim about {path} is not refused as one")


def check_agreement(net: archdsl.Network, weights: dict[str, np.ndarray]) -> str:
    """Within the tolerance, unless the network itself magnifies the rounding of its inputs beyond that."""
    found = compared(net.checked, weights, BATCHES, 17, 0)
    worst = max(found, key=lambda item: item.max_rel)
    if worst.max_rel <= TOLERANCE:
        return "agrees"
    if cancelled(net.checked, weights, worst) or ill_conditioned(net.checked, weights, worst):
        return "ill-conditioned"
    raise AssertionError(f"the forms differ: {worst}")


def cancelled(graph: CheckedGraph, weights: dict[str, np.ndarray], worst: Difference) -> bool:
    """Whether the difference is what rounding leaves of the largest number on the way, as in a group norm's mean.

    Norms divide by no less than the root of their eps: where all that comes out is rounding that was magnified so, as
    over a region of equal numbers, there is nothing to compare.
    """
    whole, _ = opened(graph)
    [found] = run_torch(whole, weights, [draw_inputs(graph, worst.batch, 0)])
    real = [array[np.isfinite(array)] for array in found.values() if array.dtype.kind == "f"]
    largest = max(float(np.abs(array).max(initial=0)) for array in real)
    rounding = ROUNDINGS * float(np.finfo(np.float32).eps) * largest
    magnified = rounding / min([1, *(layer.op.eps**0.5 for layer in graph.layers if getattr(layer.op, "eps", 0))])
    return worst.max_abs <= rounding or max(worst.max_abs, worst.max_abs / worst.max_rel) <= magnified


def ill_conditioned(graph: CheckedGraph, weights: dict[str, np.ndarray], worst: Difference) -> bool:
    """Whether rounding moves PyTorch's own result by a tenth of what is allowed.

    That of the weights and inputs, in their last bits, or that on the way, of which computing with twice the digits is
    free: the difference of two numbers that are almost equal has as few right digits whatever the inputs are.
    """
    inputs = draw_inputs(graph, worst.batch, 0)
    noise = np.random.default_rng(0)
    others = ({name: _moved(value, noise) for name, value in arrays.items()} for arrays in (weights, inputs))
    [first] = run_torch(graph, weights, [inputs])
    [second] = run_torch(graph, next(others), [next(others)])
    again = (second[worst.tensor], in_double(graph, weights, inputs, worst.tensor))
    moved = (difference(worst.batch, worst.tensor, first[worst.tensor], other).max_rel for other in again)
    return max(moved) > TOLERANCE / 10


def in_double(
    graph: CheckedGraph, weights: dict[str, np.ndarray], inputs: dict[str, np.ndarray], name: str
) -> np.ndarray:
    """The output of that name from the generated module, computed in float64."""
    doubled = [array.astype(np.float64) if array.dtype.kind == "f" else array for array in inputs.values()]
    with torch.inference_mode():
        result = module(graph, weights).eval().double()(*map(torch.from_numpy, doubled))
    return (result[name] if isinstance(result, dict) else result).numpy()


def _moved(value: np.ndarray, noise: np.random.Generator) -> np.ndarray:
    if value.dtype.kind != "f":
        return value
    return value * (1 + 2e-7 * noise.choice((-1, 1), value.shape)).astype(value.dtype)
