"""docs/ops.md is what the ops say of themselves, and its tool refuses a formula that counts something else."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import get_args

import pytest

from archdsl.ops.base import ParameterKind

TOOL = Path(__file__).parents[2] / "tools" / "docs.py"


@pytest.fixture(scope="module")
def tool() -> Iterator[ModuleType]:
    """tools/docs.py as a module."""
    spec = importlib.util.spec_from_file_location("tools_docs", TOOL)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["tools_docs"] = module  # where dataclasses look for their module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["tools_docs"]


def test_the_page_is_current(tool: ModuleType) -> None:
    assert tool.PAGE.read_text("utf-8") == tool.page(), "run `python tools/docs.py`"


def test_every_kind_of_argument_is_described(tool: ModuleType) -> None:
    assert set(tool.KINDS) == set(get_args(ParameterKind))


def test_a_wrong_formula_is_refused(tool: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(tool.EXAMPLES, "conv", replace(tool.EXAMPLES["conv"], macs="C * K * O"))
    with pytest.raises(ValueError, match="the formulas give"):
        tool.check_formulas("conv")


def test_check_tells_a_stale_page_and_leaves_it(
    tool: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = tmp_path / "ops.md"
    page.write_text("stale")
    monkeypatch.setattr(tool, "PAGE", page)
    assert tool.main(["--check"]) == 1
    assert page.read_text() == "stale"
    assert tool.main([]) == 0
    assert tool.main(["--check"]) == 0
