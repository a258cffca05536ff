"""The group `verify`."""

from typing import Final

import typer

from smart_audit.cli.plugins import add_plugins
from smart_audit.cli.verify.evidence import evidence
from smart_audit.cli.verify.file import file
from smart_audit.cli.verify.log import log

# Each entry is a callable register(app: typer.Typer) that adds commands to this group.
PLUGINS: Final = "smart_audit.cli.verify"


def app() -> typer.Typer:
    """`smart-audit verify …`."""
    commands = typer.Typer(
        help="Check what the log claims. Exit code 6: something does not hold, and where.",
        no_args_is_help=True,
    )
    commands.command("log")(log)
    commands.command("file")(file)
    commands.command("evidence")(evidence)
    add_plugins(commands, PLUGINS)
    return commands
