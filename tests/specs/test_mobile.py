"""SqueezeNet, Xception, MobileNets and ShuffleNets: totals, and what each is known for."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import torch
from both_forms import assert_agreement, declared
from light_originals import originals, ours
from published_figures import entries, recomputed

import archdsl
from archdsl.library import family, networks_in, shipped
from archdsl.ops.convolution import Conv, Depthwise
from archdsl.ops.merge import Add

FAMILIES = {"squeezenet", "xception", "mobilenet", "shufflenet"}
SHUFFLED = {row["layer"]: row for row in entries()["ShuffleNet v1 1x"]["rows"]}
WIDTHS = entries()["MobileNet v1"]["recomputed"]["width"]
RESOLUTIONS = entries()["MobileNet v1"]["recomputed"]["resolution"]
#: network -> parameters, multiply-accumulates
TOTALS = {
    "squeezenet_1_0": (1_248_424, entries()["SqueezeNet 1.0"]["recomputed"]["macs_227"]),
    "squeezenet_1_1": (1_235_496, 387_747_520),
    "xception": (22_855_952, 8_357_403_496),
    "mobilenet_v1": (4_231_976, 568_740_352),
    "mobilenet_v1_full": recomputed("MobileNet v1", "full_conv"),
    **{f"mobilenet_v1_x{key.replace('.', '_')}": (row["params"], row["macs"]) for key, row in WIDTHS.items()},
    **{f"mobilenet_v1_{size}": (4_231_976, macs) for size, macs in RESOLUTIONS.items()},
    "mobilenet_v2": recomputed("MobileNet v2 1.0"),
    **{
        f"shufflenet_v1_g{groups}": (row["exact_params"], row["exact_ops"])
        for groups in (1, 2, 3, 4, 8)
        for row in [SHUFFLED[f"g={groups}"]]
    },
    "shufflenet_v1_onnx": (1_393_296, 124_664_528),
    "shufflenet_v2_x0_5": recomputed("ShuffleNet v2 0.5x"),
    "shufflenet_v2_x1_0": recomputed("ShuffleNet v2 1x"),
    "shufflenet_v2_x1_5": (3_506_720, 298_970_656),
    "shufflenet_v2_x2_0": (7_402_600, 590_783_000),
}


def report(name: str, size: int | None = None) -> dict[str, Any]:
    net = archdsl.load(name, inputs={"image": (3, size, size)}) if size else declared(name)
    return net.report().to_dict()


def rows(name: str) -> dict[str, dict[str, Any]]:
    """Stages and layers of the report by path."""
    found = report(name)
    return {row["path"]: row for row in (*found["layers"], *found["stages"])}


@pytest.mark.parametrize("name", TOTALS)
def test_totals(name: str) -> None:
    totals = report(name)["totals"]
    assert (totals["params"], totals["macs"]) == TOTALS[name]


def test_no_network_of_these_families_is_left_out() -> None:
    names = {name for spec in shipped() if family(spec) in FAMILIES for name in networks_in(spec)}
    assert names == set(TOTALS)


def verdicts(name: str, path: str, quantity: str) -> list[Any]:
    """What the papers state of a stage, each held or explained."""
    found = [
        v
        for v in declared(name).checked.verdicts
        if (v.claim.kind, v.claim.path, v.claim.quantity) == ("published", path, quantity)
    ]
    assert all(verdict.holds or verdict.claim.because for verdict in found)
    return found


def stated(name: str, path: str, quantity: str) -> set[str]:
    return {verdict.claim.stated for verdict in verdicts(name, path, quantity)}


# SqueezeNet -----------------------------------------------------------------------------------------------------------


def test_every_row_of_squeezenets_table_1_is_stated_and_holds() -> None:
    for row in entries()["SqueezeNet 1.0"]["rows"]:
        [shape] = verdicts("squeezenet_1_0", row["layer"], "shape")
        [params] = verdicts("squeezenet_1_0", row["layer"], "params")
        assert shape.holds
        assert list(shape.claim.shape) == row["output"]
        assert params.holds
        assert params.actual == row["params"] == row["exact_params"]


def test_the_table_needs_227_pixels() -> None:
    """With the 224 that it prints, layer 1 has 109x109 positions; the reference counts that."""
    reference = entries()["SqueezeNet 1.0"]["recomputed"]
    smaller = report("squeezenet_1_0", 224)
    found = {row["path"]: row for row in (*smaller["layers"], *smaller["stages"])}
    assert smaller["totals"]["macs"] == reference["macs"]
    assert [found[path]["output_shapes"][0][2] for path in ("conv1", "fire2", "fire5", "conv10")] == [109, 54, 27, 13]
    for row in entries()["SqueezeNet 1.0"]["rows"]:
        assert found[row["layer"]]["macs"] == row["exact_ops"]
    padded = reference["macs_deploy_prototxt_227_pad1_conv10"]
    assert padded - TOTALS["squeezenet_1_0"][1] == 512 * 1000 * (15**2 - 13**2)
    assert stated("squeezenet_1_0", "", "flops") == {"1.72G"}
    assert round(2 * padded / 1e9, 2) == 1.72


def test_squeezenet_has_a_fiftieth_of_alexnets_parameters() -> None:
    alexnet = declared("alexnet").report().to_dict()["totals"]["params"]
    assert round(alexnet / TOTALS["squeezenet_1_0"][0], 2) == entries()["SqueezeNet 1.0"]["recomputed"]["ratio_alexnet"]


def test_squeezenet_1_1_is_the_onnx_packages_original() -> None:
    assert ours(declared("squeezenet_1_1")) == originals("squeezenet")


# Xception -------------------------------------------------------------------------------------------------------------


def test_xceptions_parameters_are_the_papers_to_the_last() -> None:
    [params] = verdicts("xception", "", "params")
    assert params.holds
    assert params.actual == entries()["Xception"]["totals"]["params"]


def test_xception_has_36_convolutional_layers_in_14_modules() -> None:
    """A separable convolution is one, a shortcut's 1x1 none. All modules but the first and the last are residual."""
    layers = declared("xception").checked.layers
    separable = [layer.path for layer in layers if isinstance(layer.op, Depthwise)]
    plain = [layer for layer in layers if isinstance(layer.op, Conv) and layer.op.kernel != 1]
    shortcuts = [layer.path for layer in layers if ".shortcut." in layer.path and isinstance(layer.op, Conv)]
    assert (len(separable), len(plain), len(shortcuts)) == (34, 2, 4)
    assert sum(isinstance(layer.op, Add) for layer in layers) == 12


