"""Generative adversarial networks: counts of the authors' own releases, shared weights, objectives, and both forms."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from both_forms import assert_agreement
from published_figures import entries, recomputed

import archdsl
from archdsl.graph.recipe import Term
from archdsl.runtime.verify import verify

#: each network on its own, of a size that a test can afford
ALONE: list[tuple[str, str, dict[str, Any]]] = [
    ("gan", "gan_generator", {}),
    ("gan", "gan_discriminator", {}),
    ("cgan", "cgan_generator", {}),
    ("cgan", "cgan_discriminator", {}),
    ("dcgan", "dcgan_generator", {"width": 8}),
    ("dcgan", "dcgan_discriminator", {"width": 8}),
    ("dcgan", "dcgan_torch_generator", {"width": 8}),
    ("dcgan", "dcgan_torch_discriminator", {"width": 8}),
    ("wgan", "wgan_critic", {"width": 8}),
    ("wgan", "wgan_mlp_generator", {"hidden": 32}),
    ("wgan_gp", "wgan_gp_generator", {}),
    ("wgan_gp", "wgan_gp_critic", {}),
    ("cyclegan", "cyclegan_generator", {"width": 4, "inputs": {"image": (3, 32, 32)}}),
    ("cyclegan", "cyclegan_discriminator", {"width": 4, "inputs": {"image": (3, 64, 64)}}),
    ("srgan", "srgan_generator", {"blocks": 2}),
    ("srgan", "srgan_discriminator", {"inputs": {"image": (3, 32, 32)}}),
]


def load(file: str, name: str, **settings: Any) -> archdsl.Network:
    return archdsl.load(f"generative/{file}", name, **settings)


@pytest.mark.parametrize(("file", "name", "settings"), ALONE, ids=[name for _, name, _ in ALONE])
def test_both_forms_agree(file: str, name: str, settings: dict[str, Any]) -> None:
    assert_agreement(load(file, name, **settings))


@pytest.mark.parametrize("name", ["gan", "cgan"])
def test_both_forms_agree_on_a_pair(name: str) -> None:
    net = load(name, name)
    assert verify(net.checked, net.initialize(1), batches=(2,), tolerance=1e-5).agrees


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "inputs"),
    [
        ("dcgan", {}), ("wgan", {}), ("wgan_gp", {}), ("srgan", {}),
        ("cyclegan", {"x": (3, 32, 32), "y": (3, 32, 32)}),
    ],
)  # fmt: skip
def test_both_forms_agree_on_a_large_pair(name: str, inputs: dict[str, Any]) -> None:
    net = load(name, name, inputs=inputs)
    assert verify(net.checked, net.initialize(1), batches=(1,), tolerance=1e-4).agrees


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("gan", {"generator": "gan_generator", "discriminator": "gan_discriminator"}),
        ("cgan", {"generator": "cgan_generator", "discriminator": "cgan_discriminator"}),
        ("dcgan", {"generator": "dcgan_generator", "discriminator": "dcgan_discriminator"}),
        ("wgan", {"generator": "wgan_generator", "critic": "wgan_critic"}),
        ("wgan_gp", {"generator": "wgan_gp_generator", "critic": "wgan_gp_critic"}),
        ("srgan", {"generator": "srgan_generator", "discriminator": "srgan_discriminator"}),
        (
            "cyclegan",
            {"g": "cyclegan_generator", "f": "cyclegan_generator"}
            | dict.fromkeys(("d_x", "d_y"), "cyclegan_discriminator"),
        ),
    ],
)
def test_a_pair_has_the_weights_of_its_networks_once(name: str, parts: dict[str, str]) -> None:
    whole = keys(load(name, name))
    expected = {f"{part}.{key}" for part, network in parts.items() for key in keys(load(name, network))}
    assert {key for key in whole if not key.startswith("features.")} == expected


def keys(net: archdsl.Network) -> list[str]:
    return [layer.key(weight) for layer in net.checked.layers for weight in layer.weights]


@pytest.mark.parametrize(("part", "network"), [("G", "generator"), ("D", "discriminator")])
def test_dcgan_counts_as_its_port_to_torch(part: str, network: str) -> None:
    totals = load("dcgan", f"dcgan_torch_{network}").report().to_dict()["totals"]
    assert (totals["params"], totals["macs"]) == recomputed("DCGAN (64x64)", part)


@pytest.mark.parametrize(("part", "network"), [("G", "generator"), ("D", "discriminator")])
def test_cyclegan_counts_as_the_release_prints(part: str, network: str) -> None:
    printed = entries()["CycleGAN"]["totals"]["params"][part]
    params = load("cyclegan", f"cyclegan_{network}").report().to_dict()["totals"]["params"]
    assert f"{params / 1e6:.3f} M" == printed


def test_cyclegan_has_the_names_of_the_release() -> None:
    """Positions in its `nn.Sequential`: padding, norms and activations have places, and no weights."""
    convolutions = [
        *("model.1", "model.4", "model.7"),
        *(f"model.{i}.conv_block.{j}" for i in range(10, 19) for j in (1, 5)),
        *("model.19", "model.22", "model.26"),
    ]
    assert keys(load("cyclegan", "cyclegan_generator")) == [
        f"{layer}.{kind}" for layer in convolutions for kind in ("weight", "bias")
    ]
    assert keys(load("cyclegan", "cyclegan_discriminator"))[::2] == [f"model.{i}.weight" for i in (0, 2, 5, 8, 11)]


def test_maxout_is_the_largest_of_its_pieces() -> None:
    net = load("gan", "gan_discriminator")
    weights = {key: torch.from_numpy(value) for key, value in net.initialize(2).items()}
    image = torch.rand(3, 784)
    with torch.inference_mode():
        x = image
        for layer in ("h0", "h1"):
            sums = x @ weights[f"{layer}.0.linear.weight"].T + weights[f"{layer}.0.linear.bias"]
            x = torch.stack([sums[:, piece::5] for piece in range(5)]).amax(0)
        expected = torch.sigmoid(x @ weights["y.weight"].T + weights["y.bias"])
        torch.testing.assert_close(net.torch(net.initialize(2)).eval()(image), expected)


def test_objectives_are_about_what_they_name() -> None:
    losses = load("wgan_gp", "wgan_gp").checked.recipe["loss"]
    assert losses == (
        Term("wasserstein", (), ("of_real", "of_fake"), 1.0),
        Term("gradient_penalty", (("norm", 1.0),), ("image", "fake"), 10.0),
    )
    cycle = load("cyclegan", "cyclegan").checked.recipe["loss"]
    assert [(term.name, term.tensors, term.weight) for term in cycle][2:] == [  # type: ignore[attr-defined]
        ("l1", ("again_x", "x"), 10.0),
        ("l1", ("again_y", "y"), 10.0),
    ]


def test_srgan_makes_images_four_times_as_large() -> None:
    net = load("srgan", "srgan_generator", blocks=1)
    with torch.inference_mode():
        made = net.torch().eval()(torch.from_numpy(np.zeros((1, 3, 17, 30), np.float32)))
    assert made.shape == (1, 3, 68, 120)
