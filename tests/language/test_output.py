"""Files are complete or absent, and a failure says why."""

from __future__ import annotations

import errno
import os
import stat
import sys
from pathlib import Path

import pytest

from archdsl.language import output
from archdsl.language.diagnostics import ArchError
from archdsl.language.output import staged, write_atomic


def refused(path: Path, data: bytes = b"new") -> str:
    with pytest.raises(ArchError) as caught:
        write_atomic(path, data)
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.code == "cannot-write"
    assert f"`{path}`" in diagnostic.message
    return diagnostic.message


def test_writes_and_overwrites(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_atomic(path, b"one")
    write_atomic(str(path), b"two")
    assert path.read_bytes() == b"two"
    assert list(tmp_path.iterdir()) == [path]


def test_a_relative_name_is_written_into_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_atomic("a.txt", b"one")
    assert (tmp_path / "a.txt").read_bytes() == b"one"


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX permissions")
def test_new_files_have_ordinary_permissions(tmp_path: Path) -> None:
    mask = os.umask(0o027)
    try:
        write_atomic(tmp_path / "a.txt", b"one")
    finally:
        os.umask(mask)
    assert stat.S_IMODE((tmp_path / "a.txt").stat().st_mode) == 0o640


def test_folder_missing(tmp_path: Path) -> None:
    assert refused(tmp_path / "no" / "a.txt").endswith("its folder does not exist")


def test_folder_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert refused(tmp_path / "file" / "a.txt").endswith("its folder is a file")


def test_target_is_a_directory(tmp_path: Path) -> None:
    (tmp_path / "dir").mkdir()
    assert refused(tmp_path / "dir").endswith("it is a directory")


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX pipes")
def test_a_pipe_or_device_is_never_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert refused(tmp_path / "pipe").endswith("it is not an ordinary file")
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)


@pytest.mark.parametrize("exists", [True, False])
def test_a_link_stays_one_and_what_it_points_to_is_written(exists: bool, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    target, link = tmp_path / "folder" / "a.txt", tmp_path / "link"
    if exists:
        target.write_text("old")
    link.symlink_to(Path("folder") / "a.txt")
    write_atomic(link, b"new")
    assert link.is_symlink()
    assert target.read_bytes() == b"new"
    assert {path.name for path in tmp_path.rglob("*")} == {"folder", "link", "a.txt"}


def test_a_link_to_itself(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("link")
    assert "symbolic links" in refused(tmp_path / "link")


def test_name_too_long(tmp_path: Path) -> None:
    assert refused(tmp_path / ("a" * 300)).endswith("its name is too long")


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (errno.ENOSPC, "no space left on the device"),
        (errno.EACCES, "permission denied"),
        (errno.EROFS, "the file system is read-only"),
        (errno.EIO, os.strerror(errno.EIO)),
    ],
)
def test_failures_while_writing_keep_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, reason: str
) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"old")

    def fail(_: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(output.os, "fsync", fail)
    assert refused(path).endswith(reason)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_device_that_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel's own ENOSPC, met when the buffer is pushed out."""
    original = Path.open
    monkeypatch.setattr(Path, "open", lambda self, mode: original(Path("/dev/full"), "wb"))
    assert refused(tmp_path / "a.txt").endswith("no space left on the device")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="the superuser may write anywhere")
def test_folder_without_permission(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    assert refused(tmp_path / "a.txt").endswith("permission denied")


@pytest.mark.parametrize("problem", [KeyboardInterrupt, ZeroDivisionError])
def test_an_interruption_leaves_nothing(tmp_path: Path, problem: type[BaseException]) -> None:
    def interrupted() -> None:
        with staged(tmp_path / "a.txt") as file:
            file.write(b"half")
            raise problem

    with pytest.raises(problem):
        interrupted()
    assert list(tmp_path.iterdir()) == []
