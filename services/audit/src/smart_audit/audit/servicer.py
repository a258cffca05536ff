"""EventService and LogService: from the wire to a use case and back."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from smart_audit.api.audit.v1 import audit_pb2, audit_pb2_grpc
from smart_audit.audit import messages
from smart_audit.audit.checkpoints import CheckpointSigner
from smart_audit.audit.domain import EventId, NewEvent, OrganisationId, Receipt
from smart_audit.audit.repository import Database
from smart_audit.audit.use_cases.prove import get_head, prove_consistency, prove_inclusion
from smart_audit.audit.use_cases.read_events import get_event, list_events
from smart_audit.audit.use_cases.record_events import Deps, record_events
from smart_audit.core.errors import DomainError
from smart_audit.core.rpc.context import current_caller
from smart_audit.core.rpc.validation import validate


class EventServicer(audit_pb2_grpc.EventServiceServicer):
    """Records events and reads them back."""

    def __init__(self, database: Database, deps: Deps) -> None:
        self._database = database
        self._deps = deps

    async def RecordEvent(self, request: audit_pb2.RecordEventRequest, context: Any) -> Any:
        """Append one event."""
        new = messages.to_new_event(request.event, current_caller())
        organisation_id = new.event.organisation_id
        (result,) = await record_events(organisation_id, [new], self._database, self._deps)
        if isinstance(result, DomainError):
            raise result
        return audit_pb2.RecordEventResponse(receipt=messages.from_receipt(result))

    async def RecordEvents(self, request: audit_pb2.RecordEventsRequest, context: Any) -> Any:
        """Append a batch of events, each with a result of its own."""
        results: list[Receipt | DomainError | None] = [None] * len(request.events)
        by_log: dict[OrganisationId, list[tuple[int, NewEvent]]] = defaultdict(list)
        for number, message in enumerate(request.events):
            try:
                validate(message)
                new = messages.to_new_event(message, current_caller())
                by_log[new.event.organisation_id].append((number, new))
            except DomainError as refusal:
                results[number] = refusal
        for organisation_id, numbered in by_log.items():
            events = [new for _, new in numbered]
            recorded = await record_events(organisation_id, events, self._database, self._deps)
            for (number, _), result in zip(numbered, recorded, strict=True):
                results[number] = result
        return audit_pb2.RecordEventsResponse(
            results=[messages.from_result(result) for result in _complete(results)]
        )

    async def GetEvent(self, request: audit_pb2.GetEventRequest, context: Any) -> Any:
        """Return one event and what proves it."""
        event_id = EventId(UUID(request.event_id))
        recorded = await get_event(event_id, _organisation(), self._database)
        return messages.from_recorded_with_leaf(recorded)

    async def ListEvents(self, request: audit_pb2.ListEventsRequest, context: Any) -> Any:
        """Return a page of events."""
        recorded, end = await list_events(
            messages.to_filter(request),
            messages.to_position(request),
            messages.to_page_size(request),
            _organisation(),
            self._database,
        )
        return audit_pb2.ListEventsResponse(
            events=[messages.from_recorded(one) for one in recorded],
            next_page_token=messages.to_page_token(end, request),
        )


class LogServicer(audit_pb2_grpc.LogServiceServicer):
    """Proves what the log holds."""

    def __init__(self, database: Database, signer: CheckpointSigner) -> None:
        self._database = database
        self._signer = signer

    async def GetCheckpoint(self, request: audit_pb2.GetCheckpointRequest, context: Any) -> Any:
        """Return the signed state of the log."""
        head = await get_head(_organisation(), self._database)
        return messages.from_checkpoint(self._signer.sign(_organisation(), head))

    async def GetInclusionProof(
        self, request: audit_pb2.GetInclusionProofRequest, context: Any
    ) -> Any:
        """Prove that an event is in a tree."""
        leaf = EventId(UUID(request.event_id)) if request.event_id else request.log_index
        proof = await prove_inclusion(_organisation(), leaf, request.tree_size, self._database)
        return audit_pb2.GetInclusionProofResponse(proof=messages.from_inclusion(proof))

    async def GetConsistencyProof(
        self, request: audit_pb2.GetConsistencyProofRequest, context: Any
    ) -> Any:
        """Prove that a tree extends an earlier one."""
        proof = await prove_consistency(
            _organisation(), request.first_size, request.second_size, self._database
        )
        return messages.from_consistency(proof)


def _organisation() -> OrganisationId:
    return OrganisationId(current_caller().organisation_id)


def _complete(
    results: Sequence[Receipt | DomainError | None],
) -> list[Receipt | DomainError]:
    return [result for result in results if result is not None]
