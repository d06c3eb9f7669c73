"""Every network of the residual, dense and Inception families runs in PyTorch and on onnxruntime, and both agree."""

from __future__ import annotations

import pytest
from both_forms import assert_agreement

import archdsl
from archdsl.library import family, networks_in, shipped

#: the light ones at their own size
QUICK = ["resnet20", "plain20", "densenet_40_12"]
#: one of each other kind of unit on an image as small as its pools allow
SMALL = [
    ("resnet50", 64), ("resnext50_32x4d", 64), ("densenet121", 64),
    ("inception_bn", 64), ("inception_v3", 96), ("inception_v4", 96), ("inception_resnet_v2", 96),
]  # fmt: skip
#: all of them at their own size
ALL = [
    "plain18", "plain34", "resnet18", "resnet34", "resnet34_a", "resnet34_c", "resnet50", "resnet101", "resnet152",
    "resnet32", "resnet44", "resnet56", "resnet110", "resnet1202", "plain32", "plain44", "plain56",
    "resnext50_32x4d", "resnext101_32x4d", "resnext101_64x4d", "resnext50_branches", "resnext50_concat",
    "resnet50_1x64d", "template_32x4d", "template_1x64d", "template_2x40d", "template_4x24d", "template_8x14d",
    "densenet121", "densenet169", "densenet201", "densenet161", "densenet264",
    "densenet_100_12", "densenet_100_24", "densenet_bc_100_12", "densenet_bc_250_24", "densenet_bc_190_40",
    "densenet_bc_40_36", "densenet_bc_40_48", "densenet_bc_40_60",
    "inception_bn", "inception_bn_released", "inception_v2", "inception_v3", "inception_v4", "inception_resnet_v1",
    "inception_resnet_v2",
]  # fmt: skip


FAMILIES = {
    "resnet", "resnet_cifar", "resnext", "densenet", "densenet_cifar", "inception_bn", "inception_v2", "inception_v3",
    "inception_v4", "inception_resnet",
}  # fmt: skip


def test_no_network_of_these_families_is_left_out() -> None:
    declared = [name for spec in shipped() if family(spec) in FAMILIES for name in networks_in(spec)]
    assert sorted(declared) == sorted([*QUICK, *ALL])


@pytest.mark.parametrize("name", QUICK)
def test_both_forms_agree(name: str) -> None:
    assert_agreement(archdsl.load(name))


@pytest.mark.parametrize(("name", "size"), SMALL)
def test_both_forms_agree_on_a_small_image(name: str, size: int) -> None:
    without_head = {"aux": False} if name == "inception_v3" else {}
    assert_agreement(archdsl.load(name, inputs={"image": (3, size, size)}, **without_head))


@pytest.mark.slow
@pytest.mark.parametrize("name", ALL)
def test_both_forms_agree_at_full_size(name: str) -> None:
    assert_agreement(archdsl.load(name))
