"""Stated figures: their tolerance as written, and whether the graph bears them out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from itertools import zip_longest

from archdsl.graph.costs import QUANTITIES, Costs, quantity
from archdsl.graph.evaluate import Place, evaluate
from archdsl.graph.graph import Claim, Graph, Verdict
from archdsl.graph.values import Tensor, kind_of
from archdsl.language import syntax as s
from archdsl.language.diagnostics import ArchError, Diagnostic, error
from archdsl.language.numerals import MULTIPLIERS
from archdsl.language.similar import did_you_mean
from archdsl.ops.dims import symbolic

LISTS = ("shape", "receptive_field", "effective_stride")


def claims_of(
    kind: str, path: str | None, nodes: tuple[s.ClaimNode, ...], place: Place, result: object = None,
    source: str | None = None, because: str | None = None, units: Mapping[str, int] = MULTIPLIERS,
) -> list[Claim]:  # fmt: skip
    """The claims of one statement or row. `path` None: the statement has no name, so only its shape can be claimed."""
    claims = [_claim(kind, path, node, place, units, source, because) for node in nodes]
    if path is not None:
        return claims
    for claim in claims:
        if claim.quantity != "shape":
            message = f"`{claim.quantity}` of several unnamed layers cannot be claimed"
            raise error("bad-claim", message, claim.span, help="label the statement: `stage1: ... expect ...`")
    return [replace(claim, result=result.type.shape) for claim in claims if isinstance(result, Tensor)]


def _claim(
    kind: str, path: str | None, node: s.ClaimNode, place: Place, units: Mapping[str, int],
    source: str | None, because: str | None,
) -> Claim:  # fmt: skip
    if node.quantity not in QUANTITIES:
        guess = did_you_mean(node.quantity, QUANTITIES, node.quantity_span)
        message = f"there is no quantity `{node.quantity}`"
        notes = ("e.g. shape, params, weights, macs, flops, depth; `archdsl explain unknown-quantity` has them all",)
        raise error("unknown-quantity", message, node.quantity_span, notes=notes, **guess)
    text = node.stated.span.text
    low = high = shape = None
    if node.quantity in LISTS:
        shape = _stated_list(node, place)
    else:
        low, high = _bounds(node, place, units)
    assert kind in ("expect", "published")
    return Claim(
        "expect" if kind == "expect" else "published", path or "", node.quantity, text, node.span, low, high, shape,
        source, because,
    )  # fmt: skip


def _stated_list(node: s.ClaimNode, place: Place) -> tuple[int, ...]:
    value = evaluate(node.stated, place)
    if isinstance(value, tuple) and all(isinstance(item, int) and not isinstance(item, bool) for item in value):
        return value
    message = f"`{node.quantity}` is stated as a list of whole numbers, not {kind_of(value)}"
    raise error("bad-claim", message, node.stated.span)


def _bounds(node: s.ClaimNode, place: Place, units: Mapping[str, int]) -> tuple[Fraction, Fraction]:
    """What the figure allows: as precise as it is written (`6.8M`: 6.75M to 6.85M), exact without a suffix or point."""
    if isinstance(node.stated, s.Number):
        return _precision(node.stated.text, units)
    value = evaluate(node.stated, place)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise error("bad-claim", f"`{node.quantity}` is stated as a number, not {kind_of(value)}", node.stated.span)
    return Fraction(value), Fraction(value)


def _precision(text: str, units: Mapping[str, int]) -> tuple[Fraction, Fraction]:
    suffix = next((unit for unit in ("Ki", "Mi", "Gi", "K", "M", "G") if text.endswith(unit)), "")
    mantissa, _, exponent = text.removesuffix(suffix).replace("_", "").lower().partition("e")
    scale = Fraction(units.get(suffix, 1)) * Fraction(10) ** int(exponent or 0)
    value = Fraction(mantissa) * scale
    if not suffix and "." not in mantissa and not exponent:
        return value, value
    decimals = len(mantissa.partition(".")[2])
    slack = scale / Fraction(10) ** decimals / 2
    return value - slack, value + slack


def judge(graph: Graph, costs: Costs) -> tuple[Verdict, ...]:
    """Every claim held against the computed figures."""
    return tuple(_judge(claim, graph, costs) for claim in graph.claims)


def _judge(claim: Claim, graph: Graph, costs: Costs) -> Verdict:
    if claim.result is not None:
        return Verdict(claim, claim.result, _fits(claim.result, claim.shape))
    try:
        actual = quantity(graph, costs, claim.path, claim.quantity)
    except KeyError:
        if graph.overridden:  # what it is about may have been switched off
            return Verdict(claim, None, False)
        raise _no_layers(claim, graph, costs) from None
    except ValueError as unclear:
        raise error("bad-claim", str(unclear), claim.span) from None
    if claim.shape is not None:
        return Verdict(claim, actual, _fits(actual, claim.shape))  # type: ignore[arg-type]
    assert claim.low is not None
    assert claim.high is not None
    return Verdict(claim, actual, claim.low <= actual <= claim.high)  # type: ignore[operator,arg-type]


def _no_layers(claim: Claim, graph: Graph, costs: Costs) -> ArchError:
    """A statement with a claim stands there, whatever it holds; a row of a table may name anything."""
    if claim.kind == "expect" or claim.path in graph.scopes:
        message = f"`{claim.path}` has no layers of its own, so its `{claim.quantity}` cannot be claimed"
        return error("bad-claim", message, claim.span)
    message = f"there is no stage `{claim.path}` in `{graph.name}`"
    guess = did_you_mean(claim.path, costs.stages, claim.span)
    return error("unknown-reference", message, claim.span, help=guess.get("help"))


def _fits(actual: tuple[int, ...], stated: tuple[int, ...] | None) -> bool:
    """Equal; a number stated for an open size is meant at its nominal size."""
    if not symbolic(tuple(actual)):
        return tuple(actual) == stated
    assert stated is not None
    pairs = zip_longest(actual, stated, fillvalue=0)
    return all(size == number or (not symbolic(number) and int(size) == number) for size, number in pairs)


def findings(graph: Graph, verdicts: tuple[Verdict, ...]) -> list[Diagnostic]:
    """Diagnostics about claims that fail, deviate, or are explained though they hold.

    Figures are stated for the network as its file declares it: where parameters or inputs were changed
    from outside, nothing is required of them.
    """
    if graph.overridden:
        return _inapplicable(graph, verdicts)
    return [found for verdict in verdicts if (found := _finding(verdict)) is not None]


def _inapplicable(graph: Graph, verdicts: tuple[Verdict, ...]) -> list[Diagnostic]:
    broken = sum(not verdict.holds for verdict in verdicts)
    if not broken:
        return []
    changes = ", ".join(graph.overridden)
    message = f"{broken} of {len(verdicts)} claims of `{graph.name}` do not hold with {changes}"
    note = "they are stated for the network as its file declares it, so nothing is required of them here"
    return [Diagnostic("claims-not-applicable", message, None, "note", notes=(note,))]


def _finding(verdict: Verdict) -> Diagnostic | None:
    claim = verdict.claim
    if claim.kind == "expect":
        return None if verdict.holds else _failed(claim, verdict.actual).diagnostics[0]
    if not verdict.holds and claim.because is None:
        message = f"{_subject(claim)} is {_text(verdict.actual)}, but {claim.source} prints {claim.stated}"
        return Diagnostic(
            "published-deviation", message, claim.span, "warning", notes=_allowed(claim),
            help='if the print is at odds with its own architecture, say why: `because "..."`',
        )  # fmt: skip
    return None


def needless(graph: Graph, verdicts: tuple[Verdict, ...]) -> list[Diagnostic]:
    """Notes on rows whose claims all hold although a reason for a deviation is given."""
    if graph.overridden:
        return []
    rows: dict[tuple[str | None, str, str | None], list[Verdict]] = {}
    for verdict in verdicts:
        if verdict.claim.because is not None:
            rows.setdefault((verdict.claim.source, verdict.claim.path, verdict.claim.because), []).append(verdict)
    held = [row[0].claim for row in rows.values() if all(verdict.holds for verdict in row)]
    return [
        Diagnostic("needless-because", f"{_subject(claim)} holds, so `because` explains nothing", claim.span, "note")
        for claim in held
    ]


def _failed(claim: Claim, actual: object) -> ArchError:
    message = f"{_subject(claim)} is {_text(actual)}, not {claim.stated}"
    return error("expect-failed", message, claim.span, notes=_allowed(claim))


def _subject(claim: Claim) -> str:
    return f"`{claim.quantity}` of `{claim.path}`" if claim.path else f"`{claim.quantity}`"


def _text(actual: object) -> str:
    if isinstance(actual, tuple):
        return f"[{', '.join(map(str, actual))}]"
    return f"{actual:,}" if isinstance(actual, int) else str(actual)


def _allowed(claim: Claim) -> tuple[str, ...]:
    if claim.low is None or claim.high is None or claim.low == claim.high:
        return ()
    return (f"as written, `{claim.stated}` allows {float(claim.low):,.10g} to {float(claim.high):,.10g}",)


def units_of(settings: s.Arguments | None, place: Place) -> dict[str, int]:
    """What K, M and G stand for in a table: `(K = 1024)`; decimal where nothing is said."""
    units = dict(MULTIPLIERS)
    if settings is None:
        return units
    for extra in settings.positional:
        raise error("argument-type", "a table's settings are named, e.g. `K = 1024`", extra.span)
    for setting in settings.named:
        if setting.name not in ("K", "M", "G"):
            message = f"a table has no setting `{setting.name}`"
            raise error("unknown-argument", message, setting.name_span, notes=("it takes K, M, G",))
        units[setting.name] = _unit(setting.value, place)
    return units


def _unit(node: s.Expression, place: Place) -> int:
    value = evaluate(node, place)
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise error("argument-type", f"a unit is a whole number of at least 1, not {kind_of(value)}", node.span)
    return value
