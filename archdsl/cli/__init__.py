"""The command `archdsl`. Only what a command needs is imported when it runs."""

from __future__ import annotations

import sys


def main() -> None:
    """Entry point: `--version` answers before anything is imported."""
    from archdsl.version import __version__

    if sys.argv[1:] == ["--version"]:
        print(f"archdsl {__version__}")
        return
    import gc
    import signal

    from archdsl.cli.app import run

    # as at Ctrl-C, a file that is being written is taken away on the way out
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(128 + signal.SIGTERM))

    # a command allocates its graph, writes its answer and ends: collecting cycles on the way only costs time
    gc.disable()
    sys.exit(run())
