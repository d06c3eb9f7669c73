"""Number literals and their suffixes."""

from __future__ import annotations

from archdsl.language.diagnostics import error
from archdsl.language.source import Span

#: what a suffix of a number multiplies it by
MULTIPLIERS = {"K": 10**3, "M": 10**6, "G": 10**9, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30}


def number_value(text: str, span: Span) -> int | float:
    """Value of a number literal with its suffix; whole values are integers."""
    suffix = next((x for x in ("Ki", "Mi", "Gi", "K", "M", "G") if text.endswith(x)), "")
    digits = text.removesuffix(suffix).replace("_", "")
    if len(digits) > 40:
        raise error("limit-number", f"a number of {len(digits)} characters is too long", span)
    if digits.isdigit():
        return int(digits) * MULTIPLIERS.get(suffix, 1)
    value = float(digits) * MULTIPLIERS.get(suffix, 1)
    return round(value) if suffix and value == round(value) else value
