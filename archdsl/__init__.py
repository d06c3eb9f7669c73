"""archdsl: a compiler for neural-network architectures.

`load` shows the whole pipeline. Names are imported when first asked for, so that `archdsl --version` costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from archdsl.version import __version__

if TYPE_CHECKING:
    from archdsl.api import Network, load
    from archdsl.language.diagnostics import ArchError

__all__ = ["ArchError", "Network", "__version__", "load"]


def __getattr__(name: str) -> object:
    if name in ("load", "Network"):
        from archdsl import api

        return getattr(api, name)
    if name == "ArchError":
        from archdsl.language.diagnostics import ArchError

        return ArchError
    raise AttributeError(f"module 'archdsl' has no attribute {name!r}")
