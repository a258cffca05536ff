"""Checking a whole log through its API: every event, every proof, and the root over all of them."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final

import grpc

from smart_audit.api.audit.v1 import audit_pb2
from smart_audit.client.connection import Connection
from smart_audit.client.errors import CallError
from smart_audit.client.verification import (
    SignedCheckpoint,
    VerificationError,
    check_answer,
    check_consistency,
    check_event,
    check_inclusion,
    read_checkpoint,
)
from smart_audit.tlog.append import grow
from smart_audit.tlog.compact import CompactRange

WORKERS: Final = 32
PAGE_SIZE: Final = 500

# Answers that say something about the entry rather than about the connection or the caller: it is
# damaged, it is gone, or the service breaks down over it. In each case it is not proven.
_ENTRY_FAULTS: Final = frozenset(
    {grpc.StatusCode.DATA_LOSS, grpc.StatusCode.NOT_FOUND, grpc.StatusCode.INTERNAL}
)


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that does not hold. Place and id are None when it concerns the whole log."""

    why: str
    log_index: int | None = None
    event_id: str | None = None

    def __str__(self) -> str:
        """One line that names the place."""
        if self.log_index is None:
            return self.why
        id_ = f", event {self.event_id}" if self.event_id else ""
        return f"log index {self.log_index}{id_}: {self.why}"


@dataclass(slots=True)
class Findings:
    """What a check found. withheld: facts that the log commits to and nobody can read any more."""

    faults: list[Fault] = field(default_factory=list)
    withheld: int = 0


@dataclass(frozen=True, slots=True)
class _Listed:
    """What the listing shows of one event."""

    event_id: str
    digest: bytes


class LogCheck:
    """Checks the log of a connection's session."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def checkpoint(self) -> SignedCheckpoint:
        """The log's state, its signature verified.

        Raises: VerificationError, CallError.
        """
        request = audit_pb2.GetCheckpointRequest()
        return check_answer(
            await self._connection.call(self._connection.log.GetCheckpoint, request)
        )

    async def extends(self, earlier_note: str, signed: SignedCheckpoint) -> SignedCheckpoint:
        """Verify that the log extends an earlier checkpoint, which is returned.

        Raises: VerificationError, CallError.
        """
        earlier = read_checkpoint(earlier_note, *signed.verifier_keys)
        if earlier.size > signed.size:
            raise VerificationError(
                f"the log had {earlier.size} entries and now has {signed.size}: its end was cut off"
            )
        # Every log extends the empty one; there is no proof for that.
        if earlier.size:
            request = audit_pb2.GetConsistencyProofRequest(
                first_size=earlier.size, second_size=signed.size
            )
            proof = await self._connection.call(self._connection.log.GetConsistencyProof, request)
            check_consistency(earlier, signed, proof)
        return earlier

    async def entries(self, signed: SignedCheckpoint, on_entry: Callable[[], None]) -> Findings:
        """Check every entry that the checkpoint covers, and recompute the root from all of them.

        on_entry: called after each entry.

        Raises: CallError when the service does not answer.
        """
        findings = Findings()
        listed: dict[int, _Listed] = {}
        try:
            listed = await self._listed(signed.size, findings)
        except CallError as error:
            if error.code is not grpc.StatusCode.DATA_LOSS:
                raise
            findings.faults.append(_fault_of(error))
        if findings.faults:
            # A hole in the log breaks the proofs of its neighbours too: it alone is named.
            return findings
        hashes = [b""] * signed.size
        todo = iter(range(signed.size))

        async def work() -> None:
            for index in todo:
                hashes[index] = await self._entry(index, listed[index], signed, findings)
                on_entry()

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(WORKERS):
                    group.create_task(work())
        except ExceptionGroup as failed:
            # One call has failed for good and has ended the others: it alone is the reason.
            raise failed.exceptions[0] from failed
        findings.faults.sort(key=lambda fault: fault.log_index or 0)
        if not findings.faults and grow(CompactRange.empty(), hashes).root != signed.root:
            findings.faults.append(Fault("the entries do not make the root that is signed"))
        return findings

    async def _listed(self, size: int, findings: Findings) -> dict[int, _Listed]:
        """What the listing shows, by log index; events behind the checkpoint are left out.

        Raises: CallError.
        """
        listed: dict[int, _Listed] = {}
        request = audit_pb2.ListEventsRequest(page_size=PAGE_SIZE)
        while True:
            page = await self._connection.call(self._connection.events.ListEvents, request)
            for event in page.events:
                if event.log_index in listed:
                    findings.faults.append(Fault("is listed twice", event.log_index, event.id))
                elif event.log_index < size:
                    listed[event.log_index] = _Listed(event.id, _digest(event))
            if not page.next_page_token:
                break
            request.page_token = page.next_page_token
        for index in range(size):
            if index not in listed:
                findings.faults.append(Fault("no event is listed for this entry", index))
        return listed

    async def _entry(
        self, index: int, shown: _Listed, signed: SignedCheckpoint, findings: Findings
    ) -> bytes:
        """The verified leaf hash of one entry; empty, with a fault noted, when it has none."""
        try:
            return await self._verified(index, shown, signed, findings)
        except VerificationError as error:
            findings.faults.append(Fault(str(error), index, shown.event_id))
        except CallError as error:
            if error.may_pass or error.code not in _ENTRY_FAULTS:
                raise
            findings.faults.append(Fault(str(error), index, shown.event_id))
        return b""

    async def _verified(
        self, index: int, shown: _Listed, signed: SignedCheckpoint, findings: Findings
    ) -> bytes:
        """Raises: VerificationError, CallError."""
        call, events, log = self._connection.call, self._connection.events, self._connection.log
        answer = await call(events.GetEvent, audit_pb2.GetEventRequest(event_id=shown.event_id))
        if (answer.event.log_index, answer.event.id) != (index, shown.event_id):
            raise VerificationError("another event came back under this id")
        if _digest(answer.event) != shown.digest:
            raise VerificationError("the listing shows another event than the entry holds")
        leaf = check_event(answer)
        request = audit_pb2.GetInclusionProofRequest(log_index=index, tree_size=signed.size)
        proof = await call(log.GetInclusionProof, request)
        check_inclusion(leaf, index, proof.proof, signed)
        findings.withheld += leaf.withheld
        return leaf.hash


def _digest(event: audit_pb2.Event) -> bytes:
    """32 bytes that two equal events share: a whole log of events would not fit into memory."""
    return sha256(event.SerializeToString(deterministic=True)).digest()


def _fault_of(error: CallError) -> Fault:
    index = error.metadata.get("log_index", "")
    place = int(index) if index.isdecimal() else None
    return Fault(str(error), place, error.metadata.get("event_id"))
