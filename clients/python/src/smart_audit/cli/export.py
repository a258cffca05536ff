"""`smart-audit export`: take events out of the log, with what proves them."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from enum import StrEnum
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
from smart_audit.client.evidence.bundle import write_bundle
from smart_audit.client.evidence.fetch import (
    Hits,
    NotCosigned,
    NothingFound,
    Wanted,
    fetch_hits,
    fetch_material,
)
from smart_audit.client.evidence.lines import EvidenceError
from smart_audit.client.evidence.manifest import DISCLOSE_ALL, Manifest
from smart_audit.tlog.cosignature import CosignatureVerifier
from smart_audit.tlog.note import NoteError

DISCLOSE_NONE = "none"
_RETRY_FOR_S = 10.0


class Outcome(StrEnum):
    """How an attempt ended."""

    SUCCESS = "success"
    FAILURE = "failure"
    DENIED = "denied"


def evidence(
    occurred_from: Annotated[
        str, typer.Option("--from", metavar="TIME", help="The first moment, e.g. 2026-01-31.")
    ],
    occurred_before: Annotated[
        str, typer.Option("--to", metavar="TIME", help="The first moment after the period.")
    ],
    out: Annotated[Path, typer.Option(metavar="FILE", help="The bundle to write, a zip.")],
    actor: Annotated[str, typer.Option(metavar="ID", help="Only events of this actor.")] = "",
    action: Annotated[str, typer.Option(help="Only events with this action.")] = "",
    target: Annotated[str, typer.Option(metavar="ID", help="Only events with this target.")] = "",
    outcome: Annotated[Outcome | None, typer.Option(help="Only events that ended so.")] = None,
    disclose: Annotated[
        str,
        typer.Option(
            metavar="FIELDS",
            help="The personal and bulky fields to show: all, none, or paths with commas between, "
            "e.g. actor.name,targets.*.name. The others stay hidden behind their digests.",
        ),
    ] = DISCLOSE_ALL,
    witness: Annotated[
        list[str] | None,
        typer.Option(
            metavar="VKEY",
            help="The verifier key of a witness that must have cosigned. May be repeated.",
        ),
    ] = None,
    address: AddressOption = DEFAULT_ADDRESS,
    token_file: TokenFileOption = None,
) -> None:
    """Write a bundle of the events of a period, which anybody can verify without the service.

    Times are UTC unless they say otherwise. Between the first and the last of the events no entry
    of the log is left out: those that do not match stand there as hashes.
    """
    wanted = Wanted(
        occurred_from=read_time(occurred_from, "--from"),
        occurred_before=read_time(occurred_before, "--to"),
        actor_id=actor,
        action=action,
        target_id=target,
        outcome=outcome.value if outcome else "",
        disclose=read_disclose(disclose),
        witnesses=read_witnesses(witness or ()),
    )
    if wanted.occurred_from >= wanted.occurred_before:
        raise Failure("--from is not before --to", ExitCode.USAGE)
    if not out.parent.is_dir():
        raise Failure(f"--out: {out.parent} is not a directory", ExitCode.USAGE)
    connecting = read_address(address), read_session(token_file)
    try:
        manifest = asyncio.run(_export(wanted, out, *connecting, notices()))
    except NothingFound as error:
        raise Failure(f"{error}: nothing is written", ExitCode.NOT_FOUND) from error
    except NotCosigned as error:
        raise Failure(str(error)) from error
    except EvidenceError as error:
        raise Failure(f"verification failed: {error}", ExitCode.VERIFICATION_FAILED) from error
    _tell(manifest, out)


async def _export(
    wanted: Wanted, out: Path, address: str, session: Session, console: Console
) -> Manifest:
    """Raises: NothingFound, NotCosigned, EvidenceError, VerificationError, CallError, OSError."""
    told: list[CallError] = []

    def tell_once(error: CallError) -> None:
        # The calls that run side by side fail together: one sentence is enough.
        if not told:
            tell_trouble(console, _RETRY_FOR_S, error)
        told.append(error)

    with Hits() as hits, progress(console) as bar:
        async with Connection(
            address, session, retry_for_s=_RETRY_FOR_S, on_trouble=tell_once
        ) as connection:
            listing = bar.add_task("listing", total=None)
            await fetch_hits(connection, wanted, hits, lambda more: bar.advance(listing, more))
            bar.update(listing, total=len(hits))
            hashing = bar.add_task("hashes", total=None)
            material = await fetch_material(
                connection,
                wanted,
                hits,
                datetime.now(UTC),
                lambda done, total: bar.update(hashing, completed=done, total=total),
            )
        writing = bar.add_task("writing", total=len(hits))
        return write_bundle(out, material, hits, lambda: bar.advance(writing))


def _tell(manifest: Manifest, out: Path) -> None:
    counts = manifest.counts
    lines = output()
    say(lines, f"wrote    {out}")
    say(lines, f"events   {counts.events}, at entries {manifest.begin} to {manifest.end - 1}")
    say(lines, f"withheld {counts.withheld_leaves} entries and {counts.withheld} fields")
    if counts.unavailable:
        say(lines, f"erased   {counts.unavailable} fields, or not handed out")
    say(lines, f"root     {manifest.root} of {manifest.size} entries")


def read_time(text: str, option: str) -> datetime:
    """A time as in 2026-01-31 or 2026-01-31T12:30:00+01:00, UTC when it names no zone.

    Raises: Failure.
    """
    try:
        time = datetime.fromisoformat(text)
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        sentence = f"{option}: {text!r} is not a time; write e.g. 2026-01-31"
        raise Failure(sentence, ExitCode.USAGE) from error


def read_witnesses(keys: Sequence[str]) -> tuple[str, ...]:
    """Verifier keys of witnesses. Raises: Failure."""
    try:
        for key in keys:
            CosignatureVerifier.parse(key)
    except NoteError as error:
        raise Failure(f"--witness: {error}", ExitCode.USAGE) from error
    return tuple(dict.fromkeys(keys))


def read_disclose(text: str) -> str | Sequence[str]:
    """What `entries.chosen` takes. Raises: Failure."""
    if text == DISCLOSE_ALL:
        return text
    if text == DISCLOSE_NONE:
        return ()
    paths = [path.strip() for path in text.split(",")]
    if not all(paths) or {DISCLOSE_ALL, DISCLOSE_NONE} & set(paths):
        raise Failure("--disclose is all, none, or paths with commas between", ExitCode.USAGE)
    return tuple(paths)
