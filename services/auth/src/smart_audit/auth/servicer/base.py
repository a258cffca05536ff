"""What the servicers share: who acts, and how a refusal that was returned is raised."""

from collections.abc import Awaitable
from typing import TypeVar
from uuid import UUID

from smart_audit.auth.domain import (
    Acting,
    Client,
    OrganisationId,
    Person,
    SessionId,
    UserId,
)
from smart_audit.auth.use_cases.common import Deps, Work, record_refusal
from smart_audit.core.errors import DomainError
from smart_audit.core.rpc.context import (
    Call,
    caller_if_any,
    current_action,
    current_client,
    current_request_id,
)
from smart_audit.core.tokens import Caller

T = TypeVar("T")


class Servicer:
    """Translates; the use cases decide."""

    def __init__(self, work: Work, deps: Deps) -> None:
        self._work = work
        self._deps = deps

    async def _done(self, use_case: Awaitable[T | DomainError]) -> T:
        """Raise a refusal whose decision has been committed."""
        result = await use_case
        if isinstance(result, DomainError):
            raise result
        return result


class Refusals:
    """Records refused calls of auth that left no trace of their own."""

    def __init__(self, work: Work, deps: Deps) -> None:
        self._work = work
        self._deps = deps

    async def record(self, _call: Call, error: DomainError) -> None:
        """Write the event of a refusal into the outbox."""
        await record_refusal(acting(), error.reason, error.metadata, self._work, self._deps)


def acting() -> Acting:
    """Who does what from where, in the running call."""
    address, user_agent = current_client()
    client = Client(address, user_agent, current_request_id())
    caller = caller_if_any()
    if caller is None:
        return Acting(current_action(), client)
    return Acting(
        action=current_action(),
        client=client,
        person=_person(caller),
        machine_id="" if caller.is_person else caller.subject,
        organisation_id=OrganisationId(caller.organisation_id),
        scopes=caller.scopes,
        amr=caller.amr,
        impersonator_id=caller.impersonator,
        impersonation_reason=caller.impersonation_reason,
    )


def _person(caller: Caller) -> Person | None:
    if not caller.is_person or caller.session_id is None:
        return None
    return Person(UserId(UUID(caller.subject)), SessionId(caller.session_id))
