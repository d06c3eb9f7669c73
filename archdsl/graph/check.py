"""From program to checked graph: elaboration, lints, claims, and fixes that were tried."""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import dataclass, fields, replace
from pathlib import Path

from archdsl.graph.claims import findings, judge, needless
from archdsl.graph.costs import Costs, costs
from archdsl.graph.graph import CheckedGraph, Graph
from archdsl.graph.lint import dead_ends, unused
from archdsl.graph.network import Request, elaborate
from archdsl.graph.state import Elaboration
from archdsl.graph.symbolic import check_sizes
from archdsl.language.diagnostics import ArchError, Diagnostic, Fix, in_order
from archdsl.language.program import Program, link
from archdsl.language.source import Source

TRIED = 5  # errors for which edits are tried; a file with more has other worries


@dataclass(frozen=True)
class Checked:
    """A checked network and what was noticed that is no error."""

    graph: CheckedGraph
    diagnostics: tuple[Diagnostic, ...]
    costs: Costs


def check(program: Program, request: Request, path: Path) -> Checked:
    """The checked graph of a network; raises `ArchError` with all errors and warnings, fixes included.

    `path` is where the program's main file lies: edits are tried as if they were written there.
    """
    # a body nested as deeply as the limits allow needs more frames than Python grants by default
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(max(before, 20_000))
    try:
        return _check(program, request, path)
    finally:
        sys.setrecursionlimit(before)


def _check(program: Program, request: Request, path: Path, fixes: bool = True) -> Checked:
    graph, e = elaborate(program, request)
    diagnostics = e.findings()
    if graph is None:
        raise ArchError(in_order(_with_fixes(diagnostics, e, program, request, path) if fixes else diagnostics))
    if graph.symbols:
        check_sizes(graph, program, request)
    counted = costs(graph)
    verdicts = judge(graph, counted)
    diagnostics += [*unused(program), *dead_ends(graph), *findings(graph, verdicts), *needless(graph, verdicts)]
    if any(diagnostic.severity == "error" for diagnostic in diagnostics):
        raise ArchError(in_order(diagnostics))
    known = {field.name: getattr(graph, field.name) for field in fields(Graph)}
    return Checked(CheckedGraph(**known, verdicts=verdicts), tuple(in_order(diagnostics)), counted)


def _with_fixes(
    diagnostics: list[Diagnostic], e: Elaboration, program: Program, request: Request, path: Path
) -> list[Diagnostic]:
    """Offer an edit only where the checker, run again on the edited text, reports nothing that it did not before."""
    before = _errors(diagnostics)
    budget = TRIED
    result = []
    for diagnostic, key in zip(diagnostics, e.diagnostics, strict=True):
        candidates = [fix for fix in e.fixes[key] if fix.span.source is program.main.source]
        if diagnostic.severity == "error" and candidates and budget:
            budget -= 1
            diagnostic = replace(diagnostic, fix=_first_good(candidates, diagnostic, before, request, path))
        result.append(diagnostic)
    return result


def _first_good(
    candidates: list[Fix], diagnostic: Diagnostic, before: Counter[tuple[str, str]], request: Request, path: Path
) -> Fix | None:
    wanted = before - Counter([(diagnostic.code, diagnostic.message)])
    for fix in candidates:
        if not _errors_after(fix, request, path) - wanted:
            return fix
    return None


def _errors_after(fix: Fix, request: Request, path: Path) -> Counter[tuple[str, str]]:
    from archdsl.language.parse import parse  # brings Lark; a text that is tried once is not worth keeping

    source = Source(fix.span.source.name, fix.apply())
    try:
        program = link(parse(source, request.limits), path, request.limits)
        _check(program, request, path, fixes=False)
    except ArchError as failure:
        return _errors(failure.diagnostics)
    return Counter()


def _errors(diagnostics: list[Diagnostic]) -> Counter[tuple[str, str]]:
    return Counter((d.code, d.message) for d in diagnostics if d.severity == "error")
