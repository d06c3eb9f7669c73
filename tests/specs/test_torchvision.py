"""specs/torchvision/*.arch against torchvision: names, shapes, counts, and the logits of a deterministic fill."""

from __future__ import annotations

import importlib.util
import json
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

import archdsl
from archdsl import library
from archdsl.emit.onnx.model import onnx_model
from archdsl.emit.torch.module import module
from archdsl.graph.graph import Layer
from archdsl.ops.base import Init
from archdsl.ops.shaping import Dropout
from archdsl.runtime.session import open_session
from archdsl.weights.match import complete

SPECS = Path(__file__).parents[2] / "specs/torchvision"
REFERENCE = Path(__file__).parents[3] / "shared/reference"
REFERENCES = sorted(path.stem for path in (REFERENCE / "torchvision").glob("*.json"))
SPEC_OF = {name: spec for spec in SPECS.glob("*.arch") for name in library.networks_in(spec)}

#: as torchvision's documentation gives them, all heads included
PARAMS = {
    "alexnet": 61_100_840, "vgg11": 132_863_336, "vgg11_bn": 132_868_840, "vgg13": 133_047_848,
    "vgg13_bn": 133_053_736, "vgg16": 138_357_544, "vgg16_bn": 138_365_992, "vgg19": 143_667_240,
    "vgg19_bn": 143_678_248, "googlenet": 13_004_888, "inception_v3": 27_161_264, "resnet18": 11_689_512,
    "resnet34": 21_797_672, "resnet50": 25_557_032, "resnet101": 44_549_160, "resnet152": 60_192_808,
    "wide_resnet50_2": 68_883_240, "wide_resnet101_2": 126_886_696, "resnext50_32x4d": 25_028_904,
    "resnext101_32x8d": 88_791_336, "resnext101_64x4d": 83_455_272, "densenet121": 7_978_856,
    "densenet161": 28_681_000, "densenet169": 14_149_480, "densenet201": 20_013_928, "squeezenet1_0": 1_248_424,
    "squeezenet1_1": 1_235_496, "mobilenet_v2": 3_504_872, "shufflenet_v2_x0_5": 1_366_792,
    "shufflenet_v2_x1_0": 2_278_604, "shufflenet_v2_x1_5": 3_503_624, "shufflenet_v2_x2_0": 7_393_996,
}  # fmt: skip
#: the ops that do what a leaf module of torchvision does
OPS_OF = {
    "Conv2d": ("conv", "depthwise"), "BatchNorm2d": ("batchnorm",), "Linear": ("linear",), "ReLU": ("relu",),
    "ReLU6": ("relu6",), "MaxPool2d": ("maxpool",), "AvgPool2d": ("avgpool",), "Dropout": ("dropout",),
    "AdaptiveAvgPool2d": ("avgpool", "adaptive_avgpool"),
}  # fmt: skip
WITH_WEIGHTS = ("Conv2d", "BatchNorm2d", "Linear")


@dataclass(frozen=True)
class Case:
    net: archdsl.Network
    expected: dict[str, Any]


def load(name: str, **parameters: Any) -> archdsl.Network:
    return archdsl.load(SPEC_OF[name], name, **parameters)


def keys_and_shapes(net: archdsl.Network) -> dict[str, list[int]]:
    return {f"{layer.module}.{w.name}": list(w.shape) for layer in net.checked.layers for w in layer.weights}


@pytest.fixture(scope="module", params=REFERENCES)
def case(request: pytest.FixtureRequest) -> Case:
    expected = json.loads((REFERENCE / "torchvision" / f"{request.param}.json").read_text())
    return Case(load(request.param), expected)


@pytest.fixture(scope="module")
def fill() -> ModuleType:
    """The reference's own rule for weights and image."""
    spec = importlib.util.spec_from_file_location("fill", REFERENCE / "fill.py")
    assert spec is not None
    assert spec.loader is not None
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


# All of them ----------------------------------------------------------------------------------------------------------


def test_the_networks_are_torchvisions() -> None:
    assert SPEC_OF.keys() == PARAMS.keys()
    assert len(REFERENCES) == 12
    assert set(REFERENCES) < PARAMS.keys()


@pytest.mark.parametrize("name", PARAMS)
def test_counts_are_torchvisions_and_claimed(name: str) -> None:
    net = load(name)
    assert net.diagnostics == ()
    assert net.report().to_dict()["training_totals"]["params"] == PARAMS[name]
    claims = {verdict.claim.quantity: verdict for verdict in net.checked.verdicts if verdict.claim.path == ""}
    assert {"params", "macs"} <= claims.keys()
    assert all(verdict.holds and verdict.claim.low == verdict.claim.high for verdict in claims.values())


