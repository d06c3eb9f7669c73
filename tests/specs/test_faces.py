"""Networks of faces: figures in print and recomputed, names of other people's weights, margin heads, and both forms."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from both_forms import assert_agreement
from published_figures import entries, recomputed
from torch.nn import functional

import archdsl
from archdsl.graph.recipe import Term
from archdsl.runtime.verify import verify

SMALL: list[tuple[str, str, dict[str, Any]]] = [
    ("deepface", "deepface", {"identities": 10, "inputs": {"face": (3, 72, 72)}}),
    ("deepid", "deepid", {"identities": 10}),
    ("deepid", "deepid", {"identities": 10, "channels": 1, "width": 31, "height": 31}),
    ("deepid", "deepid_shared", {"identities": 10}),
    ("deepid2", "deepid2", {"identities": 10}),
    ("deepid2_plus", "deepid2_plus", {"identities": 10}),
    ("deepid3", "deepid3_net1", {"identities": 10, "maps": 16}),
    ("deepid3", "deepid3_net2", {"identities": 10, "maps": 16}),
    ("facenet", "facenet_nn2", {"inputs": {"face": (3, 64, 64)}}),
    ("facenet", "facenet_nn1", {"inputs": {"face": (3, 32, 32)}}),
    ("facenet_inception_resnet", "facenet_inception_resnet_v1", {"inputs": {"face": (3, 80, 80)}}),
    ("sphereface", "sphereface20", {"inputs": {"face": (3, 32, 32)}}),
    ("cosface", "cosface", {"depth": 10, "inputs": {"face": (3, 32, 32)}}),
    ("arcface", "arcface18", {"inputs": {"face": (3, 32, 32)}}),
    ("vggface", "vggface_embedding", {"inputs": {"face": (3, 32, 32)}}),
]
LARGE = [
    ("deepface", "deepface"), ("facenet", "facenet_nn2"), ("facenet", "facenet_nn1"), ("vggface", "vggface"),
    ("facenet_inception_resnet", "facenet_inception_resnet_v1_128"), ("sphereface", "sphereface64"),
    ("cosface", "cosface"), ("arcface", "arcface100"), ("deepid3", "deepid3_net1"),
]  # fmt: skip


def load(file: str, name: str, **settings: Any) -> archdsl.Network:
    return archdsl.load(f"face/{file}", name, **settings)


@pytest.mark.parametrize(
    ("file", "name", "settings"), SMALL, ids=[f"{name}{i}" for i, (_, name, _) in enumerate(SMALL)]
)
def test_both_forms_agree(file: str, name: str, settings: dict[str, Any]) -> None:
    assert_agreement(load(file, name, **settings))


@pytest.mark.parametrize("name", ["pnet", "rnet", "onet"])
def test_both_forms_agree_on_mtcnn(name: str) -> None:
    net = load("mtcnn", name)
    assert verify(net.checked, net.initialize(1), batches=(2,), tolerance=1e-5).agrees


@pytest.mark.slow
@pytest.mark.parametrize(("file", "name"), LARGE)
def test_both_forms_agree_at_full_size(file: str, name: str) -> None:
    assert_agreement(load(file, name))


# Counts ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("entry", "file", "name"),
    [
        ("DeepFace", "deepface", "deepface"),
        ("FaceNet NN2", "facenet", "facenet_nn2"),
        ("VGGFace (VGG-16, 2622 ids)", "vggface", "vggface"),
    ],
)
def test_counts_are_those_of_the_reference(entry: str, file: str, name: str) -> None:
    totals = load(file, name).report().to_dict()["totals"]
    assert (totals["params"], totals["macs"]) == recomputed(entry)


def test_deepid_counts_as_the_reference_where_all_weights_are_shared() -> None:
    totals = load("deepid", "deepid_shared").report().to_dict()["training_totals"]
    assert (totals["params"], totals["macs"]) == recomputed("DeepID")


@pytest.mark.parametrize("name", ["pnet", "rnet", "onet"])
def test_mtcnn_counts_as_the_reference(name: str) -> None:
    [row] = [row for row in entries()["MTCNN"]["rows"] if row["layer"].lower().replace("-", "") == name]
    totals = load("mtcnn", name).report().to_dict()["totals"]
    assert (totals["params"], totals["macs"]) == (row["exact_params"], row["exact_ops"])


@pytest.mark.parametrize(("entry", "name"), [("FaceNet NN1", "facenet_nn1"), ("FaceNet NN2", "facenet_nn2")])
def test_every_printed_row_of_facenet_is_stated(entry: str, name: str) -> None:
    checked = load("facenet", name).checked
    stated: dict[str, set[str]] = {}
    for verdict in checked.verdicts:
        assert verdict.holds or verdict.claim.because
        stated.setdefault(verdict.claim.path, set()).add(verdict.claim.stated)
    for row in entries()[entry]["rows"]:
        path = {"inception (2)": "inception2", "fully conn": "fc"}.get(row["layer"], row["layer"])
        path = path if path in stated else f"inception{path}"
        params = "1.6M" if row["params"] == 1600 else f"{row['params']}{row['params_unit']}"
        assert {params, f"{row['ops']}{row['ops_unit']}"} <= stated[path]


@pytest.mark.parametrize(("depth", "millions"), [(18, 24.03), (34, 34.14), (50, 43.59), (100, 65.16)])
def test_arcface_counts_as_the_release_says(depth: int, millions: float) -> None:
    params = load("arcface", f"arcface{depth}").report().to_dict()["totals"]["params"]
    assert round(params / 1e6, 2) == millions


def test_inception_resnet_v1_counts_as_in_facenet_pytorch() -> None:
    report = load("facenet_inception_resnet", "facenet_inception_resnet_v1").report().to_dict()
    assert report["totals"]["params"] == 23_482_624  # of InceptionResnetV1()
    assert report["training_totals"]["params"] - report["totals"]["params"] == 512 * 8631 + 8631


def test_names_of_other_peoples_weights() -> None:
    facenet = keys(load("facenet_inception_resnet", "facenet_inception_resnet_v1"))
    assert {
        "conv2d_1a.conv.weight", "repeat_1.0.branch2.2.bn.running_var", "repeat_1.4.conv2d.bias",
        "mixed_6a.branch1.2.conv.weight", "repeat_2.9.branch1.1.conv.weight", "mixed_7a.branch2.0.bn.bias",
        "repeat_3.0.branch0.conv.weight", "block8.conv2d.weight", "last_linear.weight", "last_bn.weight", "logits.bias",
    } <= facenet  # fmt: skip
    arcface = keys(load("arcface", "arcface18"))
    assert {
        "conv1.weight", "prelu.weight", "layer1.0.bn1.weight", "layer1.0.prelu.weight", "layer1.0.downsample.0.weight",
        "layer1.0.downsample.1.running_mean", "layer4.1.conv2.weight", "bn2.weight", "fc.bias", "features.running_var",
    } <= arcface  # fmt: skip


def keys(net: archdsl.Network) -> set[str]:
    return {layer.key(weight) for layer in net.checked.layers for weight in layer.weights}


# Margin heads ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("file", "name", "head"), [("cosface", "cosface", "cosines"), ("sphereface", "sphereface20", "fc6")]
)
def test_scores_of_a_margin_head_are_cosines(file: str, name: str, head: str) -> None:
    """SphereFace's are cosines times the length of the feature. They exist while training only."""
    net = load(file, name, depth=4, identities=7, inputs={"face": (3, 32, 32)})
    model = net.torch()
    face = torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        given = model.train()(face)
        feature, weight = given["feature"], model.state_dict()[f"{head}.weight"]
        scored = functional.normalize(feature) if head == "cosines" else feature
        torch.testing.assert_close(given[head], functional.linear(scored, functional.normalize(weight)))
        torch.testing.assert_close(model.eval()(face), feature)
    assert net.checked.deployed_outputs[0].name == "feature"


def test_margins_are_declared() -> None:
    assert load("arcface", "arcface18").checked.recipe["loss"] == Term(
        "arcface", (("margin", 0.5), ("scale", 64.0)), ("cosines",)
    )
    assert load("sphereface", "sphereface4").checked.recipe["loss"] == Term("sphereface", (("margin", 4),), ("fc6",))


def test_an_embedding_has_length_1() -> None:
    net = load("facenet", "facenet_nn2", inputs={"face": (3, 64, 64)})
    with torch.inference_mode():
        lengths = net.torch().eval()(torch.randn(2, 3, 64, 64)).norm(dim=1)
    torch.testing.assert_close(lengths, torch.ones(2))
