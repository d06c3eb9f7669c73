"""Diagnostics for machines: JSON, GitHub workflow commands, SARIF 2.1.0.

Lines and columns are 1-based and count Unicode code points; an end is the position just past the
last character. Only these formats are stable; the text for people may be improved at any time.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from archdsl.language.diagnostics import Diagnostic, Fix, Frame, Label
from archdsl.language.explain import CODES, page, title
from archdsl.language.render import stack_names
from archdsl.language.snippet import escape
from archdsl.language.source import Span
from archdsl.version import __version__

Json = dict[str, Any]

_NOWHERE: Json = dict.fromkeys(("file", "line", "column", "end_line", "end_column"))
_COMMANDS = {"error": "error", "warning": "warning", "note": "notice"}


def render_json(diagnostics: Sequence[Diagnostic]) -> str:
    """`{"schema": "archdsl.diagnostics/1", "diagnostics": [...]}`, an object a finding, in the order given."""
    document = {"schema": "archdsl.diagnostics/1", "diagnostics": [_as_json(d) for d in diagnostics]}
    return json.dumps(document, indent=2)


def _as_json(diagnostic: Diagnostic) -> Json:
    return {
        "code": diagnostic.code,
        "severity": diagnostic.severity,
        "message": diagnostic.message,
        **(_place(diagnostic.span) if diagnostic.span else _NOWHERE),
        "label": diagnostic.label,
        "labels": [{**_place(label.span), "message": label.message} for label in diagnostic.labels],
        "notes": list(diagnostic.notes),
        "help": diagnostic.help,
        "fix": _fix_json(diagnostic.fix) if diagnostic.fix else None,
        "stack": [_frame_json(frame) for frame in diagnostic.stack],
        "explain": f"archdsl explain {diagnostic.code}",
    }


def _place(span: Span) -> Json:
    line, column = span.source.position(span.start)
    end_line, end_column = span.end_position
    return {
        "file": span.source.name,
        "line": line,
        "column": column,
        "end_line": end_line,
        "end_column": end_column,
    }


def _fix_json(fix: Fix) -> Json:
    return {"message": fix.message, "edits": [{**_place(fix.span), "replacement": fix.replacement}]}


def _frame_json(frame: Frame) -> Json:
    return {"name": frame.name, "file": frame.span.source.name, "line": frame.span.line, "column": frame.span.column}


def render_github(diagnostics: Sequence[Diagnostic]) -> str:
    """One workflow command a finding: `::error file=...,line=...,title=CODE::message`."""
    return "\n".join(_github(d) for d in diagnostics)


def _github(diagnostic: Diagnostic) -> str:
    properties = _github_place(diagnostic.span) if diagnostic.span else {}
    properties["title"] = diagnostic.code
    listed = ",".join(f"{name}={_property(str(value))}" for name, value in properties.items())
    return f"::{_COMMANDS[diagnostic.severity]} {listed}::{_data(_whole_message(diagnostic))}"


def _github_place(span: Span) -> Json:
    """Columns only for a span on one line: annotations over several lines cannot have them."""
    place = _place(span)
    if place["line"] != place["end_line"]:
        return {"file": place["file"], "line": place["line"], "endLine": place["end_line"]}
    return {
        "file": place["file"],
        "line": place["line"],
        "col": place["column"],
        "endLine": place["end_line"],
        "endColumn": place["end_column"],
    }


def _data(text: str) -> str:
    """A workflow command's message: escaped for terminals, its lines kept as `%0A`."""
    return "%0A".join(escape(line).replace("%", "%25") for line in text.split("\n"))


def _property(text: str) -> str:
    """A workflow command's property value, where `:` and `,` have a meaning as well."""
    return escape(text).replace("%", "%25").replace(":", "%3A").replace(",", "%2C")


def _whole_message(diagnostic: Diagnostic) -> str:
    """Message, label, notes and help, a line each, for formats that show one text."""
    lines = [diagnostic.message, diagnostic.label, *diagnostic.notes]
    if diagnostic.help:
        lines.append(f"help: {diagnostic.help}")
    if diagnostic.fix and diagnostic.fix.message != diagnostic.help:
        lines.append(f"help: {diagnostic.fix.message}")
    return "\n".join(line for line in lines if line)


def render_sarif(diagnostics: Sequence[Diagnostic]) -> str:
    """A SARIF 2.1.0 log of one run; the rules carry the explain pages of the codes that occur."""
    rules = sorted({d.code for d in diagnostics})
    driver = {"name": "archdsl", "semanticVersion": __version__, "rules": [_rule(code) for code in rules]}
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "results": [_result(d, rules.index(d.code)) for d in diagnostics],
    }
    schema = "https://json.schemastore.org/sarif-2.1.0.json"
    return json.dumps({"$schema": schema, "version": "2.1.0", "runs": [run]}, indent=2)


def _rule(code: str) -> Json:
    if code not in CODES:
        return {"id": code}
    text = page(code)
    return {"id": code, "shortDescription": {"text": title(code)}, "help": {"text": text, "markdown": text}}


def _result(diagnostic: Diagnostic, rule: int) -> Json:
    result: Json = {
        "ruleId": diagnostic.code,
        "ruleIndex": rule,
        "level": diagnostic.severity,
        "message": {"text": _whole_message(diagnostic)},
    }
    location: Json = {}
    if diagnostic.span:
        location["physicalLocation"] = _physical(diagnostic.span)
    if diagnostic.stack:
        location["logicalLocations"] = [_logical(diagnostic.stack)]
    if location:
        result["locations"] = [location]
    if diagnostic.labels:
        result["relatedLocations"] = [_related(label) for label in diagnostic.labels]
    if diagnostic.fix:
        result["fixes"] = [_sarif_fix(diagnostic.fix)]
    return result


def _physical(span: Span) -> Json:
    return {"artifactLocation": {"uri": _uri(span)}, "region": _region(span)}


def _region(span: Span) -> Json:
    place = _place(span)
    return {
        "startLine": place["line"],
        "startColumn": place["column"],
        "endLine": place["end_line"],
        "endColumn": place["end_column"],
    }


def _uri(span: Span) -> str:
    """The file's name as a URI reference; one that begins with a slash becomes a `file:` URI."""
    path = quote(span.source.name.replace("\\", "/"), safe="/~", errors="surrogatepass")
    return f"file://{path}" if path.startswith("/") else path


def _logical(stack: tuple[Frame, ...]) -> Json:
    names = stack_names(stack)
    return {"name": names[-1], "fullyQualifiedName": ".".join(names), "kind": "module"}


def _related(label: Label) -> Json:
    return {"physicalLocation": _physical(label.span), "message": {"text": label.message}}


def _sarif_fix(fix: Fix) -> Json:
    replacement = {"deletedRegion": _region(fix.span), "insertedContent": {"text": fix.replacement}}
    change = {"artifactLocation": {"uri": _uri(fix.span)}, "replacements": [replacement]}
    return {"description": {"text": fix.message}, "artifactChanges": [change]}
