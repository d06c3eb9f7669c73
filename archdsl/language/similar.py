"""Did-you-mean: the known name nearest to a misspelt one."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any

from archdsl.language.diagnostics import Fix
from archdsl.language.source import Span


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name most like this one, if any is near."""
    lowered = {candidate.lower(): candidate for candidate in sorted(set(known))}
    found = difflib.get_close_matches(name.lower(), lowered, n=1, cutoff=0.6)
    return lowered[found[0]] if found else None


def did_you_mean(name: str, known: Iterable[str], span: Span) -> dict[str, Any]:
    """Help and fix of a diagnostic about an unknown name; empty where nothing is near."""
    guess = nearest(name, known)
    if guess is None:
        return {}
    return {"help": f"did you mean `{guess}`?", "fix": Fix(f"write `{guess}`", span, guess)}
