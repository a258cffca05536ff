"""What proves the log: checkpoints, proofs, and verifying all of it on this machine."""

import os
from collections.abc import AsyncGenerator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import platformdirs

from smart_audit.api.audit.v1 import audit_pb2
from smart_audit.client.caller import Caller
from smart_audit.client.items import items
from smart_audit.client.log.check import Progress, check_log
from smart_audit.client.log.files import LogFiles
from smart_audit.client.log.memory import Memory, Remembered
from smart_audit.client.log.trust import Earlier, Trust, open_log
from smart_audit.client.verification import (
    SignedCheckpoint,
    VerificationError,
    check_answer,
    check_consistency,
    check_event,
    check_inclusion,
    read_by_any,
    read_checkpoint,
)
from smart_audit.client.verified import VerifiedEvent, VerifiedLog, check_receipt

STATE_VARIABLE: Final = "SMART_AUDIT_STATE_DIR"
_PAGE: Final = 500


class AsyncLog:
    """What proves the log: `client.log`."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    async def checkpoint(self, *, cosigned: bool = False) -> SignedCheckpoint:
        """The log's signed state, whose signature was verified by the keys that came with it.

        cosigned: the latest that satisfies the installation's witnesses.
        Raises: VerificationError, CallError.
        """
        request = audit_pb2.GetCheckpointRequest(cosigned=cosigned)
        return check_answer(
            await self._caller.call(self._caller.connection.log.GetCheckpoint, request)
        )

    @items
    async def checkpoints(
        self, *, page_size: int = _PAGE
    ) -> AsyncGenerator[Sequence[audit_pb2.Checkpoint]]:
        """The states that were signed, the latest first, as they are kept. Raises: CallError."""
        request = audit_pb2.ListCheckpointsRequest(page_size=page_size)
        while True:
            page = await self._caller.call(self._caller.connection.log.ListCheckpoints, request)
            yield page.checkpoints
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    async def inclusion(self, event_id: str, tree_size: int = 0) -> audit_pb2.InclusionProof:
        """The path of an event in the tree of a size, of now when 0. Raises: CallError."""
        request = audit_pb2.GetInclusionProofRequest(event_id=event_id, tree_size=tree_size)
        answer = await self._caller.call(self._caller.connection.log.GetInclusionProof, request)
        return answer.proof

    async def consistency(
        self, first_size: int, second_size: int = 0
    ) -> audit_pb2.GetConsistencyProofResponse:
        """What proves that the later tree extends the earlier. Raises: CallError."""
        request = audit_pb2.GetConsistencyProofRequest(
            first_size=first_size, second_size=second_size
        )
        return await self._caller.call(self._caller.connection.log.GetConsistencyProof, request)

    async def check_receipt(self, receipt: audit_pb2.Receipt) -> SignedCheckpoint:
        """Verify that a receipt's leaf is in the log still: in the signed state that is returned.

        Raises: VerificationError, CallError.
        """
        check_receipt(receipt, receipt.event_id)
        signed = await self.checkpoint()
        proof = receipt.proof
        if _log_of(signed) != receipt.organisation_id:
            raise VerificationError(f"the receipt is not of the log {signed.origin}")
        answer = await self.consistency(proof.tree_size, signed.size)
        check_consistency(signed.at(proof.tree_size, proof.root_hash), signed, answer)
        return signed

    async def verify_event(self, event_id: str, keys: Sequence[str] = ()) -> VerifiedEvent:
        """As `client.verify`. Raises: VerificationError, CallError."""
        request = audit_pb2.GetEventRequest(event_id=event_id, proof=True)
        answer = await self._caller.call(self._caller.connection.events.GetEvent, request)
        event = answer.event
        leaf = check_event(answer)
        if event.id != event_id:
            raise VerificationError(f"the service gave the event {event.id} for {event_id}")
        signed, trust = await self._signed(answer.checkpoint, event.organisation_id, keys)
        check_inclusion(leaf, event.log_index, answer.inclusion_proof, signed)
        return VerifiedEvent(event, signed, trust, leaf.withheld)

    async def _signed(
        self, note: str, organisation_id: str, keys: Sequence[str]
    ) -> tuple[SignedCheckpoint, Trust]:
        """Raises: VerificationError, MemoryFault, CallError."""
        if keys:
            signed, trust = read_checkpoint(note, *keys), Trust.GIVEN
        elif remembered := _memory().recall(organisation_id):
            signed, trust = read_by_any(note, remembered.signed.verifier_keys), Trust.REMEMBERED
        else:
            files = LogFiles(self._caller.connection, organisation_id)
            signed, trust = read_by_any(note, await files.keys()), Trust.FIRST_USE
        if _log_of(signed) != organisation_id:
            raise VerificationError(f"the checkpoint is of another log, {signed.origin}")
        return signed, trust

    async def verify(
        self, keys: Sequence[str] = (), *, events: bool = True, remember: bool = True
    ) -> VerifiedLog:
        """Verify the whole log: every entry, the tree over them, and that it extends what it was.

        keys: as for `client.verify`. events: hold each event that the service lists against its
        entry, too. remember: compare with the state that this machine verified last, and keep this
        one, as `smart-audit log verify` does.
        Raises: VerificationError, MemoryFault, CallError.
        """
        connection = self._caller.connection
        organisation_id = _log_of(await self.checkpoint())
        remembered = _memory().recall(organisation_id) if remember else None
        opened = await open_log(
            LogFiles(connection, organisation_id), organisation_id, keys, remembered
        )
        earlier = _earlier(remembered)
        findings = await check_log(
            connection, organisation_id, opened.signed, earlier, _quiet(), shown=events
        )
        if findings.faults:
            raise VerificationError("; ".join(map(str, findings.faults)))
        if remember:
            _memory().keep(organisation_id, opened.signed, datetime.now(UTC))
        return VerifiedLog(opened, findings, [one.signed.size for one in earlier])


def _earlier(remembered: Remembered | None) -> list[Earlier]:
    if remembered is None:
        return []
    when = f"the check of {remembered.verified_at:%Y-%m-%d %H:%M:%S} UTC"
    return [Earlier(remembered.signed, when)]


def _quiet() -> Progress:
    return Progress(lambda _more: None, lambda _more: None)


def _log_of(signed: SignedCheckpoint) -> str:
    """The organisation in a log's name."""
    return signed.origin.rpartition("/")[2]


def _memory() -> Memory:
    named = os.environ.get(STATE_VARIABLE, "")
    folder = Path(named) if named else platformdirs.user_state_path("smart-audit", appauthor=False)
    return Memory(folder / "logs")
