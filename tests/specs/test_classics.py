"""LeNet-5, AlexNet, ZFNet, VGG, NiN, Highway networks and cifar10_quick: totals, and what each is known for."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from both_forms import assert_agreement, declared
from light_originals import originals, ours
from published_figures import entries, recomputed

import archdsl
from archdsl.library import family, networks_in, shipped
from archdsl.runtime.verify import draw_inputs, run_torch


def highway_mnist_macs(width: int) -> int:
    """A plain layer and two highway layers at 28x28, three of those at 14x14 and three at 7x7, and a softmax."""
    square = 9 * width**2
    return 28**2 * (9 * width + 4 * square) + (14**2 + 7**2) * 6 * square + 3 * 3 * width * 10


FAMILIES = {"lenet5", "alexnet", "zfnet", "vgg", "nin", "highway", "cifar10_quick"}
#: network -> parameters, multiply-accumulates
TOTALS = {
    "lenet5": (60_000, 117_600 + 150_000 + 48_000 + 10_080 + 840),
    "lenet5_modern": (61_706, 117_600 + 240_000 + 48_000 + 10_080 + 840),
    "alexnet": (60_965_224, 724_406_816),
    "alexnet_caffe": (60_965_224, 724_406_816),
    "alexnet_ungrouped": (62_378_344, 1_135_256_096),
    "alexnet_single": (61_100_840, 714_188_480),
    "zfnet": recomputed("ZFNet"),
    "zfnet512": (87_250_536, 1_481_727_008),
    "vgg_a": recomputed("VGG-A"),
    "vgg_a_lrn": recomputed("VGG-A-LRN"),
    # A and the second convolutions of its first two stages
    "vgg_b": (132_863_336 + 36_928 + 147_584, 7_609_090_048 + 2 * 1_849_688_064),
    # B and three 1x1 convolutions
    "vgg_c": (133_047_848 + 65_792 + 2 * 262_656, 11_308_466_176 + 2 * 205_520_896 + 51_380_224),
    "vgg_d": (138_357_544, 15_470_264_320),
    "vgg_e": (143_667_240, 19_632_062_464),
    "nin_cifar10": recomputed("NiN CIFAR-10"),
    "nin_imagenet": (7_595_176, 1_100_188_800),
    "highway_cifar": (
        236_328,
        32**2 * 9 * (3 * 16 + 4 * 16**2)
        + 16**2 * 9 * (16 * 32 + 4 * 32**2)
        + 8**2 * 9 * (32 * 64 + 4 * 64**2)
        + 64 * 250
        + 250 * 10,
    ),
    "highway_mnist": (entries()["Highway (MNIST, thin conv)"]["recomputed"]["width16"], highway_mnist_macs(16)),
    "highway_mnist_32": (entries()["Highway (MNIST, thin conv)"]["recomputed"]["width32"], highway_mnist_macs(32)),
    "cifar10_quick": (145_578, 12_354_176),
}


def totals(name: str) -> tuple[int, int]:
    found = declared(name).report().to_dict()["totals"]
    return found["params"], found["macs"]


@pytest.mark.parametrize("name", TOTALS)
def test_totals(name: str) -> None:
    assert totals(name) == TOTALS[name]


def test_no_network_of_these_families_is_left_out() -> None:
    names = {name for spec in shipped() if family(spec) in FAMILIES for name in networks_in(spec)}
    assert names == set(TOTALS)
    assert {name for name, _ in SMALL} | set(QUICK) | set(LARGE) == names


def rows(name: str) -> dict[str, dict[str, Any]]:
    """Stages and layers of the report by path."""
    report = declared(name).report().to_dict()
    return {row["path"]: row for row in (*report["layers"], *report["stages"])}


#: reference -> network, and a stage for a row of the reference where that is not the row's own name
PER_LAYER: dict[str, tuple[str, dict[str, str]]] = {
    "ZFNet": ("zfnet", {}),
    "VGG-A": ("vgg_a", {}),
    "VGG-A-LRN": ("vgg_a_lrn", {}),
    "VGG-D": ("vgg_d", {}),
    "VGG-E": ("vgg_e", {}),
    "NiN CIFAR-10": (
        "nin_cifar10",
        {
            **{f"conv{i}": f"mlp{i}.conv" for i in (1, 2, 3)},
            **{f"cccp{i}": f"mlp{(i + 1) // 2}.cccp{2 - i % 2}" for i in range(1, 7)},
        },
    ),
}


@pytest.mark.parametrize("reference", PER_LAYER)
def test_every_layer_counts_as_in_the_reference(reference: str) -> None:
    name, paths = PER_LAYER[reference]
    found = rows(name)
    for row in entries()[reference]["recomputed"]["per_layer"]:
        own = found[paths.get(row["layer"], row["layer"])]
        assert (own["params"], own["macs"]) == (row["params"], row["macs"])
        shape = own["output_shapes"][0][1:]
        assert shape == (row["output"] if len(shape) > 1 else row["output"][:1])


@pytest.mark.parametrize(
    ("reference", "name", "paths"),
    [
        ("LeNet-5", "lenet5", {"OUTPUT (RBF, fixed +-1 codes)": "rbf"}),
        ("AlexNet (two towers)", "alexnet_caffe", {}),
        ("ZFNet", "zfnet", {}),
    ],
)
def test_every_printed_row_is_stated_and_holds_or_is_explained(
    reference: str, name: str, paths: dict[str, str]
) -> None:
    verdicts = {
        (v.claim.path, v.claim.quantity, v.claim.stated): v
        for v in declared(name).checked.verdicts
        if v.claim.kind == "published"
    }
    for row in entries()[reference]["rows"]:
        path = paths.get(row["layer"], row["layer"].lower())
        shape = next(v for (p, q, _), v in verdicts.items() if (p, q) == (path, "shape"))
        assert list(shape.actual) == [size for size in row["output"] if len(shape.actual) > 1 or size > 1]
        for quantity, printed, exact in (("params", "params", "exact_params"), ("macs", "ops", "exact_ops")):
            if row[printed] is None:
                continue
            unit = row[f"{printed}_unit"]
            stated = f"{row[printed]}{unit}" if unit in ("K", "M") else f"{row[printed]:,}".replace(",", "_")
            verdict = next(v for (p, q, s), v in verdicts.items() if (p, q) == (path, quantity) and _same(s, stated))
            assert verdict.holds or verdict.claim.because
            if unit != "connections":
                assert verdict.actual == row[exact]


@pytest.mark.parametrize(
    ("reference", "name"),
    [
        *(
            (f"VGG-{letter}", f"vgg_{letter.lower().replace('-', '_')}")
            for letter in ("A", "A-LRN", "B", "C", "D", "E")
        ),
        ("NiN ImageNet", "nin_imagenet"),
    ],
)
def test_printed_totals_are_stated_and_hold(reference: str, name: str) -> None:
    totals = entries()[reference]["totals"]
    found = {v.claim.stated: v for v in declared(name).checked.verdicts if v.claim.quantity == "params"}
    assert found[f"{totals['params']}{totals['params_unit']}"].holds


def test_printed_layers_of_vgg() -> None:
    """Table 1: 11, 11, 13, 16, 16 and 19 weight layers."""
    depths = [declared(f"vgg_{name}").report().totals.depth for name in ("a", "a_lrn", "b", "c", "d", "e")]
    assert depths == [11, 11, 13, 16, 16, 19]


def _same(left: str, right: str) -> bool:
    return left.replace("_", "") == right.replace("_", "")


# LeNet-5 --------------------------------------------------------------------------------------------------------------


def test_connections_of_lenet5_are_the_papers() -> None:
    """A connection is a weight or bias where it is applied; a unit of S2 and S4 has four inputs and a bias."""
    found = rows("lenet5")
    layers = declared("lenet5").checked.layers
    biases = sum(layer.output_types[0].elements for layer in layers if layer.op.name in ("conv", "linear"))
    pooled = sum(found[path]["output_shapes"][0][1] * found[path]["output_shapes"][0][2] ** 2 for path in ("s2", "s4"))
    assert totals("lenet5")[1] + biases + 5 * pooled == entries()["LeNet-5"]["totals"]["connections"] == 340_908


def test_maps_of_c3_see_what_table_1_says() -> None:
    table = [set(maps) for maps in entries()["LeNet-5"]["totals"]["c3_map_inputs"]]
    network = declared("lenet5").torch().double()
    maps = torch.randn(1, 6, 14, 14, dtype=torch.double, requires_grad=True)
    out = network.c3(maps)
    assert out.shape == (1, 16, 10, 10)
    for number, inputs in enumerate(table):
        (gradient,) = torch.autograd.grad(out[0, number].sum(), maps, retain_graph=True)
        assert {i for i in range(6) if gradient[0, i].abs().sum() > 0} == inputs
    assert rows("lenet5")["c3"]["params"] == sum(25 * len(inputs) + 1 for inputs in table)


def test_scaled_tanh_takes_one_to_one() -> None:
    """The paper chose A and S for that: f(1) = 1 and f(-1) = -1."""
    network = declared("lenet5").torch()
    squash = next(part for part in network.modules() if type(part).__name__ == "ScaledTanh")
    ends = squash(torch.tensor([1.0, -1.0], dtype=torch.double))
    torch.testing.assert_close(ends, torch.tensor([1.0, -1.0], dtype=torch.double), atol=1e-4, rtol=0)
    assert abs(squash(torch.tensor([1e3], dtype=torch.double)).item() - 1.7159) < 1e-9


def test_a_code_is_nearest_to_itself_and_is_not_trained() -> None:
    network = declared("lenet5").torch()
    codes = network.rbf.centers
    distances = network.rbf(codes)
    assert codes.shape == (10, 84)
    assert set(codes.unique().tolist()) == {-1, 1}
    assert torch.equal(distances.diagonal(), torch.zeros(10))
    assert torch.equal(distances, 4 * (codes[:, None] != codes).sum(2).float())  # 4 for each bit that differs
    assert "rbf.centers" not in dict(network.named_parameters())


# AlexNet and ZFNet ----------------------------------------------------------------------------------------------------


def without_normalization(folder: Path) -> Path:
    """AlexNet's file with both kinds of normalization taken out."""
    [spec] = [spec for spec in shipped() if family(spec) == "alexnet"]
    text = re.sub(r" -> normalize| -> lrn\(5\)|^block normalize.*\n", "", spec.read_text(), flags=re.M)
    assert "lrn(" not in text
    path = folder / "alexnet.arch"
    path.write_text(text)
    return path


