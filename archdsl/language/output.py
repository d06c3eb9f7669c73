"""Files that appear under their final name only when they are complete."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from archdsl.language.diagnostics import ArchError, error

REASONS = {
    errno.ENOENT: "its folder does not exist",
    errno.ENOTDIR: "its folder is a file",
    errno.EACCES: "permission denied",
    errno.EPERM: "permission denied",
    errno.EROFS: "the file system is read-only",
    errno.ENOSPC: "no space left on the device",
    errno.EDQUOT: "the disk quota is used up",
    errno.ENAMETOOLONG: "its name is too long",
}


def write_atomic(path: str | Path, data: bytes) -> None:
    """Write the whole file or nothing; raises `ArchError` (`cannot-write`) with the reason.

    The bytes go to a temporary file in the same folder, reach the disk, and only then take the name.
    What had the name before stays untouched if anything fails.
    """
    with staged(path) as file:
        file.write(data)


@contextmanager
def staged(path: str | Path) -> Iterator[BinaryIO]:
    """A file to write to that takes the name `path` when the block ends, and vanishes if it raises.

    Where `path` is a link, it stays one: what it points to is written.
    """
    path = Path(path)
    with _reasons(path):
        _refuse_special(path)
        target = path.resolve() if path.is_symlink() else path
        temporary = target.parent / f".archdsl-{os.urandom(6).hex()}.tmp"
        try:
            with temporary.open("xb") as file:
                yield file
                sync(file)
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)


def sync(file: BinaryIO) -> None:
    """Push everything written so far to the disk, so that a full disk shows here and not later."""
    file.flush()
    os.fsync(file.fileno())


@contextmanager
def _reasons(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as problem:
        raise _cannot_write(path, _reason(problem)) from problem


def _reason(problem: OSError) -> str:
    return REASONS.get(problem.errno or 0) or problem.strerror or type(problem).__name__


def _refuse_special(path: Path) -> None:
    """Renaming onto a device or a pipe would replace it by a file: refuse."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return
    if stat.S_ISREG(mode):
        return
    raise _cannot_write(path, "it is a directory" if stat.S_ISDIR(mode) else "it is not an ordinary file")


def _cannot_write(path: Path, reason: str) -> ArchError:
    return error("cannot-write", f"cannot write `{path}`: {reason}")


def refuse_special(*paths: Path) -> None:
    """Raise `ArchError` (`cannot-write`) where a file of several could not take its name, before any is written."""
    for path in paths:
        _refuse_special(path)


def make_folder(path: str | Path) -> Path:
    """The folder, made with its parents if it is not there; raises `ArchError` (`cannot-write`)."""
    folder = Path(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise _cannot_write(folder, "there is a file of that name") from None
    except (OSError, ValueError) as problem:
        raise _cannot_write(folder, _reason(problem) if isinstance(problem, OSError) else str(problem)) from None
    return folder
