"""The report as HTML: a page that needs nothing else, and the fragment that notebooks show."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from itertools import groupby

from archdsl.emit.report.model import Report
from archdsl.emit.report.rows import Finding, Row, findings, heading, notes, percent, rows, summary, totals

#: Text takes the colours around it and tints are transparent, so that a fragment fits light and dark notebooks.
STYLE = """
.archdsl { font: 14px/1.5 system-ui, sans-serif; font-variant-numeric: tabular-nums; }
.archdsl h1 { font-size: 1.5em; margin: 0 0 .1em; }
.archdsl h2 { font-size: 1.1em; margin: 1.8em 0 .4em; }
.archdsl p { margin: .3em 0; max-width: 75ch; }
.archdsl .quiet { opacity: .65; }
.archdsl dl { display: grid; grid-template-columns: max-content 1fr; gap: .1em 1.2em; margin: .8em 0; }
.archdsl dt { opacity: .65; }
.archdsl dd { margin: 0; }
.archdsl .totals { display: flex; flex-wrap: wrap; gap: .6em; margin: 1em 0; }
.archdsl .totals div { background: rgb(128 128 128 / .1); border-radius: 6px; padding: .5em .9em; }
.archdsl .totals b { display: block; font-size: 1.15em; }
.archdsl .totals small { display: block; opacity: .65; max-width: 20em; }
.archdsl .wide { overflow-x: auto; }
.archdsl table { border-collapse: collapse; margin: 0; background: none; }
.archdsl th, .archdsl td { padding: .2em .8em; text-align: left; vertical-align: top; white-space: nowrap; }
.archdsl th { font-weight: 600; border-bottom: 1px solid rgb(128 128 128 / .5); background: none; }
.archdsl tbody tr { border-bottom: 1px solid rgb(128 128 128 / .15); background: none; }
.archdsl .n { text-align: right; }
.archdsl .share { background: linear-gradient(rgb(64 128 255 / .3) 0 0) no-repeat 0 0 / var(--share, 0) 100%; }
.archdsl .training { opacity: .6; font-style: italic; }
.archdsl code { font-family: ui-monospace, monospace; background: none; padding: 0; }
.archdsl .why { white-space: normal; min-width: 24em; max-width: 60em; }
.archdsl .deviates { color: #b06000; }
.archdsl .failed { color: #d32f2f; font-weight: 600; }
"""
PAGE_STYLE = """
:root { color-scheme: light dark; --ground: #fff; --ink: #1c1e21; }
@media (prefers-color-scheme: dark) {
  :root { --ground: #16181c; --ink: #e4e6ea; }
  .archdsl .deviates { color: #ffb74d; }
  .archdsl .failed { color: #ff8a80; }
}
body { margin: 2em; background: var(--ground); color: var(--ink); }
.archdsl label { cursor: pointer; }
.archdsl input { position: absolute; opacity: 0; }
.archdsl input:focus-visible + code { outline: 2px solid; }
.archdsl label code::before { content: "\\25b8\\00a0"; }
.archdsl tr:not(.part) > td > code::before { content: "\\25b8\\00a0"; visibility: hidden; }
.archdsl label:has(:checked) code::before { content: "\\25be\\00a0"; }
.archdsl .part { display: none; }
.archdsl tbody:has(:checked) .part { display: table-row; }
@media print { .archdsl .part { display: table-row; } }
"""


def page(report: Report) -> str:
    """A page of its own: stages, each of which opens to show its layers."""
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width">{_titled(report)}'
    body = "\n".join(_body(report, rows(report, None)))
    style = f"<style>{STYLE}{PAGE_STYLE}</style>"
    return f'<!DOCTYPE html>\n<html lang="en">\n<head>{head}{style}</head>\n<body>{body}</body>\n</html>\n'


def _titled(report: Report) -> str:
    return f"<title>{escape(report.network)}</title>"


def fragment(report: Report) -> str:
    """The stages as one element, for a notebook's cell."""
    return f"<style>{STYLE}</style>" + "\n".join(_body(report, rows(report, 1)))


def _body(report: Report, shown: Sequence[Row]) -> Iterator[str]:
    yield f'<div class="archdsl"><h1>{escape(report.network)}</h1>'
    yield f"<p>{escape(report.title)}</p>" if report.title else ""
    yield (
        "<dl>" + "".join(f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in heading(report)) + "</dl>"
    )
    yield '<div class="totals">' + "".join(_total(*total) for total in totals(report)) + "</div>"
    yield from _layers(shown)
    yield from (f'<p class="quiet">{escape(note)}</p>' for note in notes(shown))
    yield from _claims(findings(report))
    yield f'<p class="quiet">{escape(report.rule)}</p></div>'


def _total(name: str, figure: str, remark: str) -> str:
    return f"<div>{escape(name)}<b>{escape(figure)}</b>{f'<small>{escape(remark)}</small>' if remark else ''}</div>"


def _layers(shown: Sequence[Row]) -> Iterator[str]:
    names = ("layer", "op", "output", "settings")
    numbers = ("params", "MACs", "share of MACs", "receptive field")
    yield '<h2>Layers</h2><div class="wide"><table><thead><tr>'
    yield "".join(f"<th>{name}</th>" for name in names) + "".join(f'<th class="n">{name}</th>' for name in numbers)
    yield "</tr></thead>"
    for _, group in groupby(shown, key=lambda row: row.path.partition(".")[0]):
        yield "<tbody>" + "\n".join(map(_row, group)) + "</tbody>"
    yield "</table></div>"


def _row(row: Row) -> str:
    classes = " ".join(name for name, holds in (("part", row.level), ("training", row.training_only)) if holds)
    name = f'<code style="padding-left: {1.2 * row.level:.1f}em">{escape(row.name)}</code>'
    if row.open and row.level == 0:
        name = f'<label><input type="checkbox">{name}</label>'
    training = " (training)" if row.training_only else ""
    texts = "".join(f"<td>{escape(text)}</td>" for text in (row.op, row.output, row.settings))
    share = f'<td class="n share" style="--share: {100 * (row.share or 0):.1f}%">{escape(percent(row.share))}</td>'
    numbers = f'<td class="n">{row.params}</td><td class="n">{row.macs}</td>{share}<td class="n">{row.field}</td>'
    return f'<tr class="{classes}"><td>{name}{training}</td>{texts}{numbers}</tr>'


def _claims(found: Sequence[Finding]) -> Iterator[str]:
    if not found:
        return
    yield f'<h2>Claims</h2><p>{escape(summary(found))}</p><div class="wide"><table><thead><tr>'
    yield "<th>source</th><th>of</th><th>quantity</th>"
    yield '<th class="n">stated</th><th class="n">actual</th><th>verdict</th></tr></thead><tbody>'
    yield from map(_claim, found)
    yield "</tbody></table></div>"


def _claim(found: Finding) -> str:
    texts = "".join(f"<td>{escape(text)}</td>" for text in (found.source, found.subject, found.quantity))
    numbers = "".join(f'<td class="n">{escape(text)}</td>' for text in (found.stated, found.actual))
    verdict = f'<span class="{found.verdict.lower().replace(" ", "-")}">{found.verdict}</span>'
    reason = f": {escape(found.reason)}" if found.reason else ""
    return f'<tr>{texts}{numbers}<td class="why">{verdict}{reason}</td></tr>'