def test_groups_are_two_towers(tmp_path: Path) -> None:
    """The same function, but that normalization stays within a tower in one and not in the other."""
    spec, small = without_normalization(tmp_path), {"image": (3, 67, 67)}
    towers, groups = (archdsl.load(spec, name, inputs=small) for name in ("alexnet", "alexnet_caffe"))
    weights = towers.initialize()
    merged = {
        f"conv{i}.{kind}": np.concatenate([weights[f"{part}.gpu{gpu}.conv{i}.{kind}"] for gpu in (1, 2)])
        for i, part in ((1, "bottom"), (2, "bottom"), (3, "top"), (4, "top"), (5, "top"))
        for kind in ("weight", "bias")
    }
    merged |= {key: value for key, value in weights.items() if key.startswith("fc")}
    inputs = [draw_inputs(towers.checked, 2, 0)]
    [one] = run_torch(towers.checked, weights, inputs)
    [two] = run_torch(groups.checked, merged, inputs)
    np.testing.assert_allclose(one["logits"], two["logits"], rtol=1e-4, atol=1e-6)


def test_neurons_of_alexnet_add_up_with_the_right_first_layer() -> None:
    found = rows("alexnet_caffe")
    layers = [f"conv{i}" for i in range(1, 6)] + [f"fc{i}" for i in (6, 7, 8)]
    neurons = [int(np.prod(found[path]["output_shapes"][0][1:])) for path in layers]
    reference = entries()["AlexNet (two towers)"]
    assert neurons == reference["recomputed"]["neurons_exact"]
    assert sum(neurons) == 659_272  # "650,000"
    printed = reference["totals"]["neurons_per_layer"][1:]
    assert [a == b for a, b in zip(neurons, printed, strict=True)] == [False] + [True] * 7
    assert sum(printed) == 622_312


