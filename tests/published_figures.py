"""The reference file of printed and recomputed figures."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

PUBLISHED = Path(__file__).parents[2] / "shared/reference/published.json"


@functools.cache
def entries() -> dict[str, dict[str, Any]]:
    return {entry["network"]: entry for entry in json.loads(PUBLISHED.read_text())}


def recomputed(network: str, *path: str) -> tuple[int, int]:
    """Parameters and multiply-accumulates by the reference's own arithmetic."""
    found = entries()[network]["recomputed"]
    for key in path:
        found = found[key]
    return found["params"], found["macs"]
