"""The recipe beside the network."""

from __future__ import annotations

import pytest
from support import compiled, messages

from archdsl.graph.recipe import Term

NET = "network n {{ input x: [4]; linear(3)\n train {{\n{}\n}}\n}}"


def test_a_recipe_is_recorded_with_all_its_numbers() -> None:
    text = """
        loss:         cross_entropy(label_smoothing = 0.1)
        optimizer:    rmsprop(lr = 0.045, decay = 0.9, eps = 1.0)
        schedule:     exponential(0.94, every = 2)
        clip:         norm(2.0)
        batch:        32
        epochs:       100
        augmentation: [random_crop(224), horizontal_flip]
    """
    recipe = compiled(NET.format(text)).checked.recipe
    assert recipe["loss"] == Term("cross_entropy", (("label_smoothing", 0.1),))
    assert recipe["optimizer"] == Term(
        "rmsprop", (("lr", 0.045), ("decay", 0.9), ("eps", 1.0), ("momentum", 0.0), ("weight_decay", 0.0))
    )
    assert recipe["schedule"] == Term("exponential", (("factor", 0.94), ("every", 2)))
    assert recipe["augmentation"] == (Term("random_crop", (("size", 224), ("pad", 0))), Term("horizontal_flip", ()))
    assert (recipe["batch"], recipe["epochs"]) == (32, 100)


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("los: mse", "unknown-argument: `train` has no setting `los`"),
        ("loss: mse; loss: mse", "duplicate-argument: `train` says `loss` twice"),
        ("loss: msee", "unknown-name: `loss` does not know `msee`"),
        ("clip: norm", "missing-argument: `norm` needs the argument `max`"),
        ("optimizer: sgd(lr = true)", "argument-type: `lr` is a number, not true"),
        ("optimizer: sgd(0.1, nesterov = 1)", "argument-type: `nesterov` is true or false, not the number 1"),
        ("optimizer: 3", "argument-type: `optimizer` is one of sgd, rmsprop, adam, adamw, adagrad, adadelta"),
        ("batch: 0", "argument-type: `batch` is a number above 0, not the number 0"),
        ("optimizer: sgd(lr = 0.1, decay = 2)", "unknown-argument: `sgd` has no argument `decay`"),
    ],
)
def test_form(setting: str, expected: str) -> None:
    assert messages(NET.format(setting)) == [expected]


def test_variants_may_be_trained_differently() -> None:
    text = """network n(k = 1) { input x: [4]; linear(3); train {
        loss:         triplet if k > 1 else 0.5 * cross_entropy + mse
        augmentation: [horizontal_flip] if k == 2 else pca_lighting
        batch:        32 if k == 1 else 20
    } }
    network twice = n(k = 2)
    """
    first, second = (compiled(text, name).checked.recipe for name in ("n", "twice"))
    assert first["loss"] == (Term("cross_entropy", (("label_smoothing", 0.0),), weight=0.5), Term("mse", ()))
    assert second["loss"] == Term("triplet", (("margin", 0.2),))
    assert first["augmentation"] == Term("pca_lighting", (("std", 0.1),))
    assert second["augmentation"] == (Term("horizontal_flip", ()),)
    assert (first["batch"], second["batch"]) == (32, 20)


def test_a_recipe_belongs_into_a_network() -> None:
    found = messages("block b { relu; train { batch: 3 } }\nnetwork n { input x: [4]; b }")
    assert found == ["syntax-error: `train` belongs into a network, not into a block"]


LOSSES = """network n {{
    input x: [4]
    a: linear(3)
    b: linear(3)   training weight = 0.3
    output y: relu
    train {{ loss: {} }}
}}"""


def test_a_loss_is_a_sum_of_losses_with_weights_and_tensors() -> None:
    text = "cross_entropy(@a, label_smoothing = 0.1) + 0.5 * (0.5 * mse(@a, @b) - 2 * l1) + 10 * gradient_penalty(@b)"
    assert compiled(LOSSES.format(text)).checked.recipe["loss"] == (
        Term("cross_entropy", (("label_smoothing", 0.1),), ("a",)),
        Term("mse", (), ("a", "b"), 0.25),
        Term("l1", (), (), -1.0),
        Term("gradient_penalty", (("norm", 1.0),), ("b",), 10.0),
    )


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        ("mse + 0.3 * @b", "argument-type: `@b` is a tensor: say what is computed of it"),
        ("mse * l1", "argument-type: a loss is multiplied by numbers only"),
        ("2 * 3", "argument-type: `loss` is a sum of losses, but this is a number"),
        ("mse + true", "unknown-name: `loss` does not know `true`"),
        ("mse(@a, @b, @a)", "too-many-arguments: `mse` is about result and target, but more tensors are given"),
        ("triplet(@a, @b, @c)", "unknown-reference: no stage `c` stands before this"),
        ("triplet(@a, margin = @b)", "argument-type: `margin` is a number, not a tensor"),
        ("mse / 2", "argument-type: `loss` is one of "),
    ],
)
def test_form_of_losses(loss: str, expected: str) -> None:
    (found,) = messages(LOSSES.format(loss))
    assert found.startswith(expected)


