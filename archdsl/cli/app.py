"""The command group: finds commands by name, and turns rejected input into diagnostics and exit status 1."""

from __future__ import annotations

import os
import sys
from importlib import import_module

import click

from archdsl.language.diagnostics import ArchError
from archdsl.language.similar import nearest
from archdsl.version import __version__

COMMANDS = (
    "compile",
    "check",
    "report",
    "export",
    "torch",
    "weights",
    "run",
    "verify",
    "bench",
    "profile",
    "list",
    "fmt",
    "expand",
    "explain",
)


class Commands(click.Group):
    """Loads `archdsl.cli.NAME` when the command NAME is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(f"archdsl.cli.commands.{cmd_name}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError:
            guess = nearest(args[0], COMMANDS)
            hint = f" Did you mean `{guess}`?" if guess else ""
            raise click.UsageError(f"there is no command `{args[0]}`.{hint}", ctx) from None


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, message="archdsl %(version)s")
def app() -> None:
    """A compiler for neural-network architectures.

    FILE is a path, or the name of a network of the shipped library.

    \b
    Examples:
      archdsl compile specs/googlenet.arch
      archdsl report googlenet --depth 2
    """


def run() -> int:
    """Run the command line and give the exit status: 0 fine, 1 rejected input, 2 a wrong command line."""
    try:
        status = app.main(standalone_mode=False)
        return status if isinstance(status, int) else 0
    except ArchError as failure:
        from archdsl.cli.show import show_diagnostics

        show_diagnostics(failure.diagnostics)
        return 1
    except click.exceptions.Abort:
        print("interrupted", file=sys.stderr)
        return 130
    except click.ClickException as problem:
        problem.show()
        return 2
    except BrokenPipeError:
        # whoever read our output has closed it; nothing is wrong, and Python must not complain at exit
        _silence()
        return 0
    except OSError as problem:
        if problem.filename is not None:  # a file: they have diagnostics of their own
            raise
        _silence()
        print(f"cannot write to the terminal, or to where it leads: {problem.strerror}", file=sys.stderr)
        return 1


def _silence() -> None:
    """What is left to print goes nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