@pytest.mark.parametrize("name", PARAMS)
def test_preprocessing_is_torchvisions(name: str) -> None:
    image = load(name).checked.inputs[0]
    crop, resize = (299, 342) if name == "inception_v3" else (224, 256)
    assert image.type.shape == (3, crop, crop)
    assert dict(image.preprocess) == {
        "resize": resize, "crop": crop, "scale": 1, "mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225),
    }  # fmt: skip


# Those with data ------------------------------------------------------------------------------------------------------


def test_weights_and_buffers_have_torchvisions_names_and_shapes(case: Case) -> None:
    assert list(keys_and_shapes(case.net).items()) == [tuple(entry) for entry in case.expected["state_dict"]]


def test_counts(case: Case) -> None:
    report = case.net.report().to_dict()
    assert report["training_totals"]["params"] == case.expected["params"]
    assert report["totals"]["macs"] == case.expected["macs"]


def test_each_leaf_with_weights_is_a_layer_of_the_same_path_and_shape(case: Case) -> None:
    leaves = {path: (name, shape) for path, name, shape in case.expected["leaves"] if name in WITH_WEIGHTS}
    ours = {layer.path: layer for layer in case.net.checked.deployed if layer.weights}
    assert ours.keys() == leaves.keys()
    for path, (name, shape) in leaves.items():
        assert ours[path].op.name in OPS_OF[name], path
        assert list(ours[path].output_types[0].shape) == shape, path


def test_leaves_come_in_the_order_of_execution(case: Case) -> None:
    """Every leaf module, in order; between them only what torchvision writes as functions."""
    layers = iter(case.net.checked.deployed)
    for path, name, shape in case.expected["leaves"]:
        assert any(_is_leaf(layer, path, name, shape) for layer in layers), f"no layer for {path}"


def _is_leaf(layer: Layer, path: str, name: str, shape: list[int]) -> bool:
    """Same op, shape and path; but one ReLU module of a ResNet block acts several times, where ours has positions."""
    if layer.op.name not in OPS_OF[name] or list(layer.output_types[0].shape) != shape:
        return False
    return layer.path == path or path.endswith(".relu")


def test_logits_of_the_pytorch_module_and_of_onnxruntime(case: Case, fill: ModuleType) -> None:
    weights = {key: fill.fill_value(key, tuple(shape)) for key, shape in case.expected["state_dict"]}
    image = fill.reference_image(*case.expected["input"])[np.newaxis]
    expected = np.asarray(case.expected["logits"], dtype=np.float32)
    checked = case.net.checked
    model = module(checked, weights).eval()
    assert [(key, list(value.shape)) for key, value in model.state_dict().items()] == [
        tuple(entry) for entry in case.expected["state_dict"]
    ]
    with torch.inference_mode():
        assert difference(model(torch.from_numpy(image)).numpy(), expected) <= 1e-4
    del model
    session = open_session(onnx_model(checked, weights).SerializeToString())
    assert difference(session.run(["logits"], {"image": image})[0], expected) <= 1e-4


def difference(logits: np.ndarray, expected: np.ndarray) -> float:
    """Largest difference over the largest expected logit; logits are `[1, 1000]`."""
    assert logits.shape == (1, *expected.shape)
    return float(np.abs(logits[0] - expected).max() / np.abs(expected).max())


# Settings that the defaults leave untried -----------------------------------------------------------------------------


def test_a_checkpoint_of_torchvisions_form_loads_by_name(fill: ModuleType) -> None:
    """As it is, with or without `num_batches_tracked`, which older checkpoints lack; anything else missing is named."""
    net = load("shufflenet_v2_x0_5")
    checkpoint = {key: fill.fill_value(key, tuple(shape)) for key, shape in keys_and_shapes(net).items()}
    older = {key: value for key, value in checkpoint.items() if not key.endswith("num_batches_tracked")}
    for given in (checkpoint, older):
        loaded = net.torch(given).state_dict()
        assert all(np.array_equal(loaded[key].numpy(), value) for key, value in given.items())
    del older["fc.bias"]
    assert "fc.bias" in net.torch(older).state_dict()  # in Python what is absent is initialized
    with pytest.raises(archdsl.ArchError) as caught:
        complete(net.checked, older, strict=True)  # a file on the command line has to be complete
    assert caught.value.diagnostics[0].notes == ("missing: fc.bias",)


@pytest.mark.parametrize("name", ["googlenet", "inception_v3"])
def test_heads_exist_in_training_only_and_can_be_left_out(name: str) -> None:
    heads = {"googlenet": ["aux1", "aux2"], "inception_v3": ["AuxLogits"]}[name]
    net = load(name)
    assert [output.name for output in net.checked.outputs if output.training_only] == heads
    bare = load(name, aux_logits=False)
    left = {key for key in keys_and_shapes(net) if key.split(".")[0] not in heads}
    assert keys_and_shapes(bare).keys() == left


