"""The bounds within which every compilation stays; each has its own diagnostic, `limit-NAME`."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True)
class Limits:
    """Raised on the command line with `--limit NAME=VALUE`."""

    file_size: int = 1_000_000  # characters of one file
    nesting: int = 60  # brackets inside brackets, and blocks inside blocks
    statements: int = 200_000  # statements after unrolling
    layers: int = 20_000
    elements: int = 2**32  # numbers in one tensor
    number: int = 2**63  # magnitude of an integer
    list: int = 100_000  # items of a list, characters of a string


LIMIT_NAMES = tuple(field.name.replace("_", "-") for field in fields(Limits))
