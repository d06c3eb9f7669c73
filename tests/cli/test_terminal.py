"""What a command prints, and where it cannot."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SMALL = "network small { input x: [3, 4, 4]; conv(2, 3); output y: relu }"
DYING = """network dying {
    input x: [3]
    linear(3, init = normal(std = 1e-4)) -> linear(2, init = normal(std = 1e-4), bias_init = constant(1))
}"""


def archdsl(folder: Path, line: str, out: int | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "archdsl", *line.split()]
    where = subprocess.PIPE if out is None else out
    return subprocess.run(command, stdout=where, stderr=subprocess.PIPE, text=True, cwd=folder, check=False)


@pytest.mark.parametrize("line", ["report small.arch", "report small.arch --format json", "torch small.arch", "list"])
def test_a_full_disk_behind_the_terminal(tmp_path: Path, line: str) -> None:
    (tmp_path / "small.arch").write_text(SMALL)
    with Path("/dev/full").open("w") as full:
        done = archdsl(tmp_path, line, full.fileno())
    assert done.returncode == 1
    assert done.stderr == "cannot write to the terminal, or to where it leads: No space left on device\n"


def test_quiet_commands_that_write_a_file_print_nothing(tmp_path: Path) -> None:
    (tmp_path / "small.arch").write_text(SMALL)
    for line in ("torch small.arch -q -o a.py", "expand small.arch -q -o a.arch", "compile small.arch -q"):
        done = archdsl(tmp_path, line)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("taken", ["small.onnx", "small.py", "small.report.json"])
def test_compile_writes_all_of_its_files_or_none(tmp_path: Path, taken: str) -> None:
    (tmp_path / "small.arch").write_text(SMALL)
    (tmp_path / "build" / taken).mkdir(parents=True)
    done = archdsl(tmp_path, "compile small.arch")
    assert done.returncode == 1
    assert "it is a directory" in done.stderr
    assert [path.name for path in (tmp_path / "build").iterdir()] == [taken]


@pytest.mark.parametrize("line", ["verify dying.arch", "export dying.arch --verify -o dying.onnx"])
def test_a_comparison_that_proves_little_says_so(tmp_path: Path, line: str) -> None:
    (tmp_path / "dying.arch").write_text(DYING)
    done = archdsl(tmp_path, line)
    assert done.returncode == 0
    assert "`output` is almost the same for every input with these weights, so little is proved" in done.stderr
