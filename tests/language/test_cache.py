"""Parsed files kept between runs: the same tree, and never anything but our own."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import pytest

from archdsl.language import cache, parse
from archdsl.language.diagnostics import ArchError
from archdsl.language.limits import Limits
from archdsl.language.source import Source

TEXT = "network small { input x: [4]\n output y: linear(3) }"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(cache, "cache_folder", lambda: tmp_path)
    return tmp_path


def trees(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())


def shape(node: object) -> object:
    """A tree as plain data."""
    if isinstance(node, tuple):
        return tuple(map(shape, node))
    if hasattr(node, "_fields"):
        return type(node).__name__, *(shape(getattr(node, name)) for name in node._fields)
    return node if isinstance(node, str | int | float | bool | None) else str(node)


def test_the_second_reading_parses_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = cache.parsed(Source("a.arch", TEXT), Limits())
    assert len(trees(folder)) == 1
    monkeypatch.setattr(parse, "parse", None)
    again = cache.parsed(Source("a.arch", TEXT), Limits())
    assert shape(again) == shape(first)
    assert again.networks[0].name_span.line == 1
    assert again.networks[0].span.source is again.source


@pytest.mark.parametrize(
    ("source", "limits"),
    [
        (Source("b.arch", TEXT), Limits()),
        (Source("a.arch", TEXT + " "), Limits()),
        (Source("a.arch", TEXT), Limits(nesting=7)),
    ],
)
def test_another_name_text_or_limit_is_another_tree(folder: Path, source: Source, limits: Limits) -> None:
    cache.parsed(Source("a.arch", TEXT), Limits())
    cache.parsed(source, limits)
    assert len(trees(folder)) == 2


def test_a_smaller_limit_is_not_passed_by(folder: Path) -> None:
    cache.parsed(Source("a.arch", TEXT), Limits())
    with pytest.raises(ArchError, match="characters; the limit is 10"):
        cache.parsed(Source("a.arch", TEXT), Limits(file_size=10))


def test_a_file_with_errors_is_not_kept(folder: Path) -> None:
    for _ in range(2):
        with pytest.raises(ArchError):
            cache.parsed(Source("a.arch", "network {"), Limits())
    assert trees(folder) == []


@pytest.mark.parametrize("content", [b"", b"\x80\x05", b"garbage", pickle.dumps({"no": "tree"})])
def test_a_broken_entry_is_made_anew(folder: Path, content: bytes) -> None:
    good = cache.parsed(Source("a.arch", TEXT), Limits())
    (path,) = trees(folder)
    whole = path.read_bytes()
    path.write_bytes(content)
    assert shape(cache.parsed(Source("a.arch", TEXT), Limits())) == shape(good)
    assert path.read_bytes() == whole


def test_a_tree_of_other_code_is_not_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache.parsed(Source("a.arch", TEXT), Limits())
    monkeypatch.setattr(cache, "_parser_identity", lambda: "another version")
    cache.parsed(Source("a.arch", TEXT), Limits())
    assert len(trees(folder)) == 2


def test_old_trees_are_forgotten(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "MOST_FILES", 4)
    for number in range(5):
        before = set(trees(folder))
        cache.parsed(Source(f"{number}.arch", TEXT), Limits())
        for path in set(trees(folder)) - before:
            os.utime(path, (number, number))
    assert len(trees(folder)) == 3
    assert max(path.stat().st_mtime for path in trees(folder)) == 4


def test_a_folder_that_cannot_be_written_costs_nothing_but_time(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "cache_folder", lambda: folder / "missing")
    assert cache.parsed(Source("a.arch", TEXT), Limits()).networks[0].name == "small"
    monkeypatch.setattr(cache, "cache_folder", lambda: None)
    assert cache.parsed(Source("a.arch", TEXT), Limits()).networks[0].name == "small"
