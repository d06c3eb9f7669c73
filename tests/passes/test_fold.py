"""Batch norm, affine and scale into their neighbours: the numbers, and where they have to stay."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hand_built import NOWHERE, image, layer, network
from pass_networks import assert_inferred, assert_same_function, both, kinds, mild_weights
from torch.nn.utils.fusion import fuse_conv_bn_weights, fuse_linear_bn_weights

from archdsl.graph.graph import CheckedGraph, Stage, TensorRef
from archdsl.language.diagnostics import ArchError
from archdsl.ops.activation import ReLU
from archdsl.ops.base import Op
from archdsl.ops.channels import Affine
from archdsl.ops.convolution import Conv, Depthwise
from archdsl.ops.linear import Linear
from archdsl.ops.merge import Add, Concat
from archdsl.ops.normalization import BatchNorm
from archdsl.ops.pooling import AvgPool
from archdsl.ops.shaping import Flatten, Scale
from archdsl.ops.transposed import Deconv
from archdsl.passes.pipeline import run_passes

NORM, IMAGE, VECTOR, SEQUENCE = BatchNorm(1e-3), (4, 7, 6), (5,), (5, 6)


def chain(shape: tuple[int, ...], *ops: Op) -> CheckedGraph:
    """Layers `l0`, `l1`, ... one after the other; the last one's result is the output."""
    nodes = [image(*shape)]
    for number, op in enumerate(ops):
        nodes.append(layer(f"l{number}", op, nodes[-1]))
    return network(nodes, out=nodes[-1])


def left(graph: CheckedGraph, *names: str) -> list[str]:
    """The ops that are left by the passes, after a comparison of both networks on onnxruntime."""
    deployed, before, after = both(graph, *(names or ("fold_scale", "fold_batchnorm")))
    assert_same_function(before, after)
    assert_inferred(deployed.graph)
    return kinds(deployed.graph.layers)


@pytest.mark.parametrize("norm", [NORM, BatchNorm(0.1), BatchNorm(affine=False)], ids=str)
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("op", [Conv(6, 3, groups=2), Depthwise(3, multiplier=2), Deconv(6, 3, groups=2)], ids=str)
def test_numbers_are_those_of_pytorch_in_double_precision(op: Conv | Depthwise | Deconv, bias: bool, norm: Op) -> None:
    """Rounded once: PyTorch's own fusion of the same weights as doubles, rounded to single precision."""
    graph = chain(IMAGE, replace(op, bias=bias), norm)
    weights = mild_weights(graph)
    folded = run_passes(graph, weights, ("fold_batchnorm",)).weights
    w, b, mean, var, gamma, beta = (
        torch.from_numpy(weights[key]).double() if key in weights else None
        for key in ("l0.weight", "l0.bias", "l1.running_mean", "l1.running_var", "l1.weight", "l1.bias")
    )
    assert w is not None
    if isinstance(op, Deconv):  # PyTorch's fusion takes no groups here: each one by itself
        pieces = [x.chunk(2) if x is not None else (None,) * 2 for x in (w, b, mean, var, gamma, beta)]
        parts = [fuse_conv_bn_weights(*p[:4], norm.eps, *p[4:], transpose=True) for p in zip(*pieces, strict=True)]
        theirs = [torch.cat([part[i].detach() for part in parts]) for i in (0, 1)]
    else:
        theirs = [x.detach() for x in fuse_conv_bn_weights(w, b, mean, var, norm.eps, gamma, beta)]
    for name, expected in zip(("weight", "bias"), theirs, strict=True):
        ours = folded[f"l0.{name}"]
        assert ours.dtype == np.float32
        np.testing.assert_array_max_ulp(ours, expected.numpy().astype(np.float32), 1)
        assert (ours == expected.numpy().astype(np.float32)).mean() > 0.95


def test_linear_numbers_are_those_of_pytorch() -> None:
    graph = chain(VECTOR, Linear(6), NORM)
    weights = mild_weights(graph)
    folded = run_passes(graph, weights, ("fold_batchnorm",)).weights
    doubles = {key: torch.from_numpy(value).double() for key, value in weights.items() if value.ndim}
    theirs = fuse_linear_bn_weights(
        doubles["l0.weight"], doubles["l0.bias"], doubles["l1.running_mean"], doubles["l1.running_var"], NORM.eps,
        doubles["l1.weight"], doubles["l1.bias"],
    )  # fmt: skip
    for name, expected in zip(("weight", "bias"), theirs, strict=True):
        np.testing.assert_array_max_ulp(folded[f"l0.{name}"], expected.detach().numpy().astype(np.float32), 1)


