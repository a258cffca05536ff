"""The commands that run a system on one machine: `up`, `down`, `restart`, `backup` and others."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, NoReturn

import typer

_OLDEST_PYTHON = (3, 11)

DataDirOption = Annotated[
    Path, typer.Option("--data-dir", help="Where the stack keeps its data.", show_default=True)
]

EmailArgument = Annotated[str, typer.Argument(help="The user's e-mail address.")]


def register(app: typer.Typer) -> None:
    """Add this package's commands to the `smart-audit` command."""
    app.command("up")(up)
    app.command("down")(down)
    app.command("restart")(restart)
    app.command("migrate")(migrate)
    app.command("backup")(backup)
    app.command("restore")(restore)
    administrators = typer.Typer(help="Who administers the users of this installation.")
    administrators.command("grant")(grant)
    administrators.command("revoke")(revoke)
    app.add_typer(administrators, name="admin")


def register_verification(app: typer.Typer) -> None:
    """Add this package's command to the group `smart-audit verify`."""
    app.command("database")(verify_database)


def up(
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port of the gateway.")] = 8000,
    auth_port: Annotated[int, typer.Option(min=1, max=65535, help="gRPC port of auth.")] = 50051,
    audit_port: Annotated[int, typer.Option(min=1, max=65535, help="gRPC port of audit.")] = 50052,
    data_dir: DataDirOption = Path(".smart-audit"),
    workers: Annotated[int, typer.Option(min=1, max=64, help="Processes per service.")] = 1,
    host: Annotated[str, typer.Option(help="Address of the gateway.")] = "127.0.0.1",
    *,
    tls: Annotated[
        bool,
        typer.Option("--tls", help="Serve by TLS, with a certificate made for this machine."),
    ] = False,
    mtls: Annotated[
        bool,
        typer.Option("--mtls", help="Services and gateway show each other certificates."),
    ] = False,
) -> None:
    """Start the whole system on this machine and stay until Ctrl-C.

    Examples:
    smart-audit up
    smart-audit up --port 9000 --workers 2
    """
    _refuse_old_python()
    # Imported late: the modules behind need the Python that was just checked.
    from smart_audit.stack import foreground  # noqa: PLC0415
    from smart_audit.stack.problem import Problem  # noqa: PLC0415

    try:
        foreground.up(
            data_dir, foreground.Asked(host, port, auth_port, audit_port, workers, tls, mtls)
        )
    except Problem as problem:
        _fail(str(problem))


def down(data_dir: DataDirOption = Path(".smart-audit")) -> None:
    """Stop the system that `up` started, and wait until it has ended.

    Examples:
    smart-audit down
    """
    _refuse_old_python()
    from smart_audit.stack import foreground  # noqa: PLC0415
    from smart_audit.stack.problem import Problem  # noqa: PLC0415

    try:
        typer.echo(foreground.down(data_dir))
    except Problem as problem:
        _fail(str(problem))


class Part(StrEnum):
    """What can be restarted."""

    AUTH = "auth"
    AUDIT = "audit"
    GATEWAY = "gateway"
    ALL = "all"


def restart(
    part: Annotated[Part, typer.Argument(help="What to restart.")] = Part.ALL,
    data_dir: DataDirOption = Path(".smart-audit"),
) -> None:
    """Restart what `up` started, one process after the other, without losing a call.

    The processes start with the code that is installed now, and with the settings that `up` had.
    """
    _refuse_old_python()
    from smart_audit.stack import foreground  # noqa: PLC0415
    from smart_audit.stack.problem import Problem  # noqa: PLC0415

    try:
        foreground.restart(data_dir, part.value)
    except Problem as problem:
        _fail(str(problem))


