"""The `train { }` section: how a paper trained its network, recorded and checked for form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from archdsl.graph.bind import match, missing
from archdsl.graph.evaluate import Place, evaluate
from archdsl.graph.values import kind_of
from archdsl.language import syntax as s
from archdsl.language.diagnostics import error
from archdsl.language.similar import did_you_mean

Value = int | float | bool | tuple[object, ...]
#: arguments of a term in positional order with their defaults (None: required)
Form = Mapping[str, Value | None]

TERMS: Mapping[str, Mapping[str, Form]] = {
    "loss": {
        "cross_entropy": {"label_smoothing": 0.0},
        "binary_cross_entropy": {},
        "mse": {},
        "squared_hinge": {"margin": 1.0},
    },
    "optimizer": {  # a rate of 0 stands for one that the paper does not give
        "sgd": {"lr": 0.0, "momentum": 0.0, "weight_decay": 0.0, "nesterov": False},
        "rmsprop": {"lr": 0.0, "decay": 0.9, "eps": 1e-8, "momentum": 0.0, "weight_decay": 0.0},
        "adam": {"lr": 0.0, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "weight_decay": 0.0},
        "adagrad": {"lr": 0.0, "weight_decay": 0.0},
    },
    "schedule": {
        "constant": {},
        "steps": {"factor": None, "at": None},  # multiplied by `factor` at these epochs
        "exponential": {"factor": None, "every": 1},  # multiplied by `factor` every so many epochs
        "plateau": {"factor": None},  # multiplied by `factor` when the validation error stops falling
        "polynomial": {"power": 1.0},
        "linear": {},
        "cosine": {},
        "listed": {"lr": None, "at": None},  # the rates themselves, each from its epoch on
    },
    "clip": {"norm": {"max": None}, "value": {"max": None}},
    "augmentation": {
        "random_crop": {"size": None, "pad": 0},
        "random_resized_crop": {"size": None, "area": (0.08, 1.0), "aspect": (0.75, 4 / 3)},
        "scale_jitter": {"low": None, "high": None},
        "horizontal_flip": {},
        "color_jitter": {},
        "pca_lighting": {"std": 0.1},
        "subtract_mean": {},
        "standardize": {},
        "contrast_normalize": {},
        "zca_whiten": {},
    },
}
NUMBERS = ("batch", "epochs", "iterations", "warmup_epochs", "moving_average")


@dataclass(frozen=True, slots=True)
class Term:
    """`rmsprop(lr = 0.045)`: a named part of a recipe with all its arguments."""

    name: str
    arguments: tuple[tuple[str, Value], ...]


def recipe_of(settings: tuple[s.Named, ...], known: Mapping[str, object], place: Place) -> dict[str, object]:
    """Settings by name: a `Term`, a tuple of them for `augmentation`, or a number; raises `ArchError`."""
    found: dict[str, object] = {}
    for setting in settings:
        if setting.name in found or setting.name in known:
            raise error("duplicate-argument", f"`train` says `{setting.name}` twice", setting.name_span)
        found[setting.name] = _setting(setting, place)
    return found


def _setting(setting: s.Named, place: Place) -> object:
    if setting.name in NUMBERS:
        return _number(setting, place)
    if setting.name not in TERMS:
        known = (*TERMS, *NUMBERS)
        guess = did_you_mean(setting.name, known, setting.name_span)
        message = f"`train` has no setting `{setting.name}`"
        raise error("unknown-argument", message, setting.name_span, notes=(f"it has {', '.join(known)}",), **guess)
    if setting.name == "augmentation" and isinstance(setting.value, s.ListLiteral):
        return tuple(_term(setting.name, item, place) for item in setting.value.items)
    return _term(setting.name, setting.value, place)


def _number(setting: s.Named, place: Place) -> int | float:
    value = evaluate(setting.value, place)
    if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
        raise error("argument-type", f"`{setting.name}` is a number above 0, not {kind_of(value)}", setting.value.span)
    return value


def _term(setting: str, node: s.Expression, place: Place) -> Term:
    if not isinstance(node, s.Name | s.Function):
        message = f"`{setting}` is one of {', '.join(TERMS[setting])}"
        raise error("argument-type", message, node.span)
    span = node.name_span if isinstance(node, s.Function) else node.span
    form = TERMS[setting].get(node.name)
    if form is None:
        guess = did_you_mean(node.name, TERMS[setting], span)
        message = f"`{setting}` does not know `{node.name}`"
        raise error("unknown-name", message, span, notes=(f"it knows {', '.join(TERMS[setting])}",), **guess)
    given = match(node.name, tuple(form), node.arguments if isinstance(node, s.Function) else None)
    missing(node.name, (name for name in form if form[name] is None and name not in given), span, form)
    values = {name: _argument(name, given[name], form[name], place) for name in given}
    return Term(node.name, tuple((name, values.get(name, default)) for name, default in form.items()))  # type: ignore[misc]


def _argument(name: str, node: s.Expression, default: Value | None, place: Place) -> Value:
    value = evaluate(node, place)
    numbers = (
        value if isinstance(value, tuple) and (name == "at" or name == "lr" or isinstance(default, tuple)) else (value,)
    )
    fine = all(isinstance(item, int | float) for item in numbers) and isinstance(value, bool) == isinstance(
        default, bool
    )
    if not fine:
        wanted = "true or false" if isinstance(default, bool) else "a number"
        raise error("argument-type", f"`{name}` is {wanted}, not {kind_of(value)}", node.span)
    result: Value = value
    return result
