"""Every figure that the reference has in print for these families stands in its spec, and holds or is explained."""

from __future__ import annotations

import pytest
from published_figures import entries

import archdsl

SPECS = {
    "plain-18": "plain18", "plain-34": "plain34", "ResNet-18": "resnet18", "ResNet-34": "resnet34",
    "ResNet-50": "resnet50", "ResNet-101": "resnet101", "ResNet-152": "resnet152",
    **{f"ResNet-{depth} (CIFAR-10)": f"resnet{depth}" for depth in (20, 32, 44, 56, 110, 1202)},
    "ResNeXt-101 (32x4d)": "resnext101_32x4d", "ResNeXt-101 (64x4d)": "resnext101_64x4d",
    "DenseNet L=40 k=12 (CIFAR-10)": "densenet_40_12", "DenseNet L=100 k=12 (CIFAR-10)": "densenet_100_12",
    "DenseNet L=100 k=24 (CIFAR-10)": "densenet_100_24",
    **{
        f"DenseNet-BC L={depth} k={growth} (CIFAR-10)": f"densenet_bc_{depth}_{growth}"
        for depth, growth in ((100, 12), (250, 24), (190, 40), (40, 36), (40, 48), (40, 60))
    },
    "BN-Inception": "inception_bn", "Inception-v4": "inception_v4",
    "Inception-ResNet-v1": "inception_resnet_v1", "Inception-ResNet-v2": "inception_resnet_v2",
}  # fmt: skip
#: rows of BN-Inception; its second `max pool` is pool2
MODULES = {
    "convolution*": "conv1", "max pool": "pool1", "convolution": "conv2", "avg pool": "avgpool",
    **{f"{kind} stride 2": f"inception_{kind}" for kind in ("3c", "4e")},
    **{kind: f"inception_{kind}" for kind in ("3a", "3b", "4a", "4b", "4c", "4d", "5a", "5b")},
}  # fmt: skip
GRIDS = {"Reduction-A": "reduction_a", "Reduction-B": "reduction_b", "avg pool": "pool"}


def stage(network: str, layer: str, again: bool) -> str:
    """The stage that a row is about; `again`: another row above has the same name."""
    if network == "BN-Inception":
        return "pool2" if again else MODULES[layer]
    return GRIDS.get(layer, layer.split("x ")[-1].lower())


def test_totals_in_print() -> None:
    compared = 0
    for network, spec in SPECS.items():
        totals = entries()[network]["totals"]
        printed = [("params", totals.get("params"), totals.get("params_unit"))]
        printed += [("macs", totals.get(key), totals.get("unit")) for key in ("macs", "flops")]
        stated = {
            (v.claim.quantity, v.claim.stated): v for v in archdsl.load(spec).checked.verdicts if not v.claim.path
        }
        for quantity, figure, unit in printed:
            if isinstance(figure, float | int):
                verdict = stated[quantity, f"{figure}{unit}"]
                assert verdict.holds or verdict.claim.because
                compared += 1
    assert compared == 25


@pytest.mark.parametrize("network", [name for name in SPECS if entries()[name]["rows"]])
def test_rows_in_print(network: str) -> None:
    stated = {
        (v.claim.path, v.claim.shape): v
        for v in archdsl.load(SPECS[network]).checked.verdicts
        if v.claim.kind == "published" and v.claim.quantity == "shape"
    }
    seen: set[str] = set()
    for row in entries()[network]["rows"]:
        path = stage(network, row["layer"], row["layer"] in seen)
        seen.add(row["layer"])
        verdict = stated[path, tuple(row["output"])]
        assert verdict.holds or verdict.claim.because
