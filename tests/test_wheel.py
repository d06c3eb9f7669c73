"""The built wheel, away from the checkout: it carries the grammar and the library of specs."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", str(folder), str(ROOT)]
    subprocess.run(command, check=True, timeout=300)
    return next(folder.glob("*.whl"))


@pytest.mark.slow
def test_the_wheel_holds_what_it_needs(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {"archdsl/grammars/arch.lark", "archdsl/specs/googlenet.arch", "archdsl/py.typed"} <= names
    assert {f"archdsl/explain/{path.name}" for path in (ROOT / "archdsl/explain").glob("*.md")} <= names
    maps = (ROOT / "archdsl/weights/maps").rglob("*.toml")
    assert {path.relative_to(ROOT).as_posix() for path in maps} <= names
    assert not [name for name in names if name.startswith(("tests", "tools", "docs"))]


@pytest.mark.slow
def test_the_installed_wheel_compiles_from_anywhere(wheel: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(site), str(wheel)]
    subprocess.run(install, check=True, timeout=300)
    environment = {**os.environ, "PYTHONPATH": str(site)}  # before the editable install
    where = "import archdsl; print(archdsl.__file__)"
    run = {"env": environment, "cwd": tmp_path, "capture_output": True, "text": True, "timeout": 120, "check": True}
    assert subprocess.run([sys.executable, "-c", where], **run).stdout.startswith(str(site))
    out = subprocess.run([sys.executable, "-m", "archdsl", "compile", "googlenet", "-o", "out"], **run).stdout
    assert "6,998,552" in out
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "googlenet.onnx", "googlenet.py", "googlenet.report.json",
    ]  # fmt: skip
    assert "concat-shape" in subprocess.run([sys.executable, "-m", "archdsl", "explain", "concat-shape"], **run).stdout
