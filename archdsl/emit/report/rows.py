"""What the table, Markdown and HTML share: rows of the tree of stages, totals, claims, numbers as people read them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from fractions import Fraction

from archdsl.emit.report.model import ClaimRow, LayerRow, Report, Shape, StageRow
from archdsl.emit.report.settings import times
from archdsl.language.records import Record, record
from archdsl.ops.dims import sizes_text

MIB = 2**20

SHARED_NOTE = "* shares weights with another row, which counts them in the total."
TRAINING_NOTE = "(training): exists in training only, left out of the totals."


@record
class Row(Record):
    """One line of the table; `level` is its nesting, `share` its part of the deployed network's MACs (0 to 1).

    `open` says that rows for its parts follow.
    """

    path: str
    name: str
    level: int
    op: str
    output: str
    settings: str
    params: str
    macs: str
    share: float | None
    field: str
    training_only: bool
    open: bool = False


def rows(report: Report, depth: int | None) -> list[Row]:
    """Rows down to `depth` levels of nesting (None: every layer), a stage before its parts.

    A label before a layer names both the layer and what follows it in the chain: `conv` and `conv.1` of
    `conv: conv(64, 3) -> relu`. Where the parts of such a stage are shown they stand in its place, but
    for the outermost level, which has a row for every stage.
    """
    found: dict[tuple[str, bool], Row] = {}
    layers = {row.path for row in report.layers}
    for layer in report.layers:
        for row, whole in _nest(report, layer, layers, depth):
            found.setdefault((row.path, whole), row)
    return list(found.values())


def _nest(report: Report, layer: LayerRow, layers: set[str], depth: int | None) -> Iterator[tuple[Row, bool]]:
    """Rows of the stages around a layer from outside in, and its own; each with whether it is a stage's."""
    level, parent = 0, ""
    parts = layer.path.split(".")
    for count in range(1, len(parts) + 1 if depth is None else min(depth, len(parts)) + 1):
        path = ".".join(parts[:count])
        stage = report.groups.get(path)
        if stage is None or (stage.layers == 1 and path == layer.path):
            break
        last = count == depth
        if last or count == 1 or path not in layers:
            yield _stage(report, stage, _name(path, parent), level, not last), True
            level, parent = level + 1, path
        if last:
            return
    if depth != 0:
        yield _layer(report, layer, _name(layer.path, parent), level), False


def _name(path: str, parent: str) -> str:
    """The path as seen from the stage above it in the table."""
    return path.removeprefix(f"{parent}.") if parent and path != parent else path.rpartition(".")[2]


def _layer(report: Report, row: LayerRow, name: str, level: int) -> Row:
    return Row(
        path=row.path,
        name=name,
        level=level,
        op=row.op,
        output=_outputs(row.output_shapes),
        settings=row.settings,
        params=number(row.params) + ("*" if row.shared else ""),
        macs=number(row.macs),
        share=_share(report, row.macs, row.training_only),
        field=_square(row.receptive_field),
        training_only=row.training_only,
    )


def _stage(report: Report, row: StageRow, name: str, level: int, open: bool) -> Row:
    return Row(
        path=row.path,
        name=name,
        level=level,
        op=row.kind,
        output=_outputs(row.output_shapes),
        settings=row.settings,
        params=number(row.params) + ("*" if row.shared else ""),
        macs=number(row.macs),
        share=_share(report, row.macs, row.training_only),
        field=_square(row.receptive_field),
        training_only=row.training_only,
        open=open,
    )


def _outputs(shapes: Sequence[Shape]) -> str:
    """`64x56x56`; results that are alike are counted, others listed."""
    if len(set(shapes)) == 1:
        return ("" if len(shapes) == 1 else f"{len(shapes)} of ") + times(shapes[0])
    return ", ".join(map(times, shapes))


def _square(numbers: Sequence[int]) -> str:
    return number(numbers[0]) if len(set(numbers)) == 1 else times(numbers)


def _share(report: Report, macs: int, training_only: bool) -> float | None:
    return None if training_only or not report.totals.macs else macs / report.totals.macs


def number(value: int) -> str:
    """With thousands separators."""
    return f"{value:,}"


