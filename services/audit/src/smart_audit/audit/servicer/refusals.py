"""Refused calls of audit are events of the caller's log."""

from smart_audit.audit.domain import Actor, Event, EventId, NewEvent, OrganisationId, Outcome
from smart_audit.audit.governance import SOURCE
from smart_audit.audit.repository import Database
from smart_audit.audit.servicer.caller import actor
from smart_audit.audit.use_cases.own_events import Governing
from smart_audit.audit.use_cases.record_events import Deps, record_events
from smart_audit.core.errors import DomainError
from smart_audit.core.rpc.context import Call, current_client


class Refusals:
    """Records refused calls, in the log of the organisation that the token names."""

    def __init__(self, database: Database, deps: Deps, governing: Governing) -> None:
        self._database = database
        self._deps = deps
        self._governing = governing

    async def record(self, call: Call, error: DomainError) -> None:
        """Append the event of a refusal. Raises: Unavailable."""
        if call.caller is None:
            return
        organisation_id = OrganisationId(call.caller.organisation_id)
        new = self._event(organisation_id, actor(), call, error)
        (result,) = await record_events(organisation_id, [new], self._database, self._deps)
        if isinstance(result, DomainError):
            raise result

    def _event(
        self, organisation_id: OrganisationId, by: Actor, call: Call, error: DomainError
    ) -> NewEvent:
        address, user_agent = current_client()
        event = Event(
            id=EventId(self._governing.new_id()),
            organisation_id=organisation_id,
            action=call.action,
            actor=by,
            outcome=Outcome.DENIED,
            occurred_at=self._governing.now(),
            outcome_reason=error.reason,
            source=SOURCE,
            source_address=address,
            user_agent=user_agent,
            metadata={**error.metadata, **call.facts},
        )
        return NewEvent(event, time_given=True, recorded_by=by.id)
