"""Hashing networks: codes in both forms, and what each hash layer sees."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from both_forms import assert_agreement

import archdsl
from archdsl.runtime.verify import verify


def load(file: str, name: str | None = None, **settings: Any) -> archdsl.Network:
    return archdsl.load(f"retrieval/{file}", name or file, **settings)


@pytest.mark.parametrize("name", ["cnnh", "cnnh_plus"])
def test_both_forms_agree(name: str) -> None:
    assert_agreement(load("cnnh", name))


def test_both_forms_agree_on_ninh() -> None:
    assert_agreement(load("ninh", bits=4, inputs={"image": (3, 96, 96)}))


def test_both_forms_agree_on_codes_and_their_weights() -> None:
    net = load("drsch")
    assert verify(net.checked, net.initialize(1), batches=(2,), tolerance=1e-5).agrees


@pytest.mark.slow
@pytest.mark.parametrize("name", ["dsrh", "dlbhc", "ninh"])
def test_both_forms_agree_at_full_size(name: str) -> None:
    net = load(name)
    assert verify(net.checked, net.initialize(1), batches=(1,), tolerance=1e-4).agrees


@pytest.mark.parametrize("bits", [16, 48])
def test_every_bit_of_ninh_sees_a_slice_of_its_own(bits: int) -> None:
    weights = {layer.key(w): w.shape for layer in load("ninh", bits=bits).checked.layers for w in layer.weights}
    assert weights["cccp4.weight"][0] == 50 * bits
    assert weights["divide.weight"] == (bits, 50, 1, 1)


def test_the_hash_layer_of_dsrh_sees_both_fully_connected_layers() -> None:
    checked = load("dsrh").checked
    assert [ref.path.split(".")[1] for ref in checked.layer("both.concat").inputs] == ["fc6", "fc7"]
    assert checked.layer("hash").weights[0].shape == (64, 2 * 4096)


def test_the_classes_of_dlbhc_see_nothing_but_the_code() -> None:
    checked = load("dlbhc", bits=12).checked
    assert checked.layer("fc8").weights[0].shape == (10, 12)
    assert {output.name for output in checked.deployed_outputs} == {"code", "logits"}


def test_drsch_bends_sums_as_the_paper_does() -> None:
    """(1 - exp(-beta v)) / (1 + exp(-beta v))"""
    net = load("drsch", beta=3)
    seen: list[torch.Tensor] = []
    model = net.torch().eval()
    model.fc2.register_forward_hook(lambda module, given, result: seen.append(result))
    with torch.inference_mode():
        code = model(torch.randn(2, 3, 32, 32))["code"]
    [v] = seen
    torch.testing.assert_close(code, (1 - torch.exp(-3 * v)) / (1 + torch.exp(-3 * v)), rtol=1e-4, atol=1e-6)


def test_cnnh_plus_learns_classes_beside_the_code() -> None:
    plain, plus = (load("cnnh", name).report().to_dict() for name in ("cnnh", "cnnh_plus"))
    assert all(plain["totals"][quantity] == plus["totals"][quantity] for quantity in ("params", "macs"))
    assert plus["training_totals"]["params"] - plain["training_totals"]["params"] == 500 * 10 + 10
