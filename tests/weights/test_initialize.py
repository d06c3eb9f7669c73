"""Initialization: reproducible, independent of order, distributed as `torch.nn.init` distributes."""

from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pytest
import torch
from hand_built import classifier, image, layer, network
from scipy import stats
from support import compiled

from archdsl.emit.torch.module import execute
from archdsl.emit.torch.source import torch_source
from archdsl.graph.graph import CheckedGraph
from archdsl.language.diagnostics import ArchError
from archdsl.ops.activation import PReLU
from archdsl.ops.base import Init, Weight
from archdsl.ops.linear import Linear
from archdsl.weights.initialize import SCHEMES, draw, initialize

SHAPE = (64, 32, 3, 3)
FAN_IN, FAN_OUT = 32 * 9, 64 * 9


def sample(scheme: str, shape: tuple[int, ...] = SHAPE, seed: int = 0, **arguments: float) -> np.ndarray:
    weight = Weight("weight", shape, Init(scheme, tuple(arguments.items())), fan_in=FAN_IN, fan_out=FAN_OUT)
    return draw(weight, np.random.Generator(np.random.SFC64(seed)), "layer.weight")


def reference(function: object, *arguments: object, **named: object) -> np.ndarray:
    torch.manual_seed(0)
    return function(torch.empty(SHAPE), *arguments, **named).numpy()  # type: ignore[operator]


def kolmogorov(a: np.ndarray, b: np.ndarray) -> float:
    """Largest gap between two empirical distribution functions."""
    a, b = np.sort(a.ravel()), np.sort(b.ravel())
    both = np.concatenate([a, b])
    gap = np.searchsorted(a, both, "right") / a.size - np.searchsorted(b, both, "right") / b.size
    return float(np.abs(gap).max())


def torch_default(tensor: torch.Tensor) -> torch.Tensor:
    """What `torch.nn.Conv2d` and `torch.nn.Linear` do in `reset_parameters`."""
    return torch.nn.init.kaiming_uniform_(tensor, a=math.sqrt(5))


INIT = torch.nn.init
AGAINST_TORCH = {
    "default": ({}, lambda: reference(torch_default)),
    "uniform": ({"low": -0.25, "high": 1.5}, lambda: reference(INIT.uniform_, -0.25, 1.5)),
    "normal": ({"mean": 0.5, "std": 0.01}, lambda: reference(INIT.normal_, 0.5, 0.01)),
    "truncated_normal": (
        {"mean": 0.1, "std": 0.5, "a": -0.3, "b": 1.0},
        lambda: reference(INIT.trunc_normal_, 0.1, 0.5, -0.3, 1.0),
    ),
    "xavier_uniform": ({"gain": 2.0}, lambda: reference(INIT.xavier_uniform_, gain=2.0)),
    "xavier_normal": ({"gain": 0.5}, lambda: reference(INIT.xavier_normal_, gain=0.5)),
    "he_uniform": ({}, lambda: reference(INIT.kaiming_uniform_, nonlinearity="relu")),
    "he_uniform_fan_out": ({}, lambda: reference(INIT.kaiming_uniform_, mode="fan_out", nonlinearity="relu")),
    "he_normal": ({}, lambda: reference(INIT.kaiming_normal_, nonlinearity="relu")),
    "he_normal_fan_out": ({}, lambda: reference(INIT.kaiming_normal_, mode="fan_out", nonlinearity="relu")),
}


@pytest.mark.parametrize("scheme", list(AGAINST_TORCH))
def test_distribution_is_pytorchs(scheme: str) -> None:
    """Two-sample Kolmogorov-Smirnov at the 0.1 % level, and mean and deviation within 5 standard errors."""
    arguments, make = AGAINST_TORCH[scheme]
    ours, theirs = sample(scheme, **arguments), make()
    assert ours.dtype == np.float32
    assert kolmogorov(ours, theirs) < 1.95 * math.sqrt(2 / ours.size)
    error = theirs.std() / math.sqrt(ours.size)
    assert abs(ours.mean() - theirs.mean()) < 5 * math.sqrt(2) * error
    assert abs(ours.std() / theirs.std() - 1) < 5 / math.sqrt(ours.size)


def test_the_distribution_test_would_notice_a_wrong_scale() -> None:
    assert kolmogorov(sample("he_normal"), sample("he_normal_fan_out")) > 1.95 * math.sqrt(2 / math.prod(SHAPE))


@pytest.mark.parametrize(("scheme", "bound"), [("default", FAN_IN**-0.5), ("he_uniform", math.sqrt(6 / FAN_IN))])
def test_uniform_bounds(scheme: str, bound: float) -> None:
    values = sample(scheme)
    assert np.abs(values).max() <= bound
    assert np.abs(values).max() > 0.999 * bound