def test_transform_input_undoes_the_normalization(fill: ModuleType) -> None:
    """With it, an image of ImageNet's mean and deviation becomes what 0.5 and 0.5 would have made of it."""
    plain, transformed = (
        archdsl.load(SPEC_OF["googlenet"], inputs={"image": (3, 64, 64)}, aux_logits=False, transform_input=flag)
        for flag in (False, True)
    )
    weights = {key: fill.fill_value(key, tuple(shape)) for key, shape in keys_and_shapes(plain).items()}
    pixels = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    normalized = (pixels - mean.view(1, 3, 1, 1)) / std.view(1, 3, 1, 1)
    with torch.inference_mode():
        one = module(transformed.checked, weights).eval()(normalized)
        other = module(plain.checked, weights).eval()((pixels - 0.5) / 0.5)
    assert difference(one.numpy(), other[0].numpy()) <= 1e-4


@pytest.mark.parametrize(
    ("width", "params"),
    [(0.1, 1_367_080), (0.35, 1_677_128), (0.5, 1_968_680), (0.75, 2_636_424), (1.3, 5_386_792), (1.4, 6_108_776)],
)
def test_widths_of_mobilenet_are_rounded_as_torchvision_rounds_them(width: float, params: int) -> None:
    """Counts of torchvision's `mobilenet_v2(width_mult = ...)`."""
    assert load("mobilenet_v2", width=width).report().to_dict()["totals"]["params"] == params


@pytest.mark.parametrize(
    ("name", "rates"),
    [
        ("alexnet", [0.5, 0.5]), ("vgg16", [0.5, 0.5]), ("googlenet", [0.7, 0.7, 0.2]), ("inception_v3", [0.5]),
        ("resnet50", []), ("densenet121", []), ("squeezenet1_0", [0.5]), ("mobilenet_v2", [0.2]),
        ("shufflenet_v2_x1_0", []),
    ],
)  # fmt: skip
def test_dropout_rates_are_torchvisions(name: str, rates: list[float]) -> None:
    assert [layer.op.rate for layer in load(name).checked.layers if isinstance(layer.op, Dropout)] == rates


def normal(std: float) -> Init:
    return Init("normal", (("std", std),))


def truncated(std: float) -> Init:
    return Init("truncated_normal", (("std", std),))


@pytest.mark.parametrize(
    ("name", "schemes"),
    [
        ("alexnet", {"features.0.weight": Init("default"), "classifier.6.bias": Init("default")}),
        ("vgg11", {"features.0.weight": Init("he_normal_fan_out"), "features.0.bias": Init("zeros"),
                   "classifier.0.weight": normal(0.01), "classifier.0.bias": Init("zeros")}),
        ("googlenet", {"conv1.conv.weight": truncated(0.01), "fc.weight": truncated(0.01),
                       "fc.bias": Init("default")}),
        ("inception_v3", {"Mixed_7c.branch_pool.conv.weight": truncated(0.1), "fc.weight": truncated(0.1),
                          "AuxLogits.conv1.conv.weight": truncated(0.1), "AuxLogits.fc.weight": truncated(0.001),
                          "AuxLogits.fc.bias": Init("default")}),
        ("resnet50", {"layer1.0.downsample.0.weight": Init("he_normal_fan_out"), "fc.weight": Init("default"),
                      "fc.bias": Init("default")}),
        ("densenet121", {"features.conv0.weight": Init("he_normal"), "classifier.weight": Init("default"),
                         "classifier.bias": Init("zeros")}),
        ("squeezenet1_1", {"features.3.squeeze.weight": Init("he_uniform"), "features.3.squeeze.bias": Init("zeros"),
                           "classifier.1.weight": normal(0.01), "classifier.1.bias": Init("zeros")}),
        ("mobilenet_v2", {"features.1.conv.0.0.weight": Init("he_normal_fan_out"), "classifier.1.weight": normal(0.01),
                          "classifier.1.bias": Init("zeros")}),
        ("shufflenet_v2_x1_0", {"stage2.0.branch1.0.weight": Init("default"), "fc.bias": Init("default")}),
    ],
)  # fmt: skip
def test_initialization_is_torchvisions(name: str, schemes: dict[str, Init]) -> None:
    layers = load(name).checked.layers
    found = {f"{layer.module}.{weight.name}": weight.init for layer in layers for weight in layer.weights}
    assert {key: found[key] for key in schemes} == schemes
