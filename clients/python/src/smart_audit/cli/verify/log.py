"""`smart-audit verify log`: check every claim that the service makes about the caller's log."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from smart_audit.cli.failures import ExitCode, Failure
from smart_audit.cli.options import (
    DEFAULT_ADDRESS,
    AddressOption,
    TokenFileOption,
    read_address,
    read_session,
)
from smart_audit.cli.terminal import notices, output, progress, say, tell_trouble
from smart_audit.client.connection import Connection, Session
from smart_audit.client.errors import CallError
from smart_audit.client.log_check import Findings, LogCheck
from smart_audit.client.verification import SignedCheckpoint
from smart_audit.tlog.note import NoteError, parse

_RETRY_FOR_S = 10.0
_SHOWN_FAULTS = 20


def log(
    address: AddressOption = DEFAULT_ADDRESS,
    token_file: TokenFileOption = None,
    since: Annotated[
        Path | None,
        typer.Option(help="A saved checkpoint; the log must be an extension of it."),
    ] = None,
    save: Annotated[
        Path | None, typer.Option(help="Write the checkpoint here once it is verified.")
    ] = None,
) -> None:
    """Verify the whole log: every event, every proof, and the root over all of them.

    The exit code is 6 when anything does not hold; stderr then names the place.
    """
    console = notices()
    earlier_note = None if since is None else _read_note(since)
    connecting = read_address(address), read_session(token_file)
    signed, findings = asyncio.run(_check(*connecting, earlier_note, console))
    _report_faults(findings, console)
    if save is not None:
        save.write_text(signed.note, encoding="utf-8")
    lines = output()
    say(lines, f"verified {signed.size} entries of {signed.checkpoint.origin}")
    if findings.withheld:
        say(lines, f"withheld {findings.withheld} facts, to which the log still commits")
    if since is not None:
        say(lines, f"extends  {since}")
    say(lines, f"root     {signed.root_text}")
    say(lines, f"key      {signed.verifier_keys[0]}")


async def _check(
    address: str, session: Session, earlier_note: str | None, console: Console
) -> tuple[SignedCheckpoint, Findings]:
    """Raises: VerificationError, CallError."""
    told: list[CallError] = []

    def tell_once(error: CallError) -> None:
        # All the workers' calls fail together: one sentence is enough.
        if not told:
            tell_trouble(console, _RETRY_FOR_S, error)
        told.append(error)

    async with Connection(
        address, session, retry_for_s=_RETRY_FOR_S, on_trouble=tell_once
    ) as connection:
        check = LogCheck(connection)
        signed = await check.checkpoint()
        if earlier_note is not None:
            await check.extends(earlier_note, signed)
        with progress(console) as bar:
            task = bar.add_task("verifying", total=signed.size)
            findings = await check.entries(signed, lambda: bar.advance(task))
    return signed, findings


def _read_note(path: Path) -> str:
    """A saved note; who signed it is checked later.

    Raises: Failure, OSError.
    """
    data = path.read_bytes()
    try:
        parse(data)
    except NoteError as error:
        raise Failure(f"{path} is not a checkpoint: {error}", ExitCode.INVALID) from error
    return data.decode()


def _report_faults(findings: Findings, console: Console) -> None:
    """Name the places. Raises: Failure when there is a fault."""
    faults = findings.faults
    for fault in faults[:_SHOWN_FAULTS]:
        say(console, str(fault))
    if len(faults) > _SHOWN_FAULTS:
        say(console, f"and {len(faults) - _SHOWN_FAULTS} more")
    if faults:
        what = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
        raise Failure(f"verification failed: {what} in the log", ExitCode.VERIFICATION_FAILED)