HEADS = """network n {{
    input image: [3, 8, 8]
    input noise: [12]
    input labels: int64 []
    module features: {{ flatten -> linear(5) }}
    a: features                 from @image
    b: linear(4)                training weight = 0.3
    fake: linear(192) -> reshape([3, 8, 8])     from @noise
    c: features
    output y: @a
    train {{ loss: {} }}
}}"""
OBJECTIVES = {
    "cross_entropy(@y, @labels, label_smoothing = 0.1)": [("cross_entropy", ("y", "labels"), 1.0)],
    "cross_entropy + 0.3 * cross_entropy(@b)": [("cross_entropy", (), 1.0), ("cross_entropy", ("b",), 0.3)],
    "triplet(@a, @c, @c, margin = 0.2)": [("triplet", ("a", "c", "c"), 1.0)],
    "contrastive(@a, @c)": [("contrastive", ("a", "c"), 1.0)],
    "sphereface(@y, @labels, margin = 4)": [("sphereface", ("y", "labels"), 1.0)],
    "cosface(@y, @labels, margin = 0.35, scale = 64)": [("cosface", ("y", "labels"), 1.0)],
    "arcface(@y, @labels, margin = 0.5, scale = 64)": [("arcface", ("y", "labels"), 1.0)],
    "adversarial(@a, @c) + 10 * l1(@fake, @image)": [("adversarial", ("a", "c"), 1.0), ("l1", ("fake", "image"), 10.0)],
    "wasserstein(@a, @c) + 10 * gradient_penalty(@image, @fake)": [
        ("wasserstein", ("a", "c"), 1.0),
        ("gradient_penalty", ("image", "fake"), 10.0),
    ],
}


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_objectives_of_the_field_can_be_declared(objective: str) -> None:
    net = compiled(HEADS.format(objective))
    loss = net.checked.recipe["loss"]
    terms = loss if isinstance(loss, tuple) else (loss,)
    assert [(term.name, term.tensors, term.weight) for term in terms] == OBJECTIVES[objective]
    assert next(output for output in net.checked.outputs if output.training_only).weight == 0.3


def test_the_report_tells_the_recipe() -> None:
    net = compiled(LOSSES.format("mse + 0.3 * l1(@b); batch: 3; augmentation: horizontal_flip"))
    assert net.report().to_dict()["recipe"] == {
        "loss": [
            {"name": "mse", "arguments": {}, "tensors": [], "weight": 1.0},
            {"name": "l1", "arguments": {}, "tensors": ["b"], "weight": 0.3},
        ],
        "batch": 3,
        "augmentation": {"name": "horizontal_flip", "arguments": {}},
    }


def test_all_mistakes_of_a_recipe_are_reported() -> None:
    text = "optimizer: adam(learning_rate = 0.1); batch: 0; augmentation: [cutout, mirror]; schedule: cosin; batch: 3"
    assert messages(LOSSES.format(f"mse + l3 + hinge; {text}")) == [
        "unknown-name: `loss` does not know `l3`",
        "unknown-name: `loss` does not know `hinge`",
        "unknown-argument: `adam` has no argument `learning_rate`",
        "argument-type: `batch` is a number above 0, not the number 0",
        "unknown-name: `augmentation` does not know `cutout`",
        "unknown-name: `augmentation` does not know `mirror`",
        "unknown-name: `schedule` does not know `cosin`",
        "duplicate-argument: `train` says `batch` twice",
    ]


def test_all_mistakes_of_an_initialization_are_reported() -> None:
    body = "initialize conv = he_norml, foo = zeros, bias = orthogonal, conv = zeros, bias = zeros, bias = ones; relu"
    assert messages(f"network n {{ input x: [4]; {body} }}") == [
        "unknown-name: there is no `he_norml` here",
        "unknown-argument: `initialize` does not know `foo`",
        "argument-value: `initialize` cannot make a bias orthogonal: that takes a matrix",
        "duplicate-argument: `bias` is initialized twice",
    ]
