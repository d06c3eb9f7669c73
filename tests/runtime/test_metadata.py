"""What a file says of itself is believed only where archdsl could have written it."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest

from archdsl.language.diagnostics import ArchError
from archdsl.ops.dims import Symbol
from archdsl.runtime.metadata import Metadata, metadata


def read(**stored: str) -> Metadata:
    """Of a session whose model has these texts as its metadata."""
    texts = {f"archdsl.{key}": text for key, text in stored.items()}
    session: Any = SimpleNamespace(get_modelmeta=lambda: SimpleNamespace(custom_metadata_map=texts))
    return metadata(session, "net.onnx")


def test_what_is_written_is_read() -> None:
    symbol = {"name": "H", "nominal": 64, "low": 32, "high": 96, "step": 32}
    found = read(
        preprocessing='{"image": {"resize": 9}}', symbols=json.dumps({"H": symbol}), labels='["ant", "bee"]', macs="12"
    )
    assert found == Metadata({"image": {"resize": 9}}, {"H": Symbol("H", 64, 32, 96, 32)}, ("ant", "bee"), 12)


def test_other_files_have_none() -> None:
    assert read() == Metadata({}, {}, (), None)


@pytest.mark.parametrize("text", ["abc", "-5", "", "1e9", "9" * 5000])
def test_macs_that_are_no_count_are_unknown(text: str) -> None:
    assert read(macs=text).macs is None


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("preprocessing", "{bad"),
        ("preprocessing", "[1]"),
        ("preprocessing", '{"image": 5}'),
        ("preprocessing", "[" * 100_000),
        ("symbols", '{"H": {"a": 1}}'),
        ("symbols", '{"H": 5}'),
        ("symbols", '["H"]'),
        ("symbols", '{"H": {"name": "H", "nominal": 1, "low": "1", "high": 2}}'),
        ("symbols", '{"H": {"name": "H", "nominal": 1, "low": 1, "high": 2, "step": 0}}'),
        ("symbols", '{"H": {"name": "H", "nominal": 1, "low": 2, "high": 1}}'),
        ("labels", "nope"),
        ("labels", "5"),
        ("labels", "[1, 2]"),
        ("labels", '"abc"'),
    ],
)
def test_damage_is_named(key: str, text: str) -> None:
    with pytest.raises(ArchError) as caught:
        read(**{key: text})
    (found,) = caught.value.diagnostics
    assert (found.code, found.message) == (
        "model-unreadable", f"the metadata `archdsl.{key}` of `net.onnx` are damaged",
    )  # fmt: skip