@pytest.mark.parametrize(("a", "b"), [(-2.0, 2.0), (0.5, 0.75), (4.0, 6.0), (-100.0, -3.0), (-0.001, 0.001)])
def test_truncation_holds_and_ends_anywhere(a: float, b: float) -> None:
    """Mean of the truncated normal (Johnson et al., 1994): (phi(a) - phi(b)) / (Phi(b) - Phi(a))."""
    values = sample("truncated_normal", a=a, b=b).astype(np.float64)
    assert values.min() >= a
    assert values.max() <= b

    def density(x: float) -> float:
        return math.exp(-x * x / 2) / math.sqrt(2 * math.pi)

    mass = (math.erfc(-b / math.sqrt(2)) - math.erfc(-a / math.sqrt(2))) / 2
    mean = (density(a) - density(b)) / mass
    assert abs(values.mean() - mean) < 5 * values.std() / math.sqrt(values.size)


@pytest.mark.parametrize(("a", "b"), [(6.0, 37.0), (-37.0, -6.0), (1.5, 1.6), (1.01, 100.0)])
def test_tails_follow_the_normal(a: float, b: float) -> None:
    """Held against SciPy's truncated normal, at the 0.1 % level."""
    values = sample("truncated_normal", a=10 + 2 * a, b=10 + 2 * b, mean=10.0, std=2.0)
    found = stats.kstest(values.ravel().astype(np.float64), stats.truncnorm(a, b, 10, 2).cdf)
    assert found.pvalue > 1e-3


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"std": 1e-200}, {0.0}),
        ({"std": 1e-3, "a": 0.037, "b": 1e30}, None),
        ({"std": 1e300, "mean": 1e300, "a": -2.0, "b": 2.0}, None),
        ({"std": 1e-5, "mean": 1.0, "a": 1.0, "b": 2.0}, None),
    ],
)
def test_extreme_truncations_are_drawn_at_once(arguments: dict[str, float], expected: set[float] | None) -> None:
    values = sample("truncated_normal", (1000,), **arguments)
    assert np.isfinite(values).all()
    assert arguments.get("a", -2) <= values.min()
    assert values.max() <= arguments.get("b", 2)
    assert len(set(values)) > 100 if expected is None else set(values) == expected


@pytest.mark.parametrize("shape", [(16, 40), (40, 16), (8, 4, 3, 3), (9, 9)])
def test_orthogonal_rows_or_columns(shape: tuple[int, ...]) -> None:
    matrix = sample("orthogonal", shape, gain=3.0).reshape(shape[0], -1)
    rows, columns = matrix.shape
    product = matrix @ matrix.T if rows <= columns else matrix.T @ matrix
    np.testing.assert_allclose(product, 9 * np.eye(min(rows, columns)), atol=1e-5)


def test_constants() -> None:
    assert set(sample("zeros").ravel()) == {0}
    assert set(sample("ones").ravel()) == {1}
    assert set(sample("constant", value=0.5).ravel()) == {0.5}


def test_signs_are_fair() -> None:
    """The number of +1 in n throws has a deviation of sqrt(n) / 2; they do not hang together either."""
    values = sample("signs")
    assert values.dtype == np.float32
    assert set(values.ravel()) == {-1, 1}
    assert abs(values.sum()) < 5 * math.sqrt(values.size)
    neighbours = values.ravel()[1:] * values.ravel()[:-1]
    assert abs(neighbours.sum()) < 5 * math.sqrt(values.size)


@pytest.mark.parametrize("size", [3, 4])
def test_bilinear_interpolates_as_pytorch_does(size: int) -> None:
    """Upsampling by 2, with the corners aligned or not; away from the border, where zeros come in."""
    weight = torch.from_numpy(sample("bilinear", (3, 1, size, size)))
    image = torch.randn(1, 3, 6, 6, generator=torch.Generator().manual_seed(0))
    found = torch.nn.functional.conv_transpose2d(image, weight, stride=2, padding=1, groups=3)
    expected = torch.nn.functional.interpolate(image, tuple(found.shape[2:]), mode="bilinear", align_corners=size == 3)
    torch.testing.assert_close(found[..., 2:-2, 2:-2], expected[..., 2:-2, 2:-2])


IN_BOTH_FORMS = {
    **{name: arguments for name, (arguments, _) in AGAINST_TORCH.items()},
    "orthogonal": {"gain": 2.0}, "constant": {"value": 0.5}, "zeros": {}, "ones": {}, "signs": {},
}  # fmt: skip


