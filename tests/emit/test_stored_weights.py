"""Normalized weights and connection tables in both forms, initialized, and after passes; PyTorch is the authority."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hand_built import run_onnx
from hypothesis import given, settings
from hypothesis import strategies as st
from support import compiled
from torch import nn
from torch.nn.functional import conv2d
from torch.nn.utils.parametrizations import spectral_norm, weight_norm

import archdsl
from archdsl.emit.torch.module import execute
from archdsl.passes.pipeline import DEPLOYMENT, run_passes
from archdsl.runtime.verify import verify

NORMS: dict[str, Callable[..., nn.Module]] = {"weight": weight_norm, "spectral": spectral_norm}
CASES: dict[str, tuple[str, tuple[int, ...], Callable[[], nn.Module]]] = {
    "conv": ("conv(8, 3, groups = 2, norm = NORM)", (4, 7, 7), lambda: nn.Conv2d(4, 8, 3, groups=2)),
    "conv1d": ("conv(5, 4, bias = false, norm = NORM)", (4, 9), lambda: nn.Conv1d(4, 5, 4, bias=False)),
    "deconv": ("deconv(6, 3, stride = 2, norm = NORM)", (4, 5, 5), lambda: nn.ConvTranspose2d(4, 6, 3, stride=2)),
    "linear": ("linear(5, norm = NORM)", (7,), lambda: nn.Linear(7, 5)),
    "sequence": ("linear(5, norm = NORM)", (3, 7), lambda: nn.Linear(7, 5)),
}
#: A batch norm behind each, and a discriminator that is used twice.
NETWORK = """
block unit(norm) { conv(6, 3, pad = 1, bias = false, norm = norm) -> batchnorm -> relu }

