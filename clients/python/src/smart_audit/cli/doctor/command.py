"""`smart-audit doctor`: look at everything, say what is wrong, and how to mend it."""

import sys
from collections import Counter
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path
from typing import Annotated, Final

import typer

from smart_audit.cli.calling import AddressOption, ProfileOption
from smart_audit.cli.doctor import gateway, machine
from smart_audit.cli.doctor.machine import Finding, finding
from smart_audit.cli.failures import ExitCode
from smart_audit.cli.options import QuietOption
from smart_audit.cli.render import Column, Form, OutputOption, show
from smart_audit.cli.text import printable, tell
from smart_audit.client.config_error import ConfigError
from smart_audit.client.settings import Settings

# Each entry is a callable findings(data_dir, *, production, backups) that gives findings.
PLUGINS: Final = "smart_audit.cli.doctor"

_COLUMNS: Final = [Column("check"), Column("state"), Column("found"), Column("remedy")]
_MARKS: Final = {"ok": ("ok", "green"), "warning": ("warn", "yellow"), "failed": ("FAIL", "red")}


def doctor(
    *,
    production: Annotated[
        bool,
        typer.Option("--production", help="Hold it against the checklist for production too."),
    ] = False,
    data_dir: Annotated[
        Path, typer.Option("--data-dir", help="Where the system on this machine keeps its data.")
    ] = Path(".smart-audit"),
    backups: Annotated[
        Path | None,
        typer.Option("--backups", metavar="FOLDER", help="Where `smart-audit backup` writes to."),
    ] = None,
    profile: ProfileOption = "",
    address: AddressOption = "",
    quiet: QuietOption = False,
    output: OutputOption = Form.TABLE,
) -> None:
    """Check this machine and the service: Python, ports, database, clocks, keys, reachability.

    For what is wrong it says how to mend it. The exit code is 1 when something has failed; warnings
    do not change it. Nothing is changed. With --production the lines are those of
    docs/production.md; --quiet leaves out what is well.

    Examples:
    smart-audit doctor
    smart-audit doctor --production --quiet --backups /var/backups/smart-audit
    smart-audit doctor -o json | jq '.[] | select(.state == "failed")'
    """
    found = list(_found(profile, address, data_dir, backups, production=production))
    counts = Counter(one["state"] for one in found)
    shown = [one for one in found if not (quiet and one["state"] == "ok")]
    if output is Form.TABLE:
        for one in shown:
            _tell(one)
        tell(f"{counts['ok']} well, {counts['warning']} warnings, {counts['failed']} failed")
    else:
        show(shown, _COLUMNS, output)
    if counts["failed"]:
        raise typer.Exit(ExitCode.GENERIC)


def _found(
    profile: str, address: str, data_dir: Path, backups: Path | None, *, production: bool
) -> Iterator[Finding]:
    yield from machine.findings()
    for plugin in entry_points(group=PLUGINS):
        for one in plugin.load()(data_dir, production=production, backups=backups):
            if production:
                yield _strict(one)
            elif not _is_for_production(one):
                yield one
    try:
        settings = Settings.read(profile=profile, address=address)
    except ConfigError as error:
        yield finding("profiles.readable", "failed", str(error), "correct it, and look again")
        return
    yield from gateway.findings(settings, production=production)


# What production.md calls a warning stays one there.
_ALWAYS_WARNINGS: Final = {"log.witnessed", "health.metrics", "errors.tracking", "ports.free"}


def _strict(one: Finding) -> Finding:
    if one["state"] == "warning" and one["check"] not in _ALWAYS_WARNINGS:
        return one | {"state": "failed"}
    return one


def _is_for_production(one: Finding) -> bool:
    """Whether it is a fault in production alone: a service refuses it there, or asks for more."""
    return one["state"] == "warning" and one["check"] not in {
        "system.running",
        "ports.free",
        "database.migrated",
    }


def _tell(one: Finding) -> None:
    mark, style = _MARKS[one["state"]]
    lines = [f"{mark:<4}  {one['check']:<26}  {one['found']}"]
    if one["remedy"]:
        lines.append(f"      {'':<26}  → {one['remedy']}")
    text = "\n".join(map(printable, lines))
    if not sys.stdout.isatty():
        sys.stdout.write(f"{text}\n")
        return
    typer.echo(typer.style(text[:4], fg=style, bold=True) + text[4:])
