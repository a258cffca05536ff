"""Checking a whole log: its entries, its tree, its past, and the events that are shown of it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from smart_audit.client.connection import Connection
from smart_audit.client.log.entries import EntryCheck
from smart_audit.client.log.files import LogFiles
from smart_audit.client.log.findings import Findings
from smart_audit.client.log.shown import LeafHashes, ShownCheck
from smart_audit.client.log.trust import Earlier, forked, require_not_rolled_back
from smart_audit.client.verification import SignedCheckpoint


@dataclass(frozen=True, slots=True)
class Progress:
    """Who wants to know how far a check is. Each is told how many more are done."""

    entries: Callable[[int], object]
    events: Callable[[int], object]


async def check_log(
    connection: Connection,
    organisation_id: str,
    signed: SignedCheckpoint,
    earlier: Sequence[Earlier],
    progress: Progress,
    *,
    shown: bool,
) -> Findings:
    """Check a log up to a verified checkpoint, from its entries up.

    earlier: states that it has to extend. shown: whether to hold the events that the service lists
    to the caller against the entries, once these are proven.

    Raises: VerificationError for a log that was rolled back; CallError when the service does not
    answer.
    """
    for one in earlier:
        require_not_rolled_back(one, signed)
    findings = Findings()
    files = LogFiles(connection, organisation_id)
    with LeafHashes() as hashes:
        entries = EntryCheck(files, organisation_id, findings, hashes.append, progress.entries)
        sizes = [signed.size, *(one.signed.size for one in earlier)]
        roots = await entries.roots(signed.size, sizes)
        # What a fault has broken has no root; the fault alone is named.
        if not findings.faults and roots[signed.size] != signed.root:
            findings.add(0, "checkpoint", "the entries make another root than the one signed")
        if not findings.faults:
            for one in earlier:
                if why := forked(one, roots[one.signed.size]):
                    findings.add(0, "checkpoint", why)
        if shown and not findings.faults:
            check = ShownCheck(connection, files, signed.size, hashes, findings, progress.events)
            await check.run()
    findings.faults.sort()
    return findings