def test_nothing_stands_between_depthwise_and_pointwise() -> None:
    layers = declared("xception").checked.layers
    following = {layer.inputs[0].path: layer for layer in layers if layer.inputs}
    for layer in layers:
        if isinstance(layer.op, Depthwise):
            assert following[layer.path].path == layer.path.replace("depthwise", "pointwise")


# MobileNets -----------------------------------------------------------------------------------------------------------


def test_every_layer_of_mobilenet_counts_as_in_the_reference() -> None:
    found = rows("mobilenet_v1")
    for row in entries()["MobileNet v1"]["rows"]:
        kind, number = row["layer"][:2], row["layer"][2:]
        path = f"conv{number}.{kind}" if kind in ("dw", "pw") else {"conv": "conv0", "fc": "fc"}[row["layer"]]
        assert (found[path]["params"], found[path]["macs"]) == (row["exact_params"], row["exact_ops"])
        [shape] = verdicts("mobilenet_v1", path, "shape")
        assert shape.holds
        assert list(shape.claim.shape) == [size for size in row["output"] if path != "fc" or size > 1]


def test_multipliers_are_stated_as_printed() -> None:
    totals = entries()["MobileNet v1"]["totals"]
    for width, (macs, params) in totals["width"].items():
        name = "mobilenet_v1" if width == "1.0" else f"mobilenet_v1_x{width.replace('.', '_')}"
        assert f"{macs}M" in stated(name, "", "macs")
        assert f"{params}M" in stated(name, "", "params")
    for size, macs in totals["resolution"].items():
        assert f"{macs}M" in stated("mobilenet_v1" if size == "224" else f"mobilenet_v1_{size}", "", "macs")
    macs, params = totals["full_conv"]
    assert stated("mobilenet_v1_full", "", "macs") == {f"{macs}M"}
    assert stated("mobilenet_v1_full", "", "params") == {f"{params}M"}
    # 4866 leaves out what 569 counts
    assert TOTALS["mobilenet_v1_full"][1] - 1_024_000 == 4_866_269_184


def share(name: str, quantity: str) -> dict[str, float]:
    """Percentages of a network's figure by kind of layer, as Table 2 has them; parameters are weights there."""
    found: Counter[str] = Counter()
    for layer in declared(name).checked.layers:
        if layer.op.name not in ("conv", "depthwise", "linear"):
            continue
        point = isinstance(layer.op, Conv) and layer.op.kernel == 1
        kind = {"linear": "fc", "depthwise": "dw3x3"}.get(layer.op.name, "conv1x1" if point else "conv3x3")
        macs = layer.op.macs(layer.input_types, layer.output_types)
        found[kind] += macs if quantity == "macs" else layer.weights[0].elements
    return {kind: round(100 * count / found.total(), 2) for kind, count in found.items()}


def test_where_mobilenet_spends_its_resources() -> None:
    """Seven of the eight shares of Table 2 come out; 1.19 % is a slip of 1.91 %."""
    printed = entries()["MobileNet v1"]["totals"]["by_type_percent"]
    macs, weights = share("mobilenet_v1", "macs"), share("mobilenet_v1", "weights")
    wrong = {
        (kind, column)
        for kind, row in printed.items()
        for column, exact in enumerate((macs, weights))
        if row[column] != exact[kind]
    }
    assert wrong == {("conv3x3", 0)}
    assert (printed["conv3x3"][0], macs["conv3x3"]) == (1.19, 1.91)


def test_a_separable_convolution_costs_the_share_that_section_3_1_derives() -> None:
    """1 / N + 1 / D^2 of a full one."""
    separable, full = rows("mobilenet_v1"), rows("mobilenet_v1_full")
    for i, out in ((1, 64), (6, 512), (13, 1024)):
        assert separable[f"conv{i}"]["macs"] / full[f"conv{i}"]["macs"] == pytest.approx(1 / out + 1 / 9)


