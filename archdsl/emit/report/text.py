"""The report as JSON, CSV and Markdown; `FORMATS` names all formats that are plain text."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import astuple

from archdsl.emit.report.model import LayerRow, Report
from archdsl.emit.report.rows import Finding, Row, findings, heading, notes, percent, rows, summary, totals
from archdsl.emit.report.settings import times

COLUMNS = (
    "path", "op", "line", "inputs", "training_only", "output_shapes", "params", "buffers", "macs", "flops",
    "receptive_field", "effective_stride",
)  # fmt: skip


def to_json(report: Report) -> str:
    """The JSON of `to_dict`, one layer, stage or claim a line."""
    lines = [f"  {json.dumps(key)}: {_json(value)}" for key, value in report.to_dict().items()]
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _json(value: object) -> str:
    if isinstance(value, list) and value:
        return "[\n    " + ",\n    ".join(json.dumps(item, ensure_ascii=False) for item in value) + "\n  ]"
    return json.dumps(value, ensure_ascii=False)


def to_csv(report: Report) -> str:
    """One line for each layer; sizes as `64x56x56` without the batch, several values separated by spaces."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(_cells(row) for row in report.layers)
    return text.getvalue()


def _cells(row: LayerRow) -> list[object]:
    return [
        row.path,
        row.op,
        row.line,
        " ".join(row.inputs),
        str(row.training_only).lower(),
        " ".join(map(times, row.output_shapes)),
        row.params,
        row.buffers,
        row.macs,
        row.flops,
        times(row.receptive_field),
        times(row.effective_stride),
    ]


def to_markdown(report: Report, depth: int | None = 1) -> str:
    """Headings and pipe tables as GitHub shows them."""
    shown = rows(report, depth)
    parts = [
        f"# {report.network}",
        _escaped(report.title or ""),
        "\n".join(f"- {name}: {_escaped(text)}" for name, text in heading(report)),
        "\n".join(_layers(shown)) if shown else "",
        "  \n".join(map(_escaped, notes(shown))),
        "\n".join(_table(("total", ">", ""), [(name, figure, remark) for name, figure, remark in totals(report)])),
        *_claims(findings(report)),
        report.rule,
    ]
    return "\n\n".join(filter(None, parts)) + "\n"


def to_html(report: Report) -> str:
    """A page that needs nothing else."""
    from archdsl.emit.report.page import page

    return page(report)


def _layers(shown: Sequence[Row]) -> Iterator[str]:
    names = ("layer", "op", "output", "settings", "params>", "MACs>", "share>", "field>")
    return _table(names, [_layer_cells(row) for row in shown])


def _layer_cells(row: Row) -> tuple[str, ...]:
    name = "&nbsp;&nbsp;" * row.level + f"`{row.name}`" + (" (training)" if row.training_only else "")
    cells = (row.op, row.output, row.settings, row.params, row.macs, percent(row.share), row.field)
    return (name, *map(_escaped, cells))


def _claims(found: Sequence[Finding]) -> list[str]:
    if not found:
        return []
    cells = [tuple(map(_escaped, (*astuple(claim)[:5], _outcome(claim)))) for claim in found]
    table = _table(("source", "of", "quantity", "stated>", "actual>", "verdict"), cells)
    return ["## Claims", summary(found), "\n".join(table)]


def _outcome(claim: Finding) -> str:
    return f"{claim.verdict}: {claim.reason}" if claim.reason else claim.verdict


def _table(names: Sequence[str], cells: Sequence[Sequence[str]]) -> Iterator[str]:
    """A pipe table; a name that ends in `>` heads a column that is set to the right."""
    yield "| " + " | ".join(name.removesuffix(">") for name in names) + " |"
    yield "| " + " | ".join("---:" if name.endswith(">") else "---" for name in names) + " |"
    for row in cells:
        yield "| " + " | ".join(row) + " |"


def _escaped(text: str) -> str:
    """Text whose characters mean nothing to Markdown."""
    for char in "\\|*_<>`[]":
        text = text.replace(char, "\\" + char)
    return " ".join(text.split())


#: Formats by their names on the command line; the table, which needs a console, is in `table`.
FORMATS: Mapping[str, Callable[[Report], str]] = {
    "json": to_json,
    "csv": to_csv,
    "md": to_markdown,
    "html": to_html,
}
