"""The report on a terminal. The only module of the report that imports rich."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from archdsl.emit.report.model import Report
from archdsl.emit.report.rows import Finding, Row, findings, heading, notes, percent, rows, summary, totals

BAR = 8  # characters of a full bar
FEW = 12  # claims up to this many are all shown


def render_table(report: Report, console: Console, depth: int | None = 1) -> None:
    """Print stages down to `depth` levels of nesting (0: totals alone, None: every layer), totals, claims and the rule.

    Narrow consoles get fewer columns. All claims are shown where they are few or every layer is, else
    those that do not hold.
    """
    if console.is_terminal:
        _print(report, console, depth)
        return
    # rich fills its lines with blanks, which nobody wants in a file
    with console.capture() as text:
        _print(report, console, depth)
    console.file.write("".join(f"{line.rstrip()}\n" for line in text.get().splitlines()))


def _print(report: Report, console: Console, depth: int | None) -> None:
    shown = rows(report, depth)
    console.print(_title(report))
    console.print()
    if shown:
        console.print(_layers(shown, console))
        for note in notes(shown):
            console.print(Text(note, "dim"))
        console.print()
    console.print(_totals(report))
    _print_claims(findings(report), console, every=depth is None)
    console.print()
    console.print(Text(report.rule, "dim"))


def _title(report: Report) -> Table:
    lines = Table.grid(padding=(0, 2), collapse_padding=True)
    lines.add_row(Text(report.network, "bold"), Text(report.title or ""))
    for name, text in heading(report):
        lines.add_row(Text(name, "dim"), Text(text))
    return lines


def _layers(shown: Sequence[Row], console: Console) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), show_edge=False)
    wide, roomy = console.width >= 120, console.width >= 88
    table.add_column("layer", overflow="fold")
    table.add_column("op", overflow="ellipsis", no_wrap=True, max_width=max(14, console.width - 66))
    table.add_column("output", overflow="fold")
    if wide:
        table.add_column("settings", overflow="fold")
    table.add_column("params", justify="right", no_wrap=True)
    table.add_column("MACs", justify="right", no_wrap=True)
    table.add_column("% MACs", justify="right", no_wrap=True)
    if wide:
        table.add_column("", no_wrap=True, min_width=BAR)
    if roomy:
        table.add_column("field", justify="right", no_wrap=True)
    for row in shown:
        table.add_row(*_cells(row, wide, roomy, "#" if console.options.ascii_only else "━"), style=_style(row))
    return table


def _cells(row: Row, wide: bool, roomy: bool, bar: str) -> list[Text]:
    name = "  " * row.level + row.name + (" (training)" if row.training_only else "")
    cells = [name, row.op, row.output]
    cells += [row.settings] if wide else []
    cells += [row.params, row.macs, percent(row.share)]
    cells += [bar * round(BAR * (row.share or 0))] if wide else []
    cells += [row.field] if roomy else []
    return [Text(cell) for cell in cells]


def _style(row: Row) -> str:
    if row.training_only:
        return "dim italic"
    return "bold" if row.open and row.level == 0 else ""


def _totals(report: Report) -> Table:
    table = Table.grid(padding=(0, 2), collapse_padding=True)
    table.add_column(style="dim")
    table.add_column(justify="right", no_wrap=True)
    table.add_column(style="dim")
    for name, figure, remark in totals(report):
        table.add_row(name, Text(figure, "bold"), Text(remark))
    return table


def _print_claims(found: Sequence[Finding], console: Console, every: bool) -> None:
    """Claims by their source; a reason that several claims share stands once, under the last of them."""
    if not found:
        return
    console.print()
    console.print(Text(summary(found)))
    shown = found if every or len(found) <= FEW else [claim for claim in found if claim.verdict != "ok"]
    lines = _lines(shown)
    for index, claim in enumerate(shown):
        if index == 0 or shown[index - 1].source != claim.source:
            console.print(Text(f"  {claim.source}", "italic"))
        console.print(Text(lines[index]) + Text(claim.verdict, _STYLES[claim.verdict]))
        if claim.reason and [other.reason for other in shown[index + 1 : index + 2]] != [claim.reason]:
            console.print(Padding(Text(claim.reason, "dim"), (0, 0, 0, 8)))


def _lines(shown: Sequence[Finding]) -> list[str]:
    """Subject, quantity and figures in columns."""
    cells = [(claim.subject, claim.quantity, claim.stated, claim.actual) for claim in shown]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return [
        f"    {subject:<{widths[0]}}  {quantity:<{widths[1]}}  {stated:>{widths[2]}}  {actual:>{widths[3]}}  "
        for subject, quantity, stated, actual in cells
    ]


_STYLES = {"ok": "green", "deviates": "yellow", "does not apply": "dim", "FAILED": "bold red"}
