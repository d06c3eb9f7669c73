"""The table: golden at three widths, and what it must never do."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Callable

import pytest
from report_samples import shared, small
from rich.console import Console

import archdsl
from archdsl.emit.report.model import Report
from archdsl.emit.report.rows import mebibytes, percent, rows
from archdsl.emit.report.table import render_table


def rendered(report: Report, width: int, depth: int | None = 1, terminal: bool = False) -> str:
    buffer = io.StringIO()
    colors = "truecolor" if terminal else None
    render_table(report, Console(file=buffer, width=width, force_terminal=terminal, color_system=colors), depth)
    return buffer.getvalue()


@pytest.mark.parametrize(("width", "depth"), [(80, 1), (100, 2), (160, None)])
def test_table_golden(golden: Callable[[str, str], None], width: int, depth: int | None) -> None:
    golden(f"report/small_{width}.txt", rendered(small(), width, depth))


def test_shared_golden(golden: Callable[[str, str], None]) -> None:
    golden("report/shared_80.txt", rendered(shared(), 80, None))


@pytest.mark.parametrize("width", [40, 60, 80, 88, 119, 120, 160])
def test_no_line_is_wider_than_the_console(width: int) -> None:
    for depth in (0, 1, 2, None):
        lines = rendered(small(), width, depth).splitlines()
        assert max(map(len, lines)) <= width
        assert all(line == line.rstrip() for line in lines)


def test_colour_only_on_a_terminal() -> None:
    assert "\x1b" not in rendered(small(), 80)
    assert "\x1b" in rendered(small(), 80, terminal=True)


def test_totals_alone() -> None:
    text = rendered(small(), 80, 0)
    assert "stem" not in text.split("6 claims")[0]
    assert "1,978" in text


def test_a_batch_is_named_in_the_header_and_multiplies() -> None:
    text = rendered(small(batch=8), 120)
    assert "a batch of 8" in text
    assert f"{8 * 477_224:,}" in text
    assert "one sample" in rendered(small(), 120)


def test_claims_do_not_apply_where_parameters_were_changed() -> None:
    text = rendered(small(classes=3), 120)
    assert "does not apply" in text
    assert "not with `classes = 3`" in text
    assert "FAILED" not in text


def test_depth_counts_levels_of_nesting() -> None:
    paths = [{row.path for row in rows(small(), depth)} for depth in (0, 1, 2, 3, None)]
    assert paths[0] == set()
    assert paths[1] >= {"stem", "body", "fork", "aux", "fc"}
    assert not any("." in path for path in paths[1])
    assert "body.0" in paths[2] - paths[1]
    assert "body.0.conv" in paths[3] - paths[2]
    assert paths[4] >= {layer.path for layer in small().layers}
    for shown in (rows(small(), depth) for depth in (1, 2, 3)):
        top = [row for row in shown if row.level == 0 and not row.training_only]
        assert sum(int(row.macs.replace(",", "")) for row in top) == small().totals.macs
        assert sum(int(row.params.replace(",", "")) for row in top) == small().totals.params


def test_a_layer_with_followers_stands_in_its_stages_place_below_the_outermost_level() -> None:
    shown = [(row.level, row.name, row.op) for row in rows(archdsl.load("googlenet").report(), None)]
    assert shown[:3] == [(0, "conv1", "conv_relu"), (1, "conv", "conv"), (1, "conv.1", "relu")]
    shown = [(row.level, row.name, row.op) for row in rows(small(), None)]
    assert shown[:3] == [(0, "stem", "conv + relu"), (1, "stem", "conv"), (1, "1", "relu")]


@pytest.mark.parametrize(
    ("share", "text"), [(None, ""), (0.0, ""), (1.0, "100.0%"), (0.0004, "<0.1%"), (0.0005, "0.1%"), (0.5, "50.0%")]
)
def test_shares(share: float | None, text: str) -> None:
    assert percent(share) == text


def test_memory_in_mebibytes() -> None:
    assert mebibytes(28 * 2**20) == "28.00 MiB"
    assert mebibytes(3 * 2**30) == "3,072.00 MiB"
    assert mebibytes(512) == "0.50 KiB"


def test_only_the_table_imports_rich() -> None:
    code = (
        "import sys, archdsl\n"
        "from archdsl.emit.report.text import FORMATS\n"
        "report = archdsl.load('googlenet').report()\n"
        "assert all(write(report) for write in FORMATS.values())\n"
        "heavy = {'rich', 'torch', 'numpy', 'onnx', 'onnxruntime', 'PIL'} & sys.modules.keys()\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
