"""Holding every event that the service lists against its entry.

A page of events brings their leaves and disclosures along, so a log takes few calls. Each leaf has
to have the hash that the entry has, whose place in the tree has been verified before; the event has
to say what leaf and disclosures say; and each entry has to be listed, once.
"""

import tempfile
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Final, Self

from smart_audit.api.audit.v1 import audit_pb2
from smart_audit.client.connection import Connection
from smart_audit.client.errors import CallError
from smart_audit.client.log.files import Expired, FileFault, LogFiles, is_fault, named_entry
from smart_audit.client.log.findings import Findings
from smart_audit.client.verification import VerificationError, check_shown
from smart_audit.tlog.hashing import HASH_SIZE
from smart_audit.tlog.tiles import TILE_WIDTH

PAGE_SIZE: Final = 500


class LeafHashes:
    """The leaf hashes of a log by index, in a temporary file: 32 bytes each."""

    def __init__(self) -> None:
        # Closed by __exit__.
        self._file = tempfile.TemporaryFile()  # noqa: SIM115

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    def append(self, hashes: Iterable[bytes]) -> None:
        """Keep the hashes of the next entries."""
        self._file.write(b"".join(hashes))

    def __getitem__(self, index: int) -> bytes:
        self._file.seek(index * HASH_SIZE)
        return self._file.read(HASH_SIZE)


class ShownCheck:
    """Checks the events that the service lists, against the first `size` entries.

    hashes: the leaf hashes of these entries. on_events: told how many events a page has.
    """

    def __init__(
        self,
        connection: Connection,
        files: LogFiles,
        size: int,
        hashes: LeafHashes,
        findings: Findings,
        on_events: Callable[[int], object],
    ) -> None:
        self._connection = connection
        self._files = files
        self._size = size
        self._hashes = hashes
        self._findings = findings
        self._on_events = on_events
        self._seen = bytearray(-(-size // 8))
        self._count = 0

    async def run(self) -> None:
        """Check all of them.

        Raises: CallError when the service does not answer.
        """
        try:
            if await self._pages():
                await self._require_all()
        except CallError as error:
            if not is_fault(error):
                raise
            place = named_entry(error)
            if place is None:
                self._findings.add(self._size, "the listing", str(error))
            else:
                self._findings.add_entry(place, str(error))
        self._findings.events = self._count

    async def _pages(self) -> bool:
        """Whether the listing could be read to its end."""
        request = audit_pb2.ListEventsRequest(page_size=PAGE_SIZE, proof=True)
        while True:
            page = await self._connection.call(self._connection.events.ListEvents, request)
            if len(page.proofs) != len(page.events):
                self._findings.add(self._size, "the listing", "not each event comes with its leaf")
                return False
            for event, proof in zip(page.events, page.proofs, strict=True):
                self._check(event, proof)
            self._on_events(len(page.events))
            if not page.next_page_token:
                return True
            request.page_token = page.next_page_token

    def _check(self, event: audit_pb2.Event, proof: audit_pb2.EventProof) -> None:
        index = event.log_index
        if not 0 <= index < self._size:
            # It was recorded after the checkpoint; the next check will look at it.
            return
        if self._mark(index):
            self._findings.add_entry(index, "it is listed twice")
            return
        try:
            leaf = check_shown(event, proof.leaf, proof.disclosures)
        except VerificationError as error:
            self._findings.add_entry(index, f"event {event.id}: {error}")
            return
        if leaf.hash != self._hashes[index]:
            why = "the listing shows another event than the entry holds"
            self._findings.add_entry(index, f"event {event.id}: {why}")
        self._count += 1
        self._findings.withheld += leaf.withheld

    def _mark(self, index: int) -> bool:
        """Remember that an entry was listed. Gives whether it was before."""
        before = self._is_seen(index)
        self._seen[index >> 3] |= 1 << (index & 7)
        return before

    async def _require_all(self) -> None:
        """Every entry is listed but those that have expired, which are counted here one by one."""
        self._findings.expired = 0
        for first in range(0, self._size, TILE_WIDTH):
            bundle = range(first, min(first + TILE_WIDTH, self._size))
            missing = [index for index in bundle if not self._is_seen(index)]
            if not missing:
                continue
            if await self._is_expired(first // TILE_WIDTH, len(bundle)):
                self._findings.expired += len(missing)
                continue
            for index in missing:
                self._findings.add_entry(index, "no event is listed for it")

    async def _is_expired(self, bundle: int, width: int) -> bool:
        """Whether retention has removed content of a bundle, by now."""
        if bundle not in self._findings.expired_bundles:
            try:
                await self._files.bundle(bundle, width)
            except Expired:
                self._findings.expired_bundles.add(bundle)
            except FileFault:
                return False
        return bundle in self._findings.expired_bundles

    def _is_seen(self, index: int) -> bool:
        return bool(self._seen[index >> 3] & 1 << (index & 7))
