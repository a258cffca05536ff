"""The command `smart-audit`: its own commands and those that other packages add."""

import io
import logging
import sys
from typing import Annotated

import typer

from smart_audit.cli.commands import COMMANDS, PANELS
from smart_audit.cli.failures import ExitCode, explained
from smart_audit.cli.lazy import grouped
from smart_audit.cli.text import complain


def build() -> typer.Typer:
    """The whole command line."""
    app = typer.Typer(
        name="smart-audit",
        cls=grouped(COMMANDS, PANELS),
        help=COMMANDS.summary,
        no_args_is_help=True,
        # Errors of ours become sentences; a defect shows Python's own traceback, without the
        # values of variables, which may be passwords.
        pretty_exceptions_enable=False,
    )
    app.callback()(_root)
    return app


def _show_version(wanted: bool) -> None:  # noqa: FBT001  (typer's form of a callback)
    if wanted:
        from importlib.metadata import version  # noqa: PLC0415  (slow, and wanted here alone)

        typer.echo(f"smart-audit {version('smart-audit-client')}")
        raise typer.Exit


def _root(
    *,
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Who did what, when: record it, and prove it."""


def main() -> None:
    """Run the command line; every expected failure is one sentence and an exit code."""
    # gRPC tells its own channel's troubles by logging; they reach the person as CallErrors.
    logging.getLogger("grpc").setLevel(logging.CRITICAL)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal that is not UTF-8 shows an escape where Python would give up.
            stream.reconfigure(errors="backslashreplace")
    try:
        build()(prog_name="smart-audit")
    except KeyboardInterrupt:
        sys.exit(ExitCode.INTERRUPTED)
    except Exception as error:
        failure = explained(error)
        if failure is None:
            raise
        complain(str(failure))
        sys.exit(failure.code)
