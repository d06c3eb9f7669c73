"""specs/transformer: the vision transformer against torchvision, the encoder against PyTorch's own."""

from __future__ import annotations

import importlib.util
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from both_forms import assert_agreement
from torch import nn

import archdsl
from archdsl.runtime.verify import run_onnx, verify

REFERENCE = Path(__file__).parents[3] / "shared/reference"
#: what torchvision 0.29's vit_b_16 gives for the weights and the image of fill.py: the first logits, and all together
LOGITS = [
    1.3936110734939575, 0.9539397954940796, 0.20029881596565247, -1.878237247467041, -1.0853747129440308,
    1.7097368240356445, 1.7131699323654175, -0.29363399744033813,
]  # fmt: skip
ABSOLUTE_SUM = 1176.4462890625


def torchvisions_state(width: int = 768, inner: int = 3072, layers: int = 12) -> list[tuple[str, tuple[int, ...]]]:
    """Keys and shapes of `torchvision.models.vit_b_16().state_dict()` in its order."""
    found: list[tuple[str, tuple[int, ...]]] = [
        ("class_token", (1, 1, width)), ("conv_proj.weight", (width, 3, 16, 16)), ("conv_proj.bias", (width,)),
        ("encoder.pos_embedding", (1, 197, width)),
    ]  # fmt: skip
    for i in range(layers):
        block: list[tuple[str, tuple[int, ...]]] = [
            ("ln_1.weight", (width,)), ("ln_1.bias", (width,)),
            ("self_attention.in_proj_weight", (3 * width, width)), ("self_attention.in_proj_bias", (3 * width,)),
            ("self_attention.out_proj.weight", (width, width)), ("self_attention.out_proj.bias", (width,)),
            ("ln_2.weight", (width,)), ("ln_2.bias", (width,)),
            ("mlp.0.weight", (inner, width)), ("mlp.0.bias", (inner,)),
            ("mlp.3.weight", (width, inner)), ("mlp.3.bias", (width,)),
        ]  # fmt: skip
        found += [(f"encoder.layers.encoder_layer_{i}.{name}", shape) for name, shape in block]
    found += [("encoder.ln.weight", (width,)), ("encoder.ln.bias", (width,))]
    return [*found, ("heads.head.weight", (1000, width)), ("heads.head.bias", (1000,))]


@pytest.fixture(scope="module")
def vit() -> archdsl.Network:
    return archdsl.load("transformer/vit_b_16")


def test_parameters_are_torchvisions(vit: archdsl.Network) -> None:
    assert vit.diagnostics == ()
    assert vit.report().to_dict()["totals"]["params"] == 86_567_656
    found = {layer.key(weight): weight.shape for layer in vit.checked.layers for weight in layer.weights}
    assert found == dict(torchvisions_state())


def test_the_module_has_torchvisions_state_dict_in_its_order() -> None:
    net = archdsl.load("transformer/vit_b_16", layers=2, width=24, heads=3)
    found = [(key, tuple(value.shape)) for key, value in net.torch().state_dict().items()]
    assert found == torchvisions_state(width=24, inner=96, layers=2)


def test_multiply_accumulates_are_torchvisions(vit: archdsl.Network) -> None:
    """Its documentation prints 17.56 for them."""
    assert round(vit.report().to_dict()["totals"]["macs"] / 1e9, 2) == 17.56


@pytest.mark.slow
def test_logits_are_torchvisions_in_both_forms(vit: archdsl.Network) -> None:
    spec = importlib.util.spec_from_file_location("fill", REFERENCE / "fill.py")
    assert spec is not None
    assert spec.loader is not None
    fill = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(fill)
    weights = {key: fill.fill_value(key, shape) for key, shape in torchvisions_state()}
    image = fill.reference_image(3, 224, 224)[None]
    with torch.inference_mode():
        theirs = vit.torch(weights).eval()(torch.from_numpy(image)).numpy()[0]
    [ours] = run_onnx(vit.checked, weights, [{"image": image}], 17)
    for logits in (theirs, ours["logits"][0]):
        np.testing.assert_allclose(logits[:8], LOGITS, rtol=1e-4, atol=1e-4)
        assert abs(float(np.abs(logits).sum()) / ABSOLUTE_SUM - 1) < 1e-5


def test_a_small_vision_transformer_agrees_in_both_forms() -> None:
    net = archdsl.load("transformer/vit_b_16", side=32, width=24, heads=3, layers=2, patch=8, classes=5)
    assert_agreement(net)


# The encoder ----------------------------------------------------------------------------------------------------------

SMALL = {"vocabulary": 50, "layers": 2, "width": 16, "heads": 4, "inner": 32}


def test_the_encoder_is_pytorchs() -> None:
    """Layer by layer `nn.TransformerEncoderLayer` with the norm after the sum, on embeddings and positions by hand."""
    net = archdsl.load("transformer/encoder", **SMALL)
    weights = {key: torch.from_numpy(value) for key, value in net.initialize(3).items()}
    words = torch.randint(50, (2, 9), generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        x = 4 * weights["0.weight"][words]
        for t in range(9):
            x[:, t] += torch.tensor(
                [(math.cos if i % 2 else math.sin)(t / 10000 ** (i // 2 * 2 / 16)) for i in range(16)]
            )
        for i in range(2):
            x = _layer(weights, f"layers.{i}.")(x)
        torch.testing.assert_close(net.torch(net.initialize(3)).eval()(words), x, rtol=1e-5, atol=1e-5)


def _layer(weights: dict[str, torch.Tensor], prefix: str) -> nn.TransformerEncoderLayer:
    own = nn.TransformerEncoderLayer(16, 4, 32, batch_first=True).eval()
    names = {
        "self_attn.in_proj_weight": "attention.self.in_proj_weight",
        "self_attn.out_proj.weight": "attention.self.out_proj.weight",
        "linear1.weight": "feed_forward.inner.weight", "linear1.bias": "feed_forward.inner.bias",
        "linear2.weight": "feed_forward.outer.weight", "linear2.bias": "feed_forward.outer.bias",
        "norm1.weight": "norm1.weight", "norm1.bias": "norm1.bias",
        "norm2.weight": "norm2.weight", "norm2.bias": "norm2.bias",
    }  # fmt: skip
    zeros = {"self_attn.in_proj_bias": torch.zeros(48), "self_attn.out_proj.bias": torch.zeros(16)}
    own.load_state_dict({**{name: weights[prefix + ours] for name, ours in names.items()}, **zeros})
    return own


def test_the_encoder_agrees_in_both_forms_at_several_lengths() -> None:
    net = archdsl.load("transformer/encoder", **SMALL)
    result = verify(net.checked, net.initialize(1), batches=(1, 3), tolerance=1e-5)
    assert result.agrees
    assert len({difference.sizes for difference in result.differences}) > 2


def test_the_base_encoder_counts_as_in_the_paper() -> None:
    """Section 3: four square matrices and a feed-forward net a layer; attention itself is T^2 twice."""
    net = archdsl.load("transformer/encoder")
    totals = net.report().to_dict()["totals"]
    layer = 4 * 512**2 + (2 * 512 * 2048 + 2048 + 512) + 2 * 2 * 512
    assert totals["params"] == 37_000 * 512 + 6 * layer
    assert totals["macs"] == 6 * (64 * (4 * 512**2 + 2 * 512 * 2048) + 64 * 64 * 2 * 512)
