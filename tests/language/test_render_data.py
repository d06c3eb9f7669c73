"""Diagnostics for machines: JSON, GitHub workflow commands, SARIF."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archdsl.language.diagnostics import Diagnostic, Fix, Frame, Label
from archdsl.language.render_data import render_github, render_json, render_sarif
from archdsl.language.source import Source, Span

TEXT = "network n {\n    input image: [3, 8, 8]\n    a: conv(64, 7, strde = 2)\n}\n"
SOURCE = Source("dir/my net.arch", TEXT)


def at(text: str) -> Span:
    start = TEXT.index(text)
    return Span(SOURCE, start, start + len(text))


FULL = Diagnostic(
    "unknown-argument",
    "`conv` has no argument `strde`",
    at("strde"),
    label="not an argument of `conv`",
    labels=(Label(at("conv"), "this op"),),
    notes=("arguments: out, kernel, stride",),
    help="did you mean `stride`?",
    fix=Fix("write `stride`", at("strde"), "stride"),
    stack=(Frame("n", at("n {")), Frame("a", at("conv"))),
)
BARE = Diagnostic("file-not-found", "there is no file `x`", severity="warning")
LONG = Diagnostic("empty-body", "two lines", Span(SOURCE, TEXT.index("input"), TEXT.index("a:")), "note")


def test_json_of_everything():
    (found,) = json.loads(render_json([FULL]))["diagnostics"]
    place = {"file": "dir/my net.arch", "line": 3, "column": 20, "end_line": 3, "end_column": 25}
    conv = {"file": "dir/my net.arch", "line": 3, "column": 8, "end_line": 3, "end_column": 12}
    assert found == {
        "code": "unknown-argument",
        "severity": "error",
        "message": "`conv` has no argument `strde`",
        **place,
        "label": "not an argument of `conv`",
        "labels": [{**conv, "message": "this op"}],
        "notes": ["arguments: out, kernel, stride"],
        "help": "did you mean `stride`?",
        "fix": {"message": "write `stride`", "edits": [{**place, "replacement": "stride"}]},
        "stack": [
            {"name": "n", "file": "dir/my net.arch", "line": 1, "column": 9},
            {"name": "a", "file": "dir/my net.arch", "line": 3, "column": 8},
        ],
        "explain": "archdsl explain unknown-argument",
    }


def test_json_without_a_place_has_the_same_keys():
    full, bare = json.loads(render_json([FULL, BARE]))["diagnostics"]
    assert full.keys() == bare.keys()
    assert [bare[key] for key in ("file", "line", "column", "end_line", "end_column", "fix", "help")] == [None] * 7


def test_json_names_its_schema_and_keeps_the_order():
    document = json.loads(render_json([BARE, FULL, LONG]))
    assert document["schema"] == "archdsl.diagnostics/1"
    assert [d["severity"] for d in document["diagnostics"]] == ["warning", "error", "note"]
    assert json.loads(render_json([])) == {"schema": "archdsl.diagnostics/1", "diagnostics": []}


def test_json_edit_applied_by_line_and_column_is_the_fix():
    (edit,) = json.loads(render_json([FULL]))["diagnostics"][0]["fix"]["edits"]
    lines = TEXT.split("\n")
    line = lines[edit["line"] - 1]
    lines[edit["line"] - 1] = line[: edit["column"] - 1] + edit["replacement"] + line[edit["end_column"] - 1 :]
    assert FULL.fix is not None
    assert "\n".join(lines) == FULL.fix.apply()


def test_github():
    assert render_github([FULL, BARE, LONG]).split("\n") == [
        "::error file=dir/my net.arch,line=3,col=20,endLine=3,endColumn=25,title=unknown-argument::"
        "`conv` has no argument `strde`%0Anot an argument of `conv`%0Aarguments: out, kernel, stride"
        "%0Ahelp: did you mean `stride`?%0Ahelp: write `stride`",
        "::warning title=file-not-found::there is no file `x`",
        "::notice file=dir/my net.arch,line=2,endLine=3,title=empty-body::two lines",
    ]


def test_github_escapes_what_commands_are_made_of():
    hostile = Source("a,b:c%d\r\n::stop-commands::x.arch", "x")
    line = render_github([Diagnostic("c", "50% of\n::set-output::\r\x1b[31m", Span(hostile, 0, 1))])
    assert line == (
        r"::error file=a%2Cb%3Ac%25d\r\n%3A%3Astop-commands%3A%3Ax.arch,line=1,col=1,endLine=1,endColumn=2,title=c::"
        r"50%25 of%0A::set-output::\r\x1b[31m"
    )


@given(st.text(), st.text())
def test_github_is_always_one_printable_command(name, message):
    line = render_github([Diagnostic("c", message, Span(Source(name, "x"), 0, 1))])
    assert line.isprintable()
    properties, text = re.fullmatch(r"::error ([^:]*)::(.*)", line).groups()
    assert [pair.split("=")[0] for pair in properties.split(",")] == [
        "file", "line", "col", "endLine", "endColumn", "title",
    ]  # fmt: skip
    assert not re.search(r"%(?!25|0A|3A|2C)", text)


def sarif(*diagnostics: Diagnostic) -> dict:
    document = json.loads(render_sarif(diagnostics))
    assert document["version"] == "2.1.0"
    assert document["$schema"].endswith("sarif-2.1.0.json")
    (run,) = document["runs"]
    assert run["columnKind"] == "unicodeCodePoints"
    return run


def test_sarif_of_everything():
    (result,) = sarif(FULL)["results"]
    region = {"startLine": 3, "startColumn": 20, "endLine": 3, "endColumn": 25}
    assert (result["ruleId"], result["ruleIndex"], result["level"]) == ("unknown-argument", 0, "error")
    assert result["message"]["text"].startswith("`conv` has no argument `strde`\n")
    (location,) = result["locations"]
    assert location["physicalLocation"] == {"artifactLocation": {"uri": "dir/my%20net.arch"}, "region": region}
    assert location["logicalLocations"] == [{"name": "a", "fullyQualifiedName": "n.a", "kind": "module"}]
    assert [r["message"]["text"] for r in result["relatedLocations"]] == ["this op"]
    (fix,) = result["fixes"]
    assert fix["description"] == {"text": "write `stride`"}
    (change,) = fix["artifactChanges"]
    assert change["replacements"] == [{"deletedRegion": region, "insertedContent": {"text": "stride"}}]


def test_sarif_paths_of_frames_are_not_repeated():
    frames = tuple(Frame(name, at("conv")) for name in ("stage2", "stage2.unit0", "stage2.unit0.3"))
    (result,) = sarif(replace(FULL, stack=frames))["results"]
    logical = {"name": "3", "fullyQualifiedName": "stage2.unit0.3", "kind": "module"}
    assert result["locations"][0]["logicalLocations"] == [logical]


def test_sarif_has_what_the_standard_requires():
    run = sarif(FULL, BARE, LONG, FULL)
    rules = run["tool"]["driver"]["rules"]
    assert run["tool"]["driver"]["name"] == "archdsl"
    assert [rule["id"] for rule in rules] == ["empty-body", "file-not-found", "unknown-argument"]
    for result in run["results"]:
        assert result["message"]["text"]
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        assert result["level"] in ("error", "warning", "note")
        for location in result.get("locations", []):
            region = location["physicalLocation"]["region"]
            assert min(region.values()) >= 1
            assert (region["startLine"], region["startColumn"]) <= (region["endLine"], region["endColumn"])
    assert "locations" not in run["results"][1]
    assert not {"fixes", "relatedLocations"} & run["results"][2].keys()


def test_sarif_rules_carry_the_explain_pages():
    (rule,) = sarif(FULL)["tool"]["driver"]["rules"]
    assert rule["help"]["markdown"].startswith("# unknown-argument: ")
    assert rule["help"]["text"] == rule["help"]["markdown"]
    assert rule["shortDescription"]["text"] in rule["help"]["text"].splitlines()[0]


@pytest.mark.parametrize(
    ("name", "uri"),
    [
        ("specs/a.arch", "specs/a.arch"),
        ("/home/me/a b.arch", "file:///home/me/a%20b.arch"),
        ("a:b.arch", "a%3Ab.arch"),
        ("dir\\a.arch", "dir/a.arch"),
        ("<stdin>", "%3Cstdin%3E"),
        ("日.arch", "%E6%97%A5.arch"),
    ],
)
def test_sarif_file_names_are_uri_references(name, uri):
    (result,) = sarif(Diagnostic("c", "m", Span(Source(name, "x"), 0, 1)))["results"]
    assert result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == uri
