"""The `train { }` section: how a paper trained its network, recorded and checked for form."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import chain, takewhile

from archdsl.graph.bind import match, missing
from archdsl.graph.evaluate import Place, chosen, evaluate, spelled
from archdsl.graph.lint import walk
from archdsl.graph.values import all_of, kind_of
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
        "focal": {"gamma": 2.0, "alpha": 0.25},
        "mse": {},
        "l1": {},
        "smooth_l1": {"beta": 1.0},
        "kl": {},
        "squared_hinge": {"margin": 1.0},
        "triplet": {"margin": 0.2},
        "contrastive": {"margin": 1.0},
        "sphereface": {"margin": 4},
        "cosface": {"margin": 0.35, "scale": 64.0},
        "arcface": {"margin": 0.5, "scale": 64.0},
        "adversarial": {},
        "wasserstein": {},
        "gradient_penalty": {"norm": 1.0},
    },
    "optimizer": {  # a rate of 0 stands for one that the paper does not give
        "sgd": {"lr": 0.0, "momentum": 0.0, "weight_decay": 0.0, "nesterov": False},
        "rmsprop": {"lr": 0.0, "decay": 0.9, "eps": 1e-8, "momentum": 0.0, "weight_decay": 0.0},
        "adam": {"lr": 0.0, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "weight_decay": 0.0},
        "adamw": {"lr": 0.0, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "weight_decay": 0.01},
        "adagrad": {"lr": 0.0, "weight_decay": 0.0},
        "adadelta": {"lr": 1.0, "rho": 0.9, "eps": 1e-6, "weight_decay": 0.0},
    },
    "schedule": {
        "constant": {},
        # `at` and `every` count epochs, in a recipe that has `iterations` those
        "steps": {"factor": None, "at": None},  # multiplied by `factor` at these
        "exponential": {"factor": None, "every": 1},  # multiplied by `factor` every so many
        "plateau": {"factor": None},  # multiplied by `factor` when the validation error stops falling
        "polynomial": {"power": 1.0},
        "linear": {},
        "cosine": {},
        "listed": {"lr": None, "at": None},  # the rates themselves, each from then on
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
#: Most tensors that a loss is about, in order; it may name none where there is no doubt.
TENSORS: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(TERMS["loss"], ("result", "target")),
    "triplet": ("anchor", "positive", "negative"),
    "contrastive": ("first", "second"),
    "sphereface": ("scores", "labels"),
    "cosface": ("scores", "labels"),
    "arcface": ("scores", "labels"),
    "adversarial": ("real", "fake"),
    "wasserstein": ("real", "fake"),
    "gradient_penalty": ("real", "fake"),
}
NUMBERS = ("batch", "epochs", "iterations", "warmup_epochs", "moving_average")


@dataclass(frozen=True, slots=True)
class Term:
    """`rmsprop(lr = 0.045)`: a named part of a recipe with all its arguments; a loss with its weight and tensors."""

    name: str
    arguments: tuple[tuple[str, Value], ...]
    tensors: tuple[str, ...] = ()
    weight: float = 1.0


def recipe_of(settings: tuple[s.Named, ...], known: Mapping[str, object], place: Place) -> dict[str, object]:
    """Settings by name: a `Term`, a tuple of them (`augmentation`, a sum of losses), a number; raises `ArchError`.

    Each may be one of two, by a condition: variants of a network are not all trained alike.
    """
    said = set(known)

    def read(setting: s.Named) -> tuple[str, object]:
        if setting.name in said:
            raise error("duplicate-argument", f"`train` says `{setting.name}` twice", setting.name_span)
        said.add(setting.name)
        return setting.name, _setting(setting, place)

    return dict(all_of(settings, read))


def _setting(setting: s.Named, place: Place) -> object:
    if setting.name in NUMBERS:
        return _number(setting, place)
    if setting.name not in TERMS:
        known = (*TERMS, *NUMBERS)
        guess = did_you_mean(setting.name, known, setting.name_span)
        message = f"`train` has no setting `{setting.name}`"
        raise error("unknown-argument", message, setting.name_span, notes=(f"it has {', '.join(known)}",), **guess)
    value = chosen(setting.value, place)
    if setting.name == "augmentation" and isinstance(value, s.ListLiteral):
        return tuple(all_of(value.items, lambda item: _term(setting.name, item, place)))
    if setting.name == "loss":
        losses = tuple(_losses(value, 1.0, place))
        return losses[0] if len(losses) == 1 else losses
    return _term(setting.name, value, place)


def _losses(node: s.Expression, weight: float, place: Place) -> Iterator[Term]:
    """The terms of a sum, each with the numbers that it is multiplied by."""
    node = chosen(node, place)
    signs = {sign for sign, _ in node.rest} if isinstance(node, s.Operation) else set()
    if isinstance(node, s.Operation) and signs <= {"+", "-"}:
        summands = (("+", node.first), *node.rest)
        yield from chain.from_iterable(all_of(summands, lambda one: _summand(*one, weight, place)))
    elif isinstance(node, s.Operation) and signs == {"*"}:
        parts = [node.first, *(part for _, part in node.rest)]
        losses = [part for part in parts if _is_loss(part) or isinstance(part, s.Reference)]
        factors = [_factor(part, place) for part in parts if part not in losses[:1]]
        if not losses:
            raise error("argument-type", "`loss` is a sum of losses, but this is a number", node.span)
        yield from _losses(losses[0], weight * math.prod(factors), place)
    else:
        yield _loss(node, weight, place)


def _summand(sign: str, node: s.Expression, weight: float, place: Place) -> tuple[Term, ...]:
    return tuple(_losses(node, weight if sign == "+" else -weight, place))


def _is_loss(node: s.Expression) -> bool:
    """Whether a factor has a loss in it; all others are numbers."""
    return any(isinstance(part, s.Name | s.Function) and part.name in TERMS["loss"] for part in walk(node))


def _factor(node: s.Expression, place: Place) -> float:
    value = evaluate(node, place) if not _is_loss(node) else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise error("argument-type", "a loss is multiplied by numbers only", node.span)
    return value


def _loss(node: s.Expression, weight: float, place: Place) -> Term:
    if isinstance(node, s.Reference):
        help = f"e.g. `cross_entropy({node.span.text})`"
        raise error(
            "argument-type", f"`{node.span.text}` is a tensor: say what is computed of it", node.span, help=help
        )
    if not isinstance(node, s.Function):
        return replace(_term("loss", node, place), weight=weight)
    given = list(takewhile(lambda one: isinstance(one, s.Reference), node.arguments.positional))
    positional = node.arguments.positional[len(given) :]
    rest = s.Arguments(node.arguments.span, positional, node.arguments.named)
    term = _term("loss", s.Function(node.span, node.name, node.name_span, rest), place)
    if len(given) > len(TENSORS[term.name]):
        message = f"`{term.name}` is about {' and '.join(TENSORS[term.name])}, but more tensors are given"
        raise error("too-many-arguments", message, given[-1].span)
    for one in given:
        evaluate(one, place)  # raises where there is no such tensor
    tensors = tuple(spelled(one.path, place).text for one in given if isinstance(one, s.Reference))
    return replace(term, tensors=tensors, weight=weight)


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