network n {
    input x: [6, 8, 8]
    input y: [6, 8, 8]
    module twice: {
        a: unit(spectral)
        b: conv(6, 3, table = [[0], [1, 2], [0, 5], [3], [1, 4], [2, 3, 5]]) -> batchnorm
    }
    p: twice        from @x
    q: twice        from @y
    add { @p; @q }
    unit(weight) -> conv(4, 3, table = [[0, 1], [2], [3, 4], [5]]) -> batchnorm
    output z: deconv(3, 2, norm = spectral) -> batchnorm -> flatten -> linear(4, norm = weight)
}
"""


def network(case: str, norm: str) -> tuple[archdsl.Network, nn.Module]:
    """The layer in a network, and PyTorch's own with the weights that the network begins with."""
    text, shape, module = CASES[case]
    net = compiled(f"network n {{ input x: {list(shape)}; a: {text.replace('NORM', norm)} }}")
    own = NORMS[norm](module())
    own.load_state_dict({key.removeprefix("a."): torch.from_numpy(value) for key, value in net.initialize(3).items()})
    return net, own.eval()


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("case", CASES)
def test_both_forms_are_pytorchs_layer(case: str, norm: str) -> None:
    net, own = network(case, norm)
    x = torch.randn((2, *CASES[case][1]), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = own(x).numpy()
        np.testing.assert_allclose(net.torch(net.initialize(3)).eval()(x).numpy(), expected, rtol=1e-6, atol=1e-6)
    for passes in ((), ("plain_weights",)):
        (found,) = run_onnx(net.onnx(net.initialize(3), passes=passes), {"x": x.numpy()})
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("case", CASES)
def test_a_weight_begins_as_it_would_without_its_norm(case: str) -> None:
    """The length is that of the direction, so that nothing changes; as PyTorch sets it."""
    _, own = network(case, "weight")
    direction = own.parametrizations.weight.original1
    torch.testing.assert_close(own.weight, direction, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("case", CASES)
def test_the_largest_singular_value_begins_near_one(case: str) -> None:
    """The power method has run as long as PyTorch lets it; from what PyTorch draws itself it ends as near."""
    _, own = network(case, "spectral")
    rows = 1 if "deconv" in case else 0
    ours = torch.linalg.matrix_norm(own.weight.movedim(rows, 0).flatten(1), 2).item()
    left, right = own.parametrizations.weight[0]._u, own.parametrizations.weight[0]._v
    assert ours == pytest.approx(1, abs=0.05)
    assert left.norm().item() == pytest.approx(1, abs=1e-5)
    assert right.norm().item() == pytest.approx(1, abs=1e-5)


@given(st.lists(st.sets(st.integers(0, 4), min_size=1), min_size=1, max_size=5), st.integers(1, 2), st.booleans())
@settings(max_examples=15, deadline=None)
def test_a_table_is_a_masked_convolution(rows: list[set[int]], stride: int, bias: bool) -> None:
    table = [sorted(row) for row in rows]
    arguments = f"{len(table)}, 3, stride = {stride}, pad = [1, 0, 0, 1], table = {table}, bias = {str(bias).lower()}"
    net = compiled(f"network n {{ input x: [5, 6, 6]; a: conv({arguments}) }}")
    weights = net.initialize()
    full = torch.zeros(len(table), 5, 3, 3)
    stored = iter(torch.from_numpy(weights["a.weight"]))
    for out, row in enumerate(table):
        for channel in row:
            full[out, channel] = next(stored)
    x = torch.randn((2, 5, 6, 6), generator=torch.Generator().manual_seed(0))
    padded = nn.functional.pad(x, (0, 1, 1, 0))
    expected = conv2d(padded, full, torch.from_numpy(weights["a.bias"]) if bias else None, stride).numpy()
    with torch.no_grad():
        found = [net.torch(weights).eval()(x).numpy()]
    found += [run_onnx(net.onnx(weights, passes=passes), {"x": x.numpy()})[0] for passes in ((), ("plain_weights",))]
    for one in found:
        np.testing.assert_allclose(one, expected, rtol=1e-5, atol=1e-5)


def test_only_connections_are_trained() -> None:
    net = compiled("network n { input x: [5, 6, 6]; a: conv(3, 3, table = [[0, 1], [2], [3, 4]]) }").torch()
    net(torch.randn(2, 5, 6, 6)).sum().backward()
    gradient = net.a.weight.grad
    assert gradient is not None
    assert gradient.shape == (5, 3, 3)
    assert bool((gradient != 0).all())


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_tables_have_every_rank(rank: int) -> None:
    net = compiled(f"network n {{ input x: {[3] + [6] * rank}; a: conv(2, 2, table = [[0], [1, 2]], dilation = 2) }}")
    assert verify(net.checked, net.initialize(), (1, 2)).agrees


def test_source_initializes_through_the_norm() -> None:
    """What a parametrization stores follows from the weight that is set; the length is its own again."""
    net = compiled(
        "network n { input x: [4, 9, 9]; initialize weight = normal(std = 0.02); a: conv(64, 3, norm = weight)"
        "; b: conv(64, 3, norm = spectral); c: conv(64, 3); d: conv(64, 3, norm = spectral) }"
    )
    module = execute(net.torch_source()).N()
    assert module.a.weight.std().item() == pytest.approx(0.02, rel=0.1)
    torch.testing.assert_close(module.a.weight, module.a.parametrizations.weight.original1, rtol=1e-5, atol=1e-7)
    for plain in (
        module.b.parametrizations.weight.original,
        module.c.weight,
        module.d.parametrizations.weight.original,
    ):
        assert plain.std().item() == pytest.approx(0.02, rel=0.1)


# Passes ---------------------------------------------------------------------------------------------------------------


def weights_of(net: archdsl.Network) -> dict[str, np.ndarray]:
    """Not as they begin, so that lengths matter and singular values are none."""
    generator = np.random.default_rng(0)
    return {
        key: value if key.endswith("tracked") else value + np.float32(0.1) * generator.random(value.shape, np.float32)
        for key, value in net.initialize().items()
    }


def test_deployed_weights_are_plain_and_take_batch_norm_over() -> None:
    net = compiled(NETWORK)
    weights = weights_of(net)
    deployed = run_passes(net.checked, weights)
    assert "plain_weights" in deployed.applied
    assert {key for key in deployed.weights if "parametrizations" in key} == set()
    assert deployed.weights["twice.b.0.weight"].shape == (6, 6, 3, 3)
    norms = [layer.path for layer in deployed.graph.layers if layer.op.name == "batchnorm"]
    assert {path.partition(".")[0] for path in norms} == {"p", "q"}  # those of the weights that are shared
    inputs = {name: np.random.default_rng(1).standard_normal((2, 6, 8, 8)).astype(np.float32) for name in "xy"}
    with torch.no_grad():
        expected = net.torch(weights).eval()(*map(torch.from_numpy, inputs.values())).numpy()
    for passes in ((), ("fold_batchnorm",), ("plain_weights", "fold_batchnorm"), DEPLOYMENT):
        (found,) = run_onnx(net.onnx(weights, passes=passes), inputs)
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4 * float(np.abs(expected).max()))


def test_nothing_is_folded_into_a_weight_that_is_stored_otherwise() -> None:
    net = compiled(NETWORK)
    kept = run_passes(net.checked, net.initialize(), ("fold_batchnorm", "fc_to_conv"))
    assert [layer.op for layer in kept.graph.layers] == [layer.op for layer in net.checked.layers]


def test_plain_weights_are_those_that_pytorch_computes() -> None:
    net = compiled(NETWORK)
    weights = weights_of(net)
    deployed = run_passes(net.checked, weights, ("plain_weights",))
    modules = dict(net.torch(weights).eval().named_modules())
    compared = 0
    for layer in net.checked.layers:
        if getattr(layer.op, "norm", "none") != "none":
            with torch.no_grad():
                expected = modules[layer.module].weight.numpy()
            np.testing.assert_allclose(deployed.weights[f"{layer.module}.weight"], expected, rtol=1e-5, atol=1e-7)
            compared += 1
    assert compared == 5
    assert math.prod(deployed.weights["twice.b.0.weight"].shape) == 324
