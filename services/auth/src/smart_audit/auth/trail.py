"""Reads what auth has recorded of a user: out of audit, which alone keeps it."""

from datetime import timedelta

import grpc
import grpc.aio

from smart_audit.api.audit.v1 import audit_pb2, audit_pb2_grpc
from smart_audit.auth.domain import OrganisationId, UserId
from smart_audit.auth.keys import AccessClaims, TokenIssuer
from smart_audit.auth.messages.events import SOURCE
from smart_audit.auth.messages.pages import bad_page_token
from smart_audit.core.errors import Unavailable

SUBJECT = "service:auth"
SCOPES = ("events.read",)
TOKEN_LIFETIME = timedelta(minutes=1)
DEADLINE_S = 10
MOST_PAGES = 5

Page = tuple[list[audit_pb2.Event], str]


class Trail:
    """Reads one organisation's log at a time, with a token for that organisation alone."""

    def __init__(self, issuer: TokenIssuer, channel: grpc.aio.Channel) -> None:
        self._issuer = issuer
        self._audit = audit_pb2_grpc.EventServiceStub(channel)

    async def page(
        self,
        user_id: UserId,
        log: OrganisationId,
        *,
        done_to: bool,
        size: int,
        token: str,
    ) -> Page:
        """Events that auth recorded of a user, and audit's token of the next page.

        What products recorded is none of an administrator's business and is left out, so a page
        may be short; one that is empty is followed a few pages further. Raises: PageTokenInvalid,
        Unavailable.
        """
        request = audit_pb2.ListEventsRequest(page_size=size, page_token=token)
        if done_to:
            request.target_id = str(user_id)
        else:
            request.actor_id = str(user_id)
        metadata = await self._metadata(log)
        events: list[audit_pb2.Event] = []
        for _ in range(MOST_PAGES):
            answer = await self._read(request, metadata)
            events = [event for event in answer.events if event.source == SOURCE]
            request.page_token = answer.next_page_token
            if events or not request.page_token:
                break
        return events, request.page_token

    async def _read(
        self, request: audit_pb2.ListEventsRequest, metadata: tuple[tuple[str, str], ...]
    ) -> audit_pb2.ListEventsResponse:
        try:
            answer: audit_pb2.ListEventsResponse = await self._audit.ListEvents(
                request, metadata=metadata, timeout=DEADLINE_S
            )
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.INVALID_ARGUMENT:
                raise bad_page_token("is not a page token; start again without one") from error
            raise Unavailable("audit does not answer; retry") from error
        return answer

    async def _metadata(self, log: OrganisationId) -> tuple[tuple[str, str], ...]:
        token = await self._issuer.issue(AccessClaims(SUBJECT, log, SCOPES), TOKEN_LIFETIME)
        return (("authorization", f"Bearer {token}"),)
