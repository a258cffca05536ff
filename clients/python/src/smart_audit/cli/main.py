"""The command `smart-audit`: its own commands and those that other packages add."""

import io
import logging
import sys
from importlib.metadata import version
from typing import Annotated, Final

import typer

from smart_audit.cli import export, token
from smart_audit.cli.demo import command as demo
from smart_audit.cli.failures import ExitCode, explained
from smart_audit.cli.imports import command as imports
from smart_audit.cli.plugins import add_plugins
from smart_audit.cli.terminal import notices, say
from smart_audit.cli.verify import command as verify

# Each entry is a callable register(app: typer.Typer) that adds commands.
PLUGINS: Final = "smart_audit.cli"


def build() -> typer.Typer:
    """The whole command line."""
    app = typer.Typer(
        name="smart-audit",
        help="Who did what, when: record it, and prove it.",
        no_args_is_help=True,
        # Errors of ours become sentences; a defect shows Python's own traceback, without the
        # values of variables, which may be passwords.
        pretty_exceptions_enable=False,
    )
    app.callback()(_root)
    app.add_typer(imports.app(), name="import")
    app.add_typer(export.app(), name="export")
    app.add_typer(verify.app(), name="verify")
    app.command("token")(token.token)
    app.command("demo")(demo.demo)
    add_plugins(app, PLUGINS)
    return app


def _show_version(wanted: bool) -> None:  # noqa: FBT001  (typer's form of a callback)
    if wanted:
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
        build()()
    except KeyboardInterrupt:
        sys.exit(ExitCode.INTERRUPTED)
    except Exception as error:
        failure = explained(error)
        if failure is None:
            raise
        say(notices(), f"smart-audit: {failure}")
        sys.exit(failure.code)
