"""The command `archdsl`. Only what a command needs is imported when it runs."""

from __future__ import annotations

import sys


def main() -> None:
    """Entry point: `--version` answers before anything is imported."""
    from archdsl.version import __version__

    if sys.argv[1:] == ["--version"]:
        print(f"archdsl {__version__}")
        return
    from archdsl.cli.app import run

    sys.exit(run())