def test_pooling_of_alexnet_overlaps_and_its_towers_halve_the_work() -> None:
    pools = [layer.op for layer in declared("alexnet").checked.layers if layer.op.name == "maxpool"]
    assert {(pool.kernel, pool.stride) for pool in pools} == {(3, 2)}
    one, both = rows("alexnet_caffe"), rows("alexnet_ungrouped")
    for path in ("conv2", "conv4", "conv5"):
        assert 2 * one[path]["macs"] == both[path]["macs"]
    for path in ("conv1", "conv3", "fc6", "fc7", "fc8"):
        assert one[path]["macs"] == both[path]["macs"]


def test_alexnet_of_caffe_is_the_onnx_packages_original() -> None:
    """The file takes 224x224, where the grids are 54, 26 and 12 for 55, 27 and 13; no weight, stride or pad differs."""
    assert ours(declared("alexnet_caffe")) == originals("bvlc_alexnet")


def test_zfnet512_is_the_onnx_packages_original() -> None:
    theirs = originals("zfnet512")
    assert ours(declared("zfnet512")) == theirs
    own = ours(declared("zfnet"))
    # the paper's layers 1 and 2 have the same kernels; padding, and the maps of layers 3 to 5, are the file's own
    assert [(conv.weight, conv.strides) for conv in own[:2]] == [(conv.weight, conv.strides) for conv in theirs[:2]]
    assert own[0].pads == (1, 1, 1, 1)
    assert theirs[0].pads == (0, 0, 0, 0)
    assert [conv.weight[0] for conv in own[2:]] == [384, 384, 256]
    assert [conv.weight[0] for conv in theirs[2:]] == [512, 512, 512]


# VGG ------------------------------------------------------------------------------------------------------------------


def test_vgg_e_is_the_onnx_packages_vgg19() -> None:
    assert ours(declared("vgg_e")) == originals("vgg19")


