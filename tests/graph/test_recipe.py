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
        ("optimizer: 3", "argument-type: `optimizer` is one of sgd, rmsprop, adam, adagrad"),
        ("batch: 0", "argument-type: `batch` is a number above 0, not the number 0"),
        ("optimizer: sgd(lr = 0.1, decay = 2)", "unknown-argument: `sgd` has no argument `decay`"),
    ],
)
def test_form(setting: str, expected: str) -> None:
    assert messages(NET.format(setting)) == [expected]


def test_a_recipe_belongs_into_a_network() -> None:
    found = messages("block b { relu; train { batch: 3 } }\nnetwork n { input x: [4]; b }")
    assert found == ["syntax-error: `train` belongs into a network, not into a block"]