@pytest.mark.parametrize(
    ("shape", "ops", "expected"),
    [
        (IMAGE, (Conv(6, 3, pad=1, bias=False), NORM, ReLU()), "conv relu"),
        (IMAGE, (Conv(6, 3, pad=1, groups=2), Affine()), "conv"),
        (IMAGE, (Conv(6, 3, pad=1), NORM, Affine(), Scale(2.0, 0.5)), "conv"),
        (IMAGE, (Deconv(6, 3, 2, groups=2), NORM, Scale(0.5)), "deconv"),
        (VECTOR, (Linear(6, bias=False), NORM), "linear"),
        (SEQUENCE, (Linear(7), Scale(0.5, 2.0)), "linear"),
        # into the one after it
        (IMAGE, (NORM, Conv(6, 3, groups=2, bias=False)), "conv"),
        (IMAGE, (NORM, Depthwise(3, multiplier=2)), "depthwise"),
        (IMAGE, (Scale(2.0, 0.5), Conv(6, 3)), "conv"),
        (IMAGE, (Scale(2.0), Conv(6, 3, pad=1, bias=False)), "conv"),
        (IMAGE, (Scale(2.0), Deconv(6, 3, pad=1)), "deconv"),
        (VECTOR, (Affine(), Linear(6)), "linear"),
        (SEQUENCE, (Scale(2.0, 1.0), Linear(6, bias=False)), "linear"),
        # into each other
        (IMAGE, (ReLU(), Scale(0.0, 0.5), BatchNorm(affine=False)), "relu batchnorm"),
        (IMAGE, (ReLU(), BatchNorm(affine=False), Affine()), "relu batchnorm"),
        (IMAGE, (ReLU(), Affine(), BatchNorm()), "relu batchnorm"),
        (IMAGE, (ReLU(), Affine(), NORM, Conv(6, 1)), "relu conv"),
        (IMAGE, (ReLU(), Scale(3.0), Affine()), "relu affine"),
        # a scale by 1 is nothing at all
        (IMAGE, (ReLU(), Scale(), ReLU()), "relu relu"),
    ],
)  # fmt: skip
def test_folds(shape: tuple[int, ...], ops: tuple[Op, ...], expected: str) -> None:
    assert left(chain(shape, *ops)) == expected.split()


@pytest.mark.parametrize(
    ("shape", "ops"),
    [
        (IMAGE, (NORM, Conv(6, 3, pad=1))),  # the zeros around the image would have been moved
        ((4, 8, 6), (NORM, Conv(6, 2, 2, "same_tf"))),  # none at this size, but at another
        (IMAGE, (Scale(1.0, 0.5), Depthwise(3, pad=1))),
        (IMAGE, (Affine(), Deconv(6, 3))),  # its border sees fewer elements
        (SEQUENCE, (Linear(7), NORM)),  # the norm's channels are the sequence's positions
        (SEQUENCE, (Affine(), Linear(7))),
        (IMAGE, (Conv(6, 3), ReLU(), NORM)),
        (IMAGE, (Conv(6, 3), AvgPool(3, 1, 1), NORM)),
        (IMAGE, (ReLU(), Scale(2.0), ReLU())),
    ],
)
def test_stays(shape: tuple[int, ...], ops: tuple[Op, ...]) -> None:
    assert left(chain(shape, *ops)) == [op.name for op in ops]


def test_after_a_merge_a_norm_stays() -> None:
    x = image(*IMAGE)
    a, b = layer("a", Conv(4, 1), x), layer("b", Conv(4, 1), x)
    for merge in (Concat(), Add()):
        joined = layer("joined", merge, a, b)
        norm = layer("norm", NORM, joined)
        assert left(network([x, a, b, joined, norm], out=norm)) == ["conv", "conv", merge.name, "batchnorm"]


def test_what_somebody_else_reads_stays() -> None:
    x = image(*IMAGE)
    conv = layer("conv", Conv(4, 1), x)
    one, two = layer("one", NORM, conv), layer("two", BatchNorm(), conv)
    assert left(network([x, conv, one, two], a=one, b=two)) == ["conv", "batchnorm", "batchnorm"]
    relu = layer("relu", ReLU(), conv)
    assert left(network([x, conv, one, relu], a=one, b=relu)) == ["conv", "batchnorm", "relu"]
    assert left(network([x, conv, one], a=one, b=conv)) == ["conv", "batchnorm"]  # the output is the unnormalized one
    after = layer("after", Conv(4, 1), layer("norm", NORM, x))
    norm = layer("norm", NORM, x)
    assert left(network([x, norm, after], a=after, b=norm)) == ["batchnorm", "conv"]


