"""What archdsl writes into an ONNX file about it, read back; a file may come from anybody, so all of it is checked."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import onnxruntime

from archdsl.language.diagnostics import error
from archdsl.ops.dims import Symbol

Found = TypeVar("Found")
LONGEST_COUNT = 30  # digits


@dataclass(frozen=True, slots=True)
class Metadata:
    """`preprocessing` are settings by input, not yet checked (`preprocess_of` does). `macs`: None where unknown."""

    preprocessing: Mapping[str, dict[str, Any]]
    symbols: Mapping[str, Symbol]
    labels: tuple[str, ...]
    macs: int | None


def metadata(session: onnxruntime.InferenceSession, name: str) -> Metadata:
    """Of the model that a user calls `name`; all empty where archdsl did not write it.

    Raises `ArchError` (`model-unreadable`) where something is there that archdsl does not write.
    """
    stored = session.get_modelmeta().custom_metadata_map
    macs = stored.get("archdsl.macs", "")
    return Metadata(
        _read(stored, "archdsl.preprocessing", name, _settings),
        _read(stored, "archdsl.symbols", name, _symbols),
        _read(stored, "archdsl.labels", name, _labels, "[]"),
        int(macs) if macs.isdecimal() and len(macs) <= LONGEST_COUNT else None,
    )


def _read(
    stored: Mapping[str, str], key: str, name: str, convert: Callable[[Any], Found], default: str = "{}"
) -> Found:
    try:
        return convert(json.loads(stored.get(key, default)))
    except (ValueError, TypeError, RecursionError) as problem:
        message = f"the metadata `{key}` of `{name}` are damaged"
        raise error("model-unreadable", message, notes=(str(problem),), help="export the model again") from problem


def _settings(value: Any) -> dict[str, dict[str, Any]]:
    _require(
        isinstance(value, dict) and all(isinstance(item, dict) for item in value.values()), "not settings by input"
    )
    found: dict[str, dict[str, Any]] = value
    return found


def _symbols(value: Any) -> dict[str, Symbol]:
    _require(isinstance(value, dict), "not ranges by name")
    found = {key: Symbol(**item) for key, item in value.items()}
    for symbol in found.values():
        numbers = (symbol.nominal, symbol.low, symbol.high, symbol.step)
        whole = all(isinstance(number, int) for number in numbers)
        _require(whole and symbol.step >= 1 and 1 <= symbol.low <= symbol.high, f"no range: {symbol}")
    return found


def _labels(value: Any) -> tuple[str, ...]:
    _require(isinstance(value, list) and all(isinstance(item, str) for item in value), "not a list of names")
    return tuple(value)


def _require(holds: bool, reason: str) -> None:
    if not holds:
        raise ValueError(reason)
