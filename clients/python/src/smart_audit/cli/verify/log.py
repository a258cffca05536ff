"""`smart-audit log verify`: a whole log over the gateway, from its entries up."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final
from uuid import UUID

import typer
from platformdirs import user_state_path
from rich.console import Console

from smart_audit.cli.calling import Calling, calling
from smart_audit.cli.failures import ExitCode, Failure
from smart_audit.cli.options import organisation_of
from smart_audit.cli.terminal import notices, output, progress, say, tell_trouble
from smart_audit.cli.verify.inputs import read_input, require_keys
from smart_audit.cli.verify.verdict import Verdict, verdict_lines
from smart_audit.client.connection import Session
from smart_audit.client.errors import CallError
from smart_audit.client.log.check import Progress, check_log
from smart_audit.client.log.files import LogFiles
from smart_audit.client.log.findings import TOO_MANY, Findings
from smart_audit.client.log.memory import Memory, MemoryFault, Remembered
from smart_audit.client.log.trust import Earlier, Opened, open_log
from smart_audit.client.verification import VerificationError, read_by_any

STATE_VARIABLE: Final = "SMART_AUDIT_STATE_DIR"
_RETRY_FOR_S: Final = 10.0
_SHOWN_FAULTS: Final = 20
_MAX_NOTE: Final = 1024 * 1024  # bytes


@dataclass(frozen=True, slots=True)
class _Task:
    """What to verify. since: a note, and the path that it was read from."""

    where: Calling
    session: Session
    organisation_id: str
    keys: Sequence[str]
    since: tuple[str, Path] | None
    shown: bool


@calling
def log(
    where: Calling,
    log: Annotated[
        str,
        typer.Option(
            metavar="ORG_ID",
            help="The organisation whose log it is, if it is not that of the token. A public log "
            "needs no token.",
        ),
    ] = "",
    key: Annotated[
        list[str] | None,
        typer.Option(
            metavar="VKEY",
            help="The log's verifier key, as its owner publishes it; else the remembered one, or "
            "for the first time the one that the service gives. May be repeated; each key must "
            "have signed.",
        ),
    ] = None,
    since: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="A checkpoint from elsewhere, which the log must extend too."
        ),
    ] = None,
    state_dir: Annotated[
        Path | None,
        typer.Option(
            envvar=STATE_VARIABLE,
            help="Where to remember what was verified; by default in your own state folder.",
        ),
    ] = None,
    *,
    state: Annotated[
        bool, typer.Option(help="Compare with what is remembered of the log, and remember it.")
    ] = True,
    events: Annotated[
        bool,
        typer.Option(help="Hold the events that the service lists against their entries too."),
    ] = True,
) -> None:
    """Verify a whole log: every entry, the tree over them, and that it extends what it was.

    With the organisation's own token, also that each event is shown as its entry says. The exit
    code is 6 when anything does not hold; stderr then names the place.

    Examples:
    smart-audit log verify
    smart-audit log verify --since checkpoint.txt --key log.example.com/0189…+3eebc019+AYqI…
    smart-audit log verify --log 01890a5d-ac96-7ab2-80e2-000000000001
    """
    session = where.authenticated()
    organisation_id = _read_log(log) if log else _own_log(session)
    keys = key or []
    if keys:
        require_keys(keys)
    own = bool(session.access_token) and organisation_of(session.access_token) == organisation_id
    task = _Task(
        where=where,
        session=session,
        organisation_id=organisation_id,
        keys=keys,
        since=None if since is None else (_read_note(since), since),
        shown=events and own,
    )
    memory = Memory(_logs_folder(state_dir)) if state else None
    try:
        remembered = None if memory is None else memory.recall(organisation_id)
        opened, earlier, findings = asyncio.run(_check(task, remembered, notices()))
        _report_faults(opened, findings)
        if memory is not None:
            memory.keep(organisation_id, opened.signed, datetime.now(UTC))
    except MemoryFault as error:
        raise Failure(str(error), ExitCode.INVALID) from error
    path = None if memory is None else memory.path(organisation_id)
    lines = output()
    for line in verdict_lines(Verdict(opened, earlier, findings, path)):
        say(lines, line)


async def _check(
    task: _Task, remembered: Remembered | None, console: Console
) -> tuple[Opened, Sequence[Earlier], Findings]:
    """Raises: VerificationError, CallError."""
    told: list[CallError] = []

    def tell_once(error: CallError) -> None:
        # All the calls that are under way fail together: one sentence is enough.
        if not told:
            tell_trouble(console, _RETRY_FOR_S, error)
        told.append(error)

    async with task.where.connect(
        task.session, retry_for_s=_RETRY_FOR_S, on_trouble=tell_once
    ) as connection:
        files = LogFiles(connection, task.organisation_id)
        opened = await open_log(files, task.organisation_id, task.keys, remembered)
        signed = opened.signed
        earlier = _earlier(task, opened, remembered)
        with progress(console) as bar:
            entries = bar.add_task("entries", total=signed.size)
            events = bar.add_task("events", total=signed.size, visible=task.shown)
            findings = await check_log(
                connection,
                task.organisation_id,
                signed,
                earlier,
                Progress(
                    lambda more: bar.advance(entries, more), lambda more: bar.advance(events, more)
                ),
                shown=task.shown,
            )
    return opened, earlier, findings


def _earlier(task: _Task, opened: Opened, remembered: Remembered | None) -> list[Earlier]:
    """The states that the log has to extend. Raises: VerificationError."""
    found: list[Earlier] = []
    if remembered is not None:
        when = f"the check of {remembered.verified_at:%Y-%m-%d %H:%M:%S} UTC"
        found.append(Earlier(remembered.signed, when))
    if task.since is not None:
        note, path = task.since
        keys = [*opened.signed.verifier_keys, *opened.replaced]
        try:
            found.append(Earlier(read_by_any(note, keys), str(path)))
        except VerificationError as error:
            raise VerificationError(f"{path}: {error}") from error
    return found


def _report_faults(opened: Opened, findings: Findings) -> None:
    """Name the places. Raises: Failure when there is a fault."""
    if not findings.faults:
        return
    console = notices()
    for fault in findings.faults[:_SHOWN_FAULTS]:
        say(console, str(fault))
    if findings.fault_count > _SHOWN_FAULTS:
        say(console, f"and {findings.fault_count - _SHOWN_FAULTS} more")
    count = f"{findings.fault_count} faults" if findings.fault_count > 1 else "1 fault"
    what = f"more than {TOO_MANY} faults" if findings.fault_count > TOO_MANY else count
    raise Failure(
        f"verification failed: {what} in {opened.signed.origin}", ExitCode.VERIFICATION_FAILED
    )


def _own_log(session: Session) -> str:
    """The log of the token's organisation. Raises: Failure."""
    if not session.access_token:
        raise Failure(
            "whose log? Give a token, or the organisation of a public log by --log", ExitCode.USAGE
        )
    return organisation_of(session.access_token)


def _read_log(text: str) -> str:
    """The organisation of a log, which may be written as the log's name too. Raises: Failure."""
    try:
        return str(UUID(text.rpartition("/")[2]))
    except ValueError as error:
        raise Failure(f"--log: {text!r} names no organisation", ExitCode.USAGE) from error


def _read_note(path: Path) -> str:
    """A saved note; who signed it is checked later. Raises: Failure."""
    try:
        return read_input(path, _MAX_NOTE).decode()
    except UnicodeDecodeError as error:
        raise Failure(f"{path} is not a checkpoint", ExitCode.INVALID) from error


def _logs_folder(state_dir: Path | None) -> Path:
    return (state_dir or user_state_path("smart-audit", appauthor=False)) / "logs"
