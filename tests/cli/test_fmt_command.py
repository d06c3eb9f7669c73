"""`archdsl fmt` and `archdsl expand` on the command line."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

import archdsl
from archdsl.cli.app import app, run

UGLY = "network n{input x:[3,8,8];conv(4,3)}\n"
FINE = "network n { input x: [3, 8, 8]; conv(4, 3) }\n"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ugly.arch").write_text(UGLY)
    (tmp_path / "fine.arch").write_text(FINE)
    (tmp_path / "wrong.arch").write_text("network n { conv(4, }\n")
    return tmp_path


def command(monkeypatch, capsys, *arguments: str) -> tuple[int, str, str]:
    monkeypatch.setattr("sys.argv", ["archdsl", *arguments])
    status = run()
    printed = capsys.readouterr()
    return status, printed.out, printed.err


def test_rewrites_what_changes(folder, monkeypatch, capsys):
    before = (folder / "fine.arch").stat().st_mtime_ns
    assert command(monkeypatch, capsys, "fmt", "ugly.arch", "fine.arch") == (0, "reformatted ugly.arch\n", "")
    assert (folder / "ugly.arch").read_text() == FINE
    assert (folder / "fine.arch").stat().st_mtime_ns == before
    assert command(monkeypatch, capsys, "fmt", "--check", "ugly.arch") == (0, "", "")


def test_check_names_files_and_writes_nothing(folder, monkeypatch, capsys):
    status, out, err = command(monkeypatch, capsys, "fmt", "--check", "fine.arch", "ugly.arch")
    assert (status, out, err) == (1, "", "would reformat ugly.arch\n")
    assert (folder / "ugly.arch").read_text() == UGLY


def test_diff_writes_nothing(folder, monkeypatch, capsys):
    status, out, _ = command(monkeypatch, capsys, "fmt", "--diff", "ugly.arch", "fine.arch")
    assert status == 0
    assert out == f"--- ugly.arch\n+++ ugly.arch\n@@ -1 +1 @@\n-{UGLY}+{FINE}"
    assert (folder / "ugly.arch").read_text() == UGLY


def test_a_syntax_error_leaves_the_file_and_does_not_stop_the_others(folder, monkeypatch, capsys):
    status, out, err = command(monkeypatch, capsys, "fmt", "wrong.arch", "ugly.arch", "none.arch")
    assert (status, out) == (1, "reformatted ugly.arch\n")
    assert "error[syntax-error]" in err or "error[unclosed-bracket]" in err
    assert "error[file-not-found]" in err
    assert (folder / "wrong.arch").read_text() == "network n { conv(4, }\n"


def test_a_folder_stands_for_its_files(folder, monkeypatch, capsys):
    (folder / "deep").mkdir()
    (folder / "deep" / "more.arch").write_text(UGLY)
    (folder / "wrong.arch").unlink()
    status, _, err = command(monkeypatch, capsys, "fmt", "--check", ".")
    assert (status, err) == (1, "would reformat deep/more.arch\nwould reformat ugly.arch\n")


@pytest.mark.parametrize(("given", "expected"), [(UGLY, FINE), (FINE, FINE), ("", ""), ("# a", "# a\n")])
def test_standard_input(given, expected):
    result = CliRunner().invoke(app, ["fmt", "-"], input=given, standalone_mode=False)
    assert result.output == expected


def test_expand_writes_a_file_that_compiles(folder, monkeypatch, capsys):
    assert command(monkeypatch, capsys, "expand", "fine.arch", "-o", "flat.arch")[:2] == (0, "")
    assert list(archdsl.load("flat.arch").checked.nodes) == ["x", "0"]
    _, out, _ = command(monkeypatch, capsys, "expand", "fine.arch")
    assert out == (folder / "flat.arch").read_text()
    assert "# fine.arch:1\n" in out


def test_expand_that_cannot_be_written(folder, monkeypatch, capsys):
    text = "network n {\n input x: [3, 8, 8]\n module m: avgpool(in.height)\n m\n @x -> maxpool(2) -> m\n}\n"
    (folder / "module.arch").write_text(text)
    status, out, err = command(monkeypatch, capsys, "expand", "module.arch", "-o", "flat.arch")
    assert (status, out) == (1, "")
    assert "error[not-expandable]" in err
    assert not (folder / "flat.arch").exists()
