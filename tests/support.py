"""Helpers of many tests: `.arch` text in, network or messages out."""

from __future__ import annotations

import tempfile
from pathlib import Path

import archdsl


def compiled(text: str, network: str | None = None, **parameters: object) -> archdsl.Network:
    """The network of a text; fails with the diagnostics where it is rejected."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "test.arch"
        path.write_text(text, "utf-8")
        return archdsl.load(path, network, **parameters)


def messages(text: str, network: str | None = None, **parameters: object) -> list[str]:
    """`code: message` of each diagnostic, whether the text is accepted or not."""
    try:
        found = compiled(text, network, **parameters).diagnostics
    except archdsl.ArchError as failure:
        found = tuple(failure.diagnostics)
    return [f"{diagnostic.code}: {diagnostic.message}" for diagnostic in found]
