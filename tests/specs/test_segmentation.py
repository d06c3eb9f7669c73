"""specs/segmentation: totals, the figures in print, and what each network is known for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from both_forms import assert_agreement, declared
from published_figures import entries, recomputed

import archdsl
from archdsl.graph.graph import Layer
from archdsl.library import networks_in, shipped
from archdsl.ops.transposed import Deconv

FCN = entries()["FCN-VGG16 / FCN-8s"]["recomputed"]
SEGNET = entries()["SegNet"]["recomputed"]
DEEPLAB_V1 = entries()["DeepLab v1"]["recomputed"]
REFINENET = entries()["RefineNet-101"]["recomputed"]
#: torchvision's head has one 3x3 convolution and its normalization more than the paper's
EXTRA_3X3 = 9 * 256**2 + 2 * 256


def totals(name: str) -> dict[str, Any]:
    return declared(f"segmentation/{name}").report().to_dict()["totals"]


def layers(name: str, op: str) -> list[Layer]:
    return [layer for layer in declared(f"segmentation/{name}").checked.layers if layer.op.name == op]


def output(name: str, **parameters: object) -> tuple[int, ...]:
    [found] = archdsl.load(f"segmentation/{name}", **parameters).checked.deployed_outputs
    return found.type.shape


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("fcn_alexnet", FCN["fcn_alexnet"]),
        ("fcn_googlenet", FCN["fcn_googlenet_body_plus_score"]),
        ("segnet", SEGNET["camvid_12"]),
        ("segnet_sun", SEGNET["sun_38_outputs"]),
        ("segnet_pascal", SEGNET["pascal_21"]),
        ("unet", recomputed("U-Net")[0]),
        ("deeplab_v1", DEEPLAB_V1["LargeFOV"]),
        ("deeplab_v1_7x7", DEEPLAB_V1["CRF-7x7"]),
        ("deeplab_v1_4x4", DEEPLAB_V1["CRF-4x4"]),
        ("deeplab_v2_vgg", entries()["DeepLab v2 (VGG ASPP-L)"]["recomputed"]["vgg_aspp_4_branches"]),
        ("deeplab_v3_os8", entries()["DeepLab v3"]["recomputed"]["torchvision_r50"] - EXTRA_3X3),
        ("deeplab_v3_101_os8", entries()["DeepLab v3"]["recomputed"]["torchvision_r101"] - EXTRA_3X3),
    ],
)
def test_parameters(name: str, params: int) -> None:
    assert totals(name)["params"] == params


@pytest.mark.parametrize(
    ("name", "macs"),
    [("fcn8s_384", FCN["macs_384"]), ("segnet", SEGNET["macs_360x480_12"]), ("unet", recomputed("U-Net")[1])],
)
def test_multiply_accumulates(name: str, macs: int) -> None:
    assert totals(name)["macs"] == macs


# FCN ------------------------------------------------------------------------------------------------------------------


def test_fcn_with_its_fixed_upsampling_is_as_large_as_the_release() -> None:
    found = totals("fcn8s")
    assert found["params"] + found["buffers"] == FCN["fcn8s_incl_bilinear"]


def test_fcn_learns_its_inner_upsampling_and_keeps_the_last() -> None:
    deconvs = [layer.op for layer in layers("fcn8s", "deconv")]
    assert [(op.kernel, op.stride, op.trainable) for op in deconvs if isinstance(op, Deconv)] == [
        (4, 2, True), (4, 2, True), (16, 8, False),
    ]  # fmt: skip
    weight = archdsl.load("segmentation/fcn_googlenet", classes=3).initialize()["upscore.weight"]
    assert np.allclose(weight[0, 0], weight[0, 0].T)
    assert weight[0, 0].max() == weight[0, 0, 31, 31]
    assert not weight[0, 1].any()


@pytest.mark.parametrize("name", ["fcn32s", "fcn16s", "fcn8s"])
@pytest.mark.parametrize("side", [65, 500])
def test_fcn_scores_every_pixel(name: str, side: int) -> None:
    assert output(name, side=side) == (21, side, side)


# Unpooling ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["segnet", "deconvnet"])
def test_each_unpooling_has_the_indices_of_the_pool_that_it_undoes(name: str) -> None:
    pools = {layer.path: layer for layer in layers(name, "maxpool")}
    undone = layers(name, "unpool")
    assert [layer.inputs[1].path[-5:] for layer in undone] == [f"pool{i}" for i in (5, 4, 3, 2, 1)]
    for layer in undone:
        pool = pools[layer.inputs[1].path]
        assert layer.inputs[1].index == 1
        assert layer.output_types[0].shape == pool.input_types[0].shape


def test_segnet_takes_sizes_that_do_not_divide() -> None:
    """360 is 22.5 times 16: the last pool runs past the end, and its unpooling stops there."""
    assert layers("segnet", "unpool")[0].output_types[0].shape == (512, 23, 30)


# U-Net ----------------------------------------------------------------------------------------------------------------


def test_unet_gives_388_pixels_of_572() -> None:
    assert output("unet") == (2, 388, 388)
    assert totals("unet")["depth"] == entries()["U-Net"]["recomputed"]["layers"]
    assert round(totals("unet")["params"] / 1e6, 1) == 31.0


def test_a_pixel_of_unet_sees_as_far_as_what_its_valid_convolutions_cut_off() -> None:
    """With nothing padded, the map is smaller by what lies around a pixel on both sides."""
    found = declared("segmentation/unet").report().to_dict()["layers"][-1]["receptive_field"]
    assert all(185 <= size <= 572 for size in found)


# Dilation -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("stride", "size"), [(8, 65), (16, 33)])
def test_output_stride_of_deeplab(stride: int, size: int) -> None:
    net = archdsl.load("segmentation/deeplab_v3", output_stride=stride)
    assert net.checked.stages["trunk"].type.shape == (2048, size, size)


def test_rates_of_deeplab_v3() -> None:
    """Section 3: multi-grid (1, 2, 4) times 2 at an output stride of 16, pyramid rates 6, 12, 18; twice that at 8."""
    rates = {
        name: [layer.op.dilation for layer in layers(name, "conv") if layer.op.dilation != 1]  # type: ignore[attr-defined]
        for name in ("deeplab_v3", "deeplab_v3_os8")
    }
    assert rates["deeplab_v3"] == [2, 4, 8, 6, 12, 18]
    assert rates["deeplab_v3_os8"] == [2] * 6 + [4, 8, 16, 12, 24, 36]


def test_deeplab_has_the_same_weights_at_both_strides() -> None:
    coarse, fine = (
        {layer.key(weight): weight.shape for layer in declared(f"segmentation/{name}").checked.layers
         for weight in layer.weights}
        for name in ("deeplab_v3", "deeplab_v3_os8")
    )  # fmt: skip
    assert coarse == fine


def test_deeplab_v2_looks_at_three_sizes_with_one_set_of_weights() -> None:
    one, three = totals("deeplab_v2_resnet101"), totals("deeplab_v2_resnet101_msc")
    assert one["params"] == three["params"]
    # 1 + 0.75^2 + 0.5^2 times the work, up to what whole sizes add
    assert 1.75 < three["macs"] / one["macs"] < 1.8125


# RefineNet, PSPNet, GCN -----------------------------------------------------------------------------------------------


def test_weights_of_refinenet() -> None:
    net = declared("segmentation/refinenet101").checked
    params = {
        layer.key(weight): int(np.prod(weight.shape))
        for layer in net.layers
        for weight in layer.weights
        if weight.trainable
    }
    trunk = sum(size for key, size in params.items() if key.startswith("trunk."))
    rest = sum(size for key, size in params.items() if not key.startswith("trunk.") and not key.endswith(".bias"))
    assert (trunk, rest) == (REFINENET["backbone"], REFINENET["decoder_weights"])


def test_pspnet_pools_one_four_nine_and_36_regions() -> None:
    assert [layer.op.out for layer in layers("pspnet50", "adaptive_avgpool")] == [1, 2, 3, 6]  # type: ignore[attr-defined]
    assert declared("segmentation/pspnet50").checked.stages["trunk"].type.shape == (2048, 60, 60)
    assert declared("segmentation/pspnet50").checked.stages["pyramid"].type.shape == (4096, 60, 60)


@pytest.mark.parametrize("row", entries()["GCN"]["rows"], ids=lambda row: row["layer"])
def test_a_global_convolution_needs_few_weights(row: dict[str, Any]) -> None:
    """Table 3: 2k (2048 + 21) 21 of them, where a trivial convolution has 2048 * 21 k^2."""
    k = int(row["layer"][2:])
    for trivial, printed in ((False, row["params"]), (True, row["published_trivial_conv"])):
        net = archdsl.load("segmentation/table3_gcn", k=k, trivial=trivial)
        weights = net.report().to_dict()["totals"]["params"] - (21 if trivial else 4 * 21)
        assert weights == (2048 * 21 * k**2 if trivial else 2 * k * 21 * (2048 + 21))
        assert printed in (weights // 1000, round(weights / 1000))


# Both forms -----------------------------------------------------------------------------------------------------------

#: the light ones, and the heavy ones' ideas at a size that costs little
QUICK: list[tuple[str, dict[str, Any]]] = [
    ("unet", {"side": 188, "width": 4}),
    ("fcn_googlenet", {"side": 96}),
    ("table3_gcn", {}),
    ("table3_trivial_3", {}),
]
#: every other network, on a small image
SLOW: list[tuple[str, dict[str, Any]]] = [
    ("unet", {}),
    *[(name, {"side": 65}) for name in ("fcn32s", "fcn16s", "fcn8s", "fcn_alexnet")],
    *[(name, {"height": 72, "width": 88}) for name in ("segnet", "segnet_sun", "segnet_pascal")],
    ("deconvnet", {}),
    *[(f"deeplab_v1{kind}", {"side": 97}) for kind in ("", "_7x7", "_4x4", "_4x4_narrow")],
    *[(f"deeplab_v2_{kind}", {"side": 97}) for kind in ("vgg", "vgg_s", "resnet101", "resnet101_msc")],
    *[(f"deeplab_v3{kind}", {"side": 97}) for kind in ("", "_os8", "_101", "_101_os8")],
    *[(f"refinenet{depth}", {"side": 96}) for depth in (50, 101, 152)],
    *[(f"pspnet{kind}", {"side": 97}) for kind in ("50", "50_narrow_stem", "101_voc", "101_cityscapes")],
    *[(name, {"side": 64}) for name in ("gcn", "gcn_50")],
    *[(f"table3_gcn_{k}", {}) for k in (5, 7, 9)],
    *[(f"table3_trivial_{k}", {}) for k in (5, 7, 9)],
]
#: the same network on another image
TWICE = {"fcn8s_384"}


def test_no_network_of_the_folder_is_left_out() -> None:
    found = {name for spec in shipped() if spec.parent.name == "segmentation" for name in networks_in(spec)}
    assert found == {name for name, _ in (*QUICK, *SLOW)} | TWICE


@pytest.mark.parametrize(("name", "parameters"), QUICK)
def test_both_forms_agree(name: str, parameters: dict[str, Any]) -> None:
    assert_agreement(archdsl.load(f"segmentation/{name}", **parameters))


@pytest.mark.slow
@pytest.mark.parametrize(("name", "parameters"), SLOW)
def test_both_forms_agree_on_a_small_image(name: str, parameters: dict[str, Any]) -> None:
    assert_agreement(archdsl.load(f"segmentation/{name}", **parameters))