@pytest.mark.parametrize("scheme", list(IN_BOTH_FORMS))
def test_both_forms_draw_from_one_distribution(scheme: str) -> None:
    """What the generated PyTorch source draws for itself against what NumPy draws, at the 0.1 % level."""
    arguments = ", ".join(f"{name} = {value}" for name, value in IN_BOTH_FORMS[scheme].items())
    init = f"{scheme}({arguments})" if arguments else scheme
    graph = compiled(f"network n {{ input x: [32, 8, 8]; c: conv(64, 3, init = {init}) }}").checked
    torch.manual_seed(0)
    theirs = execute(torch_source(graph)).N().state_dict()["c.weight"].numpy()
    ours = initialize(graph)["c.weight"]
    assert kolmogorov(ours, theirs) < 1.95 * math.sqrt(2 / ours.size)


def test_every_scheme_is_tested() -> None:
    assert set(IN_BOTH_FORMS) | {"bilinear"} == set(SCHEMES)


@pytest.mark.parametrize(
    ("scheme", "arguments", "message"),
    [
        ("constant", {}, "`value` is missing"),
        ("normal", {"std": -1.0}, "negative"),
        ("uniform", {"low": 2.0, "high": 1.0}, "above"),
        ("truncated_normal", {"std": 0.0}, "not positive"),
        ("truncated_normal", {"a": 1.0, "b": 1.0}, "not below"),
        ("truncated_normal", {"std": 1e-5, "a": 1.0}, r"it is 1e\+05 `std` away"),
        ("truncated_normal", {"mean": 5.0, "std": 0.01}, "it is 300 `std` away"),
        ("truncated_normal", {"a": -math.inf}, "not finite"),
        ("truncated_normal", {"std": math.inf}, "not finite"),
    ],
)
def test_bad_numbers_are_refused(scheme: str, arguments: dict[str, float], message: str) -> None:
    with pytest.raises(ArchError, match=message) as caught:
        sample(scheme, **arguments)
    assert caught.value.diagnostics[0].code == "init-argument"


def test_orthogonal_needs_a_matrix() -> None:
    with pytest.raises(ArchError) as caught:
        sample("orthogonal", (5,))
    assert caught.value.diagnostics[0].code == "init-rank"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (
            "initialize weight = bilinear\nfc: linear(3)",
            r"`bilinear` cannot initialize the `weight` of `linear`: .* \[3, 4\]",
        ),
        ("skip\np: parameter([4], init = orthogonal)", r"`orthogonal` cannot initialize `parameter`: .* \[4\]"),
    ],
)
def test_a_scheme_that_a_layer_cannot_take_is_shown_at_the_layer(body: str, message: str) -> None:
    with pytest.raises(ArchError, match=message) as caught:
        compiled(f"network n {{ input x: [4]\n{body} }}")
    (found,) = caught.value.diagnostics
    assert (found.code, found.span and found.span.line) == ("init-rank", 3)


def test_keys_shapes_types_and_buffers() -> None:
    graph = classifier()
    weights = initialize(graph)
    expected = {f"{node.module}.{w.name}": (w.shape, w.dtype) for node in graph.layers for w in node.weights}
    assert {key: (array.shape, str(array.dtype)) for key, array in weights.items()} == expected
    assert "aux.fc.weight" in weights
    assert weights["features.0.bn.running_var"].tolist() == [1] * 4
    assert weights["features.0.bn.running_mean"].tolist() == [0] * 4
    assert weights["features.0.bn.num_batches_tracked"] == 0


def test_the_specs_initialization_is_used() -> None:
    x = image(8)
    fc = layer("fc", Linear(4, init=Init("constant", (("value", 2.0),)), bias_init=Init("ones")), x)
    slope = layer("slope", PReLU(start=0.125), fc)
    weights = initialize(network([x, fc, slope], y=slope))
    assert set(weights["fc.weight"].ravel()) == {2}
    assert set(weights["fc.bias"]) == {1}
    assert weights["slope.weight"].tolist() == [0.125]


def test_arrays_depend_on_seed_and_key_alone() -> None:
    def net(*names: str) -> CheckedGraph:
        x = image(8)
        layers = [layer(name, Linear(4), x) for name in names]
        return network([x, *layers], **{f"y{i}": node for i, node in enumerate(layers)})

    first, second = initialize(net("a", "b", "c")), initialize(net("c", "a"))
    for key in second:
        np.testing.assert_array_equal(first[key], second[key])
    assert not np.array_equal(first["a.weight"], first["b.weight"])
    assert not np.array_equal(first["a.weight"], initialize(net("a"), seed=1)["a.weight"])


def test_shared_modules_are_drawn_once() -> None:
    x = image(4)
    a = layer("a", Linear(4), x, module="head")
    b = layer("b", Linear(4), a, module="head")
    assert list(initialize(network([x, a, b], y=b))) == ["head.weight", "head.bias"]


def test_the_table_is_read_without_numpy() -> None:
    script = "import sys, archdsl.weights.initialize as i; print(len(i.SCHEMES), 'numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(len(SCHEMES)), "False"]