def migrate(data_dir: DataDirOption = Path(".smart-audit")) -> None:
    """Bring the schemas of DATABASE_URL, or of the embedded database, up to date.

    Examples:
    smart-audit migrate
    """
    _refuse_old_python()
    from smart_audit.stack import foreground  # noqa: PLC0415
    from smart_audit.stack.problem import Problem  # noqa: PLC0415

    try:
        foreground.migrate(data_dir)
    except Problem as problem:
        _fail(str(problem))


def backup(
    folder: Annotated[Path, typer.Argument(help="Where backups are kept.")],
    data_dir: DataDirOption = Path(".smart-audit"),
) -> None:
    """Back up DATABASE_URL, or the embedded database, into a new folder below FOLDER.

    The system may run. secrets.json is not in the backup: keep a copy of it, in another place.

    Examples:
    smart-audit backup /var/backups/smart-audit
    """
    _refuse_old_python()
    from smart_audit.stack import foreground  # noqa: PLC0415
    from smart_audit.stack.problem import Problem  # noqa: PLC0415

    try:
        code = foreground.backup(data_dir, folder)
    except Problem as problem:
        _fail(str(problem))
    raise typer.Exit(code)


def restore(
    backup: Annotated[Path, typer.Argument(help="A folder that `smart-audit backup` has made.")],
    secrets: Annotated[
        Path | None, typer.Option(help="The secrets.json that belongs to the backup.")
    ] = None,
    data_dir: DataDirOption = Path(".smart-audit"),
) -> None:
    """Restore a backup into an empty DATABASE_URL, or into a new embedded database.

    Examples:
    smart-audit restore /var/backups/smart-audit/2026-01-31T120000Z --secrets secrets.json
    """
    _refuse_old_python()
    from smart_audit.stack import foreground  # noqa: PLC0415
    from smart_audit.stack.problem import Problem  # noqa: PLC0415

    try:
        code = foreground.restore(data_dir, backup, secrets)
    except Problem as problem:
        _fail(str(problem))
    if code == 0:
        typer.echo("restored; start it with: smart-audit up, then: smart-audit verify database")
    raise typer.Exit(code)


def grant(email: EmailArgument, data_dir: DataDirOption = Path(".smart-audit")) -> None:
    """Make a user an administrator of the installation: the way to the first one.

    Examples:
    smart-audit admin grant ada@example.com
    """
    _administration("grant-admin", email, data_dir)


def revoke(email: EmailArgument, data_dir: DataDirOption = Path(".smart-audit")) -> None:
    """Make a user an administrator of the installation no more.

    Examples:
    smart-audit admin revoke ada@example.com
    """
    _administration("revoke-admin", email, data_dir)


def _administration(verb: str, email: str, data_dir: Path) -> None:
    _refuse_old_python()
    from smart_audit.stack import foreground  # noqa: PLC0415
    from smart_audit.stack.problem import Problem  # noqa: PLC0415

    try:
        code = foreground.administration(data_dir, verb, email)
    except Problem as problem:
        _fail(str(problem))
    raise typer.Exit(code)


def verify_database(data_dir: DataDirOption = Path(".smart-audit")) -> None:
    """Verify all that DATABASE_URL, or the embedded database, holds of the logs.

    What is there, what its own keys prove, and what the last run remembered are held against each
    other. The exit code is 6 when anything does not agree; stderr then names the rows.

    Examples:
    smart-audit verify database
    """
    _refuse_old_python()
    from smart_audit.stack import foreground  # noqa: PLC0415
    from smart_audit.stack.problem import Problem  # noqa: PLC0415

    try:
        code = foreground.verify_database(data_dir)
    except Problem as problem:
        _fail(str(problem))
    raise typer.Exit(code)


def _refuse_old_python() -> None:
    if sys.version_info < _OLDEST_PYTHON:
        running = ".".join(str(part) for part in sys.version_info[:3])
        _fail(f"Smart Audit needs Python 3.11 or newer and this is {running}; install a newer one.")


def _fail(sentence: str) -> NoReturn:
    typer.echo(f"smart-audit: {sentence}", err=True)
    raise typer.Exit(1)
