"""`smart-audit events evidence`: take events out of the log, with what proves them."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from smart_audit.cli.calling import Calling, calling
from smart_audit.cli.events.outcome import Outcome
from smart_audit.cli.failures import ExitCode, Failure
from smart_audit.cli.options import FromOption, ToOption, read_time
from smart_audit.cli.terminal import notices, output, progress, say, tell_trouble
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


@calling
def evidence(
    where: Calling,
    occurred_from: FromOption,
    occurred_before: ToOption,
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
) -> None:
    """Write a bundle of the events of a period, which anybody can verify without the service.

    Times are UTC unless they say otherwise. Between the first and the last of the events no entry
    of the log is left out: those that do not match stand there as hashes.

    Examples:
    smart-audit events evidence --from 2026-01-01 --to 2026-02-01 --out january.zip
    smart-audit events evidence --from 2026-01-01 --to 2027-01-01 --actor u_17 --out u_17.zip
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
    where.require_known()
    try:
        manifest = asyncio.run(_export(wanted, out, where, notices()))
    except NothingFound as error:
        raise Failure(f"{error}: nothing is written", ExitCode.NOT_FOUND) from error
    except NotCosigned as error:
        raise Failure(str(error)) from error
    except EvidenceError as error:
        raise Failure(f"verification failed: {error}", ExitCode.VERIFICATION_FAILED) from error
    _tell(manifest, out)


async def _export(wanted: Wanted, out: Path, where: Calling, console: Console) -> Manifest:
    """Raises: NothingFound, NotCosigned, EvidenceError, VerificationError, CallError, OSError."""
    told: list[CallError] = []

    def tell_once(error: CallError) -> None:
        # The calls that run side by side fail together: one sentence is enough.
        if not told:
            tell_trouble(console, _RETRY_FOR_S, error)
        told.append(error)

    with Hits() as hits, progress(console) as bar:
        async with where.connect(
            where.session(), retry_for_s=_RETRY_FOR_S, on_trouble=tell_once
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