def percent(share: float | None) -> str:
    """One decimal, nothing for nothing, and never 0.0 for something."""
    if not share:
        return ""
    return "<0.1%" if share < 0.0005 else f"{share:.1%}"


def mebibytes(bytes: int) -> str:
    """Two decimals; below 0.1 MiB in KiB."""
    return f"{bytes / MIB:,.2f} MiB" if bytes >= MIB / 10 else f"{bytes / 1024:,.2f} KiB"


def notes(rows: Sequence[Row]) -> list[str]:
    """Explanations of the marks that these rows carry."""
    found = [SHARED_NOTE] if any(row.params.endswith("*") for row in rows) else []
    return found + ([TRAINING_NOTE] if any(row.training_only for row in rows) else [])


def heading(report: Report) -> list[tuple[str, str]]:
    """What the report is of, as names and texts; says whether counts are for one sample or for a batch."""
    counted = "one sample" if report.batch == 1 else f"a batch of {report.batch:,} (MACs, FLOPs and activation memory)"
    counted += f" at {sizes_text(report.symbols)}" if report.symbols else ""
    ports = [
        (what, ", ".join(f"{port.name} [N, {', '.join(map(str, port.shape))}] {port.dtype}" for port in ports))
        for what, ports in (("input", report.inputs), ("output", report.outputs))
    ]
    parameters = ", ".join(f"{name} = {_value(value)}" for name, value in report.parameters.items())
    found = [("source", report.source), ("parameters", parameters), *ports, ("counted for", counted)]
    return [(name, text) for name, text in found if text]


def _value(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def totals(report: Report) -> list[tuple[str, str, str]]:
    """Name, figure and remark of each total."""
    total, training = report.totals, report.training_totals
    with_heads = "{} with training-only parts"
    params = with_heads.format(number(training.params)) if training.params != total.params else ""
    macs = with_heads.format(number(training.macs)) if training.macs != total.macs else ""
    return [
        ("params", number(total.params), params),
        ("buffers", number(total.buffers), ""),
        ("MACs", number(total.macs), macs),
        ("FLOPs", number(total.flops), ""),
        ("weights", mebibytes(total.weight_bytes), ""),
        ("peak activations", mebibytes(total.peak_activation_bytes), "at inference"),
        ("training activations", mebibytes(total.training_activation_bytes), "kept for the backward pass"),
        ("layers", number(total.layers), ""),
        ("depth", number(total.depth), "convolutions and linear layers on the longest path"),
    ]


@record
class Finding(Record):
    """A claim as a line: where it is made, of what, the two figures, what became of it (`VERDICTS`), and why."""

    source: str
    subject: str
    quantity: str
    stated: str
    actual: str
    verdict: str
    reason: str


#: Verdicts and how a summary counts them.
VERDICTS = {"ok": "hold", "deviates": "deviate", "does not apply": "do not apply", "FAILED": "FAILED"}


def findings(report: Report) -> list[Finding]:
    """Every claim in the order of the file."""
    return [_finding(report, claim) for claim in report.claims]


def _finding(report: Report, claim: ClaimRow) -> Finding:
    verdict, reason = _verdict(report, claim)
    subject, figure = claim.path or report.network, actual(claim.actual)
    return Finding(claim.source or "expect", subject, claim.quantity, claim.stated, figure, verdict, reason)


def _verdict(report: Report, claim: ClaimRow) -> tuple[str, str]:
    if claim.holds:
        return "ok", ""
    if report.overridden:
        return "does not apply", f"stated for the network as declared, not with {', '.join(report.overridden)}"
    if claim.kind == "expect":
        return "FAILED", ""
    return "deviates", claim.because or "unexplained"


def actual(value: int | tuple[int | Fraction, ...] | None) -> str:
    """A computed figure as people read it."""
    if value is None:
        return "?"
    return number(value) if isinstance(value, int) else f"[{', '.join(map(str, value))}]"


def summary(found: Sequence[Finding]) -> str:
    """How the claims fared, in a sentence: `47 claims: 38 hold, 9 deviate.`"""
    counts = Counter(claim.verdict for claim in found)
    parts = [f"{counts[verdict]} {word}" for verdict, word in VERDICTS.items() if counts[verdict]]
    return f"{len(found)} claim{'' if len(found) == 1 else 's'}: {', '.join(parts)}."
