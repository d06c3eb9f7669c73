"""The explanations behind diagnostic codes: one page a code, `archdsl/explain/CODE.md`."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path

from archdsl.language.diagnostics import error

_FOLDER = Path(__file__).parent.parent / "explain"

#: every diagnostic code, sorted
CODES: tuple[str, ...] = tuple(sorted(path.stem for path in _FOLDER.glob("*.md")))


def page(code: str) -> str:
    """The page of a code as Markdown; an unknown code raises `ArchError` (bad-option) with the closest ones."""
    if code in CODES:
        return (_FOLDER / f"{code}.md").read_text(encoding="utf-8")
    close = get_close_matches(code, CODES, n=3, cutoff=0.5)
    known = " or ".join(f"`{match}`" for match in close)
    advice = f"did you mean {known}?" if close else "`archdsl explain` lists every code"
    raise error("bad-option", f"there is no diagnostic `{code}`", help=advice)


def title(code: str) -> str:
    """The page's one-line title, without the code."""
    return page(code).split("\n", 1)[0].partition(": ")[2]