def test_shared_weights_stay() -> None:
    """Two uses of one convolution, one of them normalized; a shared norm folds, since only its neighbour changes."""
    x = image(*IMAGE)
    one, two = layer("one", Conv(4, 1), x, module="m"), layer("two", Conv(4, 1), x, module="m")
    norm = layer("norm", NORM, one)
    assert left(network([x, one, two, norm], a=norm, b=two)) == ["conv", "conv", "batchnorm"]
    one, two = layer("one", Conv(4, 1), x), layer("two", Conv(4, 1), x)
    norms = [layer("n1", NORM, one, module="n"), layer("n2", NORM, two, module="n")]
    assert left(network([x, one, two, *norms], a=norms[0], b=norms[1])) == ["conv", "conv"]
    norms = [layer("n1", NORM, one, module="n"), layer("n2", NORM, x, module="n")]
    deployed, before, after = both(network([x, one, *norms], a=norms[0], b=norms[1]), "fold_batchnorm")
    assert_same_function(before, after)
    assert kinds(deployed.graph.layers) == ["conv", "batchnorm"]
    assert list(deployed.weights) == [
        "one.weight", "one.bias", "n.weight", "n.bias", "n.running_mean", "n.running_var", "n.num_batches_tracked"
    ]  # fmt: skip


def test_a_module_that_is_used_once_is_its_users_own() -> None:
    x = image(*IMAGE)
    conv = layer("use.conv", Conv(4, 1, bias=False), x, module="declared.conv")
    norm = layer("use.norm", NORM, conv, module="declared.norm")
    deployed, before, after = both(network([x, conv, norm], out=norm), "fold_batchnorm")
    assert_same_function(before, after)
    assert list(deployed.weights) == ["declared.conv.weight", "declared.conv.bias"]


def test_names_stay_with_their_values() -> None:
    """Of a convolution and its norm, the tensor that is left is the norm's; of a norm before one, the input."""
    x = image(*IMAGE)
    conv = layer("a.conv", Conv(4, 1), x)
    norm = layer("a.norm", NORM, conv)
    relu = layer("b.relu", ReLU(), norm)
    scale = layer("b.scale", Scale(), relu)
    early = layer("c.norm", NORM, scale)
    last = layer("c.conv", Conv(4, 1), early)
    nodes = [x, conv, norm, relu, scale, early, last]
    stages = {
        path: Stage(path, TensorRef(node.path), node.output_types[0], NOWHERE)
        for path, node in {"conv": conv, "a": norm, "b": scale, "early": early, "c": last}.items()
    }
    graph = replace(network(nodes, out=last), stages=stages)
    deployed = run_passes(graph, mild_weights(graph), ("fold_scale", "fold_batchnorm")).graph
    assert kinds(deployed.layers) == ["conv", "relu", "conv"]
    found = {path: stage.result.path for path, stage in deployed.stages.items()}
    assert found == {"a": "a.conv", "b": "b.relu", "c": "c.conv"}
    assert_inferred(deployed)


def test_weights_are_made_when_they_are_read() -> None:
    """Nothing is computed by the pass itself, and no array outlives its reading."""
    graph = chain(IMAGE, Conv(6, 3), NORM, ReLU(), Flatten(), Linear(3))
    read: list[str] = []

    class Watched(dict[str, np.ndarray]):
        def __getitem__(self, key: str) -> np.ndarray:
            read.append(key)
            return super().__getitem__(key)

    folded = run_passes(graph, Watched(mild_weights(graph)), ("fold_batchnorm",)).weights
    assert read == []
    first, second = folded["l0.weight"], folded["l0.weight"]
    assert first is not second
    np.testing.assert_array_equal(first, second)
    assert set(read) == {"l0.weight", "l1.weight", "l1.running_var"}


def test_absent_weights_are_named_when_they_are_read() -> None:
    graph = chain(IMAGE, Conv(6, 3), NORM)
    folded = run_passes(graph, {}, ("fold_batchnorm",))
    assert kinds(folded.graph.layers) == ["conv"]
    with pytest.raises(ArchError, match=r"weight-missing.*`l1\.running_var`|weight-missing.*`l0\.weight`"):
        folded.weights["l0.weight"]


def test_a_broken_variance_stays_broken() -> None:
    """A negative variance gives NaN in the network, and no warning nor anything else here."""
    graph = chain(IMAGE, Conv(6, 3), NORM)
    weights = mild_weights(graph) | {"l1.running_var": np.full(6, -1, np.float32)}
    assert np.isnan(run_passes(graph, weights, ("fold_batchnorm",)).weights["l0.weight"]).all()


def test_layers_keep_their_place_in_the_text() -> None:
    graph = chain(IMAGE, Conv(6, 3, bias=False), NORM)
    (conv,) = run_passes(graph, {}).graph.layers
    assert (conv.path, conv.span, conv.op) == ("l0", graph.layer("l0").span, Conv(6, 3, bias=True))
