"""EventService: from the wire to a use case and back."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from google.api.httpbody_pb2 import HttpBody

from smart_audit.api.audit.v1 import audit_pb2, audit_pb2_grpc
from smart_audit.audit.domain import EventId, NewEvent, OrganisationId, Receipt
from smart_audit.audit.messages.events import from_recorded, to_new_event
from smart_audit.audit.messages.pages import to_listing, to_narrowing, to_page_token
from smart_audit.audit.messages.proofs import (
    from_disclosed,
    from_event_proof,
    from_proven,
    from_read,
    from_receipt,
    from_results,
    to_proof_file,
)
from smart_audit.audit.repository import Database
from smart_audit.audit.servicer.caller import organisation
from smart_audit.audit.use_cases.checkpoint import Checkpointing
from smart_audit.audit.use_cases.read_events import (
    disclose_event,
    get_event,
    get_event_proven,
    list_events,
    prove_events,
)
from smart_audit.audit.use_cases.record_events import Deps, record_events
from smart_audit.core.errors import DomainError
from smart_audit.core.rpc.context import current_caller, reading
from smart_audit.core.rpc.validation import validate

EVENT = "event"
"""The type of the target that an event names that was read."""


class EventServicer(audit_pb2_grpc.EventServiceServicer):
    """Records events and reads them back."""

    def __init__(self, database: Database, deps: Deps, checkpointing: Checkpointing) -> None:
        self._database = database
        self._deps = deps
        self._checkpointing = checkpointing

    async def RecordEvent(self, request: audit_pb2.RecordEventRequest, context: Any) -> Any:
        """Append one event."""
        new = to_new_event(request.event, current_caller())
        organisation_id = new.event.organisation_id
        (result,) = await record_events(organisation_id, [new], self._database, self._deps)
        if isinstance(result, DomainError):
            raise result
        return audit_pb2.RecordEventResponse(receipt=from_receipt(result))

    async def RecordEvents(self, request: audit_pb2.RecordEventsRequest, context: Any) -> Any:
        """Append a batch of events, each with a result of its own."""
        results: list[Receipt | DomainError | None] = [None] * len(request.events)
        by_log: dict[OrganisationId, list[tuple[int, NewEvent]]] = defaultdict(list)
        for number, message in enumerate(request.events):
            try:
                validate(message)
                new = to_new_event(message, current_caller())
                by_log[new.event.organisation_id].append((number, new))
            except DomainError as refusal:
                results[number] = refusal
        for organisation_id, numbered in by_log.items():
            events = [new for _, new in numbered]
            recorded = await record_events(organisation_id, events, self._database, self._deps)
            for (number, _), result in zip(numbered, recorded, strict=True):
                results[number] = result
        return from_results(_complete(results))

    async def GetEvent(self, request: audit_pb2.GetEventRequest, context: Any) -> Any:
        """Return one event and what proves it."""
        event_id = EventId(UUID(request.event_id))
        reading(target=(EVENT, str(event_id)))
        if not request.proof:
            return from_read(await get_event(event_id, organisation(), self._database))
        return from_proven(
            await get_event_proven(event_id, organisation(), self._database, self._checkpointing)
        )

    async def ListEvents(self, request: audit_pb2.ListEventsRequest, context: Any) -> Any:
        """Return a page of events."""
        own = organisation()
        recorded, end = await list_events(to_listing(request, own), own, self._database)
        reading(to_narrowing(request), results=len(recorded))
        answer = audit_pb2.ListEventsResponse(
            events=[from_recorded(one) for one in recorded],
            next_page_token=to_page_token(end, request, own),
        )
        if request.proof:
            proven = await prove_events(recorded, own, self._database, self._checkpointing)
            answer.checkpoint = proven.checkpoint.cosigned_note
            answer.proofs.extend(map(from_event_proof, proven.events, proven.proofs))
        return answer

    async def DiscloseEvent(self, request: audit_pb2.DiscloseEventRequest, context: Any) -> Any:
        """Return an event of which only chosen fields are shown."""
        event_id = EventId(UUID(request.event_id))
        fields = ", ".join(sorted(set(request.fields)))
        reading({"fields": fields}, target=(EVENT, str(event_id)))
        return from_disclosed(
            await disclose_event(
                event_id,
                set(request.fields),
                organisation(),
                self._database,
                self._checkpointing,
            )
        )

    async def GetEventProof(self, request: audit_pb2.GetEventProofRequest, context: Any) -> Any:
        """Return the proof of an event as a file."""
        event_id = EventId(UUID(request.event_id))
        reading(target=(EVENT, str(event_id)))
        proven = await get_event_proven(
            event_id, organisation(), self._database, self._checkpointing
        )
        return HttpBody(
            content_type="text/plain; charset=utf-8", data=to_proof_file(proven).encode()
        )


def _complete(
    results: Sequence[Receipt | DomainError | None],
) -> list[Receipt | DomainError]:
    return [result for result in results if result is not None]
