"""Where the grammar and the library of networks lie: inside an installed package, else beside it."""

from __future__ import annotations

from pathlib import Path

PACKAGE = Path(__file__).parent


def folder(name: str) -> Path:
    """The folder `grammars` or `specs`."""
    inside = PACKAGE / name
    return inside if inside.is_dir() else PACKAGE.parent / name
