"""Parsed files, kept between runs in the user's cache folder: reading a tree back is ten times faster than parsing.

What is kept is our own pickle in the user's own folder, as Lark keeps its tables; nobody else's file is ever read.
Only files without a syntax error are kept. A cache that cannot be read or written costs time, nothing else.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import pickle
import sys
from functools import cache
from pathlib import Path

from archdsl import resources
from archdsl.language import syntax as s
from archdsl.language.limits import Limits
from archdsl.language.source import Source
from archdsl.version import __version__

MOST_FILES = 256
SUFFIX = ".tree"
#: what reading a file that is cut short, or of other code, may raise
BROKEN = (pickle.UnpicklingError, EOFError, AttributeError, ImportError, IndexError, KeyError, TypeError, ValueError)


def parsed(source: Source, limits: Limits) -> s.File:
    """The syntax tree, as `archdsl.language.parse.parse` gives it, from the cache where it is there."""
    path = _place(source, limits)
    found = _read(path) if path else None
    if found is not None:
        return found
    from archdsl.language.parse import parse  # brings Lark

    tree = parse(source, limits)
    if path:
        _keep(path, tree)
    return tree


@cache
def cache_folder() -> Path | None:
    """The folder for what can be made again; None where there cannot be one."""
    from platformdirs import user_cache_path

    try:
        return user_cache_path("archdsl", appauthor=False, ensure_exists=True)
    except OSError:
        return None


def _place(source: Source, limits: Limits) -> Path | None:
    """Where the tree of this text lies: the name says text, file name, limits, and the code that parsed it."""
    folder = cache_folder()
    if folder is None:
        return None
    key = "\0".join((source.name, source.text, str(limits.file_size), str(limits.nesting), _parser_identity()))
    return folder / (hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:40] + SUFFIX)


@cache
def _parser_identity() -> str:
    """Changes with whatever could make another tree of the same text."""
    sources = [resources.folder("grammars") / "arch.lark", *sorted(Path(__file__).parent.glob("*.py"))]
    stamps = (f"{path.name} {state.st_mtime_ns} {state.st_size}" for path in sources for state in (path.stat(),))
    return "\n".join((__version__, sys.version, *stamps))


def _read(path: Path) -> s.File | None:
    try:
        tree = pickle.loads(path.read_bytes())  # noqa: S301 (see the top)
    except (OSError, *BROKEN):
        return None
    return tree if isinstance(tree, s.File) else None


def _keep(path: Path, tree: s.File) -> None:
    temporary = path.with_name(f"{path.name}.{os.getpid()}")
    with contextlib.suppress(OSError, RecursionError):
        temporary.write_bytes(pickle.dumps(tree, protocol=5))
        temporary.replace(path)
        _forget_old(path.parent)


def _forget_old(folder: Path) -> None:
    """Keep the newest `MOST_FILES` trees."""
    trees = [path for path in folder.iterdir() if path.name.endswith(SUFFIX)]
    if len(trees) <= MOST_FILES:
        return
    trees.sort(key=lambda path: path.stat().st_mtime_ns)
    for path in trees[: len(trees) - MOST_FILES * 3 // 4]:
        path.unlink(missing_ok=True)