def test_mobilenet_v2_is_narrow_between_and_wide_within() -> None:
    layers = declared("mobilenet_v2").checked.layers
    depthwise = [layer for layer in layers if isinstance(layer.op, Depthwise)]
    ends = [layer for layer in layers if layer.path.endswith("project.conv")]
    assert len(depthwise) == len(ends) == 17
    assert all(a.output_types[0].shape[0] >= b.op.out for a, b in zip(depthwise, ends, strict=True))
    follows = {ref.path: layer.op.name for layer in layers for ref in layer.inputs}
    # linear bottlenecks: what narrows is normalized, and then added or widened, never clipped
    assert {follows[end.path] for end in ends} == {"batchnorm"}
    assert {follows[end.path.replace(".conv", ".bn")] for end in ends} == {"add", "conv"}


# ShuffleNets ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("groups", [1, 2, 3, 4, 8])
def test_complexities_of_shufflenets_table_1_leave_the_last_layer_out(groups: int) -> None:
    row = SHUFFLED[f"g={groups}"]
    found = rows(f"shufflenet_v1_g{groups}")
    without = TOTALS[f"shufflenet_v1_g{groups}"][1] - found["fc"]["macs"]
    assert without == row["exact_ops_without_fc"]
    assert round(without / 1e6) == row["ops"]
    assert f"{row['ops']}M" in stated(f"shufflenet_v1_g{groups}", "", "macs")


def test_the_first_pointwise_layer_is_not_grouped_and_all_others_are() -> None:
    layers = declared("shufflenet_v1_g3").checked.layers
    points = [layer.op.groups for layer in layers if isinstance(layer.op, Conv) and layer.op.kernel == 1]
    assert points == [1] + [3] * 31


def test_shuffling_brings_one_channel_of_each_group_together() -> None:
    network = declared("shufflenet_v1_g3").torch()
    shuffle = next(part for part in network.modules() if type(part).__name__ == "Shuffle")
    channels, size = 60, 56
    numbers = torch.arange(channels, dtype=torch.float).reshape(1, channels, 1, 1).expand(1, channels, size, size)
    shuffled = shuffle(numbers)[0, :, 0, 0].reshape(-1, 3)
    assert torch.equal(shuffled // 20, torch.tensor([0.0, 1.0, 2.0]).expand(20, 3))


def test_shufflenet_of_the_onnx_package_is_its_original() -> None:
    """Half as wide as the paper's with four groups, no quarter inside, and a grouped first layer."""
    theirs = originals("shufflenet")
    assert ours(declared("shufflenet_v1_onnx")) == theirs
    own = ours(declared("shufflenet_v1_g4"))
    assert len(own) == len(theirs)
    assert [(conv.strides, conv.pads) for conv in own] == [(conv.strides, conv.pads) for conv in theirs]
    grouped = own[4].weight, theirs[4].weight  # the first unit that is not of stride 2, before its depthwise layer
    assert grouped == ((68, 68, 1, 1), (136, 34, 1, 1))


@pytest.mark.parametrize(("reference", "name"), [
    ("ShuffleNet v2 0.5x", "shufflenet_v2_x0_5"), ("ShuffleNet v2 1x", "shufflenet_v2_x1_0"),
    ("ShuffleNet v2 1.5x", "shufflenet_v2_x1_5"), ("ShuffleNet v2 2x", "shufflenet_v2_x2_0"),
])  # fmt: skip
def test_totals_of_shufflenet_v2_are_stated_as_printed(reference: str, name: str) -> None:
    totals = entries()[reference]["totals"]
    assert stated(name, "", "params") == {f"{totals['params']}M"}
    assert stated(name, "", "macs") == {f"{totals['macs']}M"}


def test_half_of_the_channels_pass_a_shufflenet_v2_unit_by() -> None:
    """They come out unchanged at every second place."""
    unit = declared("shufflenet_v2_x0_5").torch().stage2[1].eval()
    x = torch.randn(1, 48, 28, 28)
    with torch.no_grad():
        assert torch.equal(unit(x)[:, ::2], x[:, :24])


# Both forms -----------------------------------------------------------------------------------------------------------

#: on a small image; each kind of unit once
SMALL = [
    ("squeezenet_1_0", 64), ("squeezenet_1_1", 64), ("xception", 96), ("mobilenet_v1", 64), ("mobilenet_v1_x0_25", 64),
    ("mobilenet_v2", 64), ("shufflenet_v1_g1", 64), ("shufflenet_v1_g8", 32), ("shufflenet_v2_x1_0", 64),
]  # fmt: skip


@pytest.mark.parametrize(("name", "size"), SMALL)
def test_both_forms_agree_on_a_small_image(name: str, size: int) -> None:
    assert_agreement(archdsl.load(name, inputs={"image": (3, size, size)}))


@pytest.mark.slow
@pytest.mark.parametrize("name", TOTALS)
def test_both_forms_agree_at_full_size(name: str) -> None:
    assert_agreement(declared(name))