@pytest.mark.parametrize(("reference", "name"), [("VGG-D", "vgg_d"), ("VGG-E", "vgg_e")])
def test_convolutions_of_vgg_alone(reference: str, name: str) -> None:
    convolutions = sum(row["macs"] for path, row in rows(name).items() if path.startswith("conv"))
    assert convolutions == entries()[reference]["recomputed"]["conv_only_macs"]


def test_two_and_three_small_kernels_see_as_much_as_a_large_one() -> None:
    """Section 2.3: two 3x3 layers see 5x5, three see 7x7; 27 C^2 weights instead of 49 C^2."""
    layers = {layer["path"]: layer for layer in declared("vgg_d").report().to_dict()["layers"]}
    before, stride = layers["pool4"]["receptive_field"][0], layers["pool4"]["effective_stride"][0]
    seen = [layers[f"conv5_{i}"]["receptive_field"][0] for i in (1, 2, 3)]
    assert [(size - before) // stride + 1 for size in seen] == [3, 5, 7]
    weights = [np.prod(shape) for i in (1, 2, 3) for name, shape in layers[f"conv5_{i}"]["weights"] if name == "weight"]
    assert sum(weights) == 27 * 512**2


def test_configuration_c_has_1x1_where_d_has_3x3() -> None:
    kernels = {name: [conv.weight[2] for conv in ours(declared(name))] for name in ("vgg_c", "vgg_d")}
    assert kernels["vgg_d"] == [3] * 13
    assert kernels["vgg_c"] == [3, 3, 3, 3, 3, 3, 1, 3, 3, 1, 3, 3, 1]


# Network in Network, Highway networks, cifar10_quick ------------------------------------------------------------------


@pytest.mark.parametrize("name", ["nin_cifar10", "nin_imagenet"])
def test_network_in_network_averages_a_map_for_each_class(name: str) -> None:
    layers = declared(name).checked.layers
    assert not [layer for layer in layers if layer.op.name == "linear"]
    assert [layer.op.name for layer in layers[-3:]] == ["relu", "avgpool", "flatten"]
    assert layers[-2].output_types[0].spatial == (1, 1)


def test_a_highway_with_its_gates_shut_or_open() -> None:
    """y = x where T = 0, y = H(x) where T = 1."""
    stage = declared("highway_cifar").torch().stage2.double()
    x = torch.randn(1, 16, 8, 8, dtype=torch.double)
    plain = torch.relu(stage.conv(x))
    gates = [part for name, part in stage.named_modules() if name.endswith(".t")]
    assert len(gates) == 2
    for gate in gates:
        torch.nn.init.zeros_(gate.weight)
        torch.nn.init.constant_(gate.bias, -1e4)
    assert torch.equal(stage(x), plain)
    for gate in gates:
        torch.nn.init.constant_(gate.bias, 1e4)
    layers = [part for name, part in stage.named_modules() if name.endswith(".h")]
    torch.testing.assert_close(stage(x), torch.relu(layers[1](torch.relu(layers[0](plain)))))


def test_gates_begin_almost_shut() -> None:
    weights = declared("highway_cifar").initialize()
    assert {float(value) for key in weights if key.endswith(".t.bias") for value in weights[key]} == {-2.0}


def test_rows_of_cifar10_quick() -> None:
    found = rows("cifar10_quick")
    for row in entries()["CIFAR-10 quick"]["rows"]:
        own = found[row["layer"]]
        shape = own["output_shapes"][0][1:]
        assert shape == (row["output"] if len(shape) > 1 else row["output"][:1])
        assert (own["params"], own["macs"]) == (row["exact_params"], row["exact_ops"])


# Both forms -----------------------------------------------------------------------------------------------------------

QUICK = [
    "lenet5",
    "lenet5_modern",
    "highway_cifar",
    "highway_mnist",
    "highway_mnist_32",
    "nin_cifar10",
    "cifar10_quick",
]
#: on the smallest image that leaves a position at the end, so that the fully connected layers are small too
SMALL = [("alexnet", 67), ("alexnet_caffe", 67), ("zfnet", 64), ("vgg_a_lrn", 32), ("vgg_c", 32), ("nin_imagenet", 96)]
LARGE = [name for name in TOTALS if name not in QUICK]


@pytest.mark.parametrize("name", QUICK)
def test_both_forms_agree(name: str) -> None:
    assert_agreement(declared(name))


@pytest.mark.parametrize(("name", "size"), SMALL)
def test_both_forms_agree_on_a_small_image(name: str, size: int) -> None:
    assert_agreement(archdsl.load(name, inputs={"image": (3, size, size)}))


@pytest.mark.slow
@pytest.mark.parametrize("name", LARGE)
def test_both_forms_agree_at_full_size(name: str) -> None:
    assert_agreement(declared(name))
