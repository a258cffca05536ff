"""Calls that are remembered by their request ids, and the events that are found for them."""

import asyncio
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import grpc.aio
from google.protobuf.message import Message

from smart_audit.api.audit.v1 import audit_pb2
from smart_audit.auth.domain import INSTALLATION
from tests.support.reflection import Fields, Metadata, Method
from tests.support.tokens import bearer, forged
from tests.support.world import User, World, read_refusal

NOBODY: Metadata = ()
SUCCESS, DENIED = audit_pb2.OUTCOME_SUCCESS, audit_pb2.OUTCOME_DENIED
PAGE = 200


@dataclass(frozen=True)
class Made:
    """A call that was made."""

    method: Method
    outcome: int
    reason: str = ""


@dataclass
class Play:
    """Calls RPCs and remembers them."""

    world: World
    methods: dict[str, Method]
    made: dict[str, Made] = field(default_factory=dict)
    """By request id."""
    logs: set[str] = field(default_factory=lambda: {str(INSTALLATION)})
    """The organisations in whose logs the events may be."""

    async def call(
        self, name: str, request: Fields | Message, by: User | Metadata = NOBODY, log: str = ""
    ) -> Any:
        """Make a call that succeeds."""
        method, metadata, request_id = self._begin(name, by, log)
        answer = await method.call(request, metadata)
        self.made[request_id] = Made(method, SUCCESS)
        return answer

    async def refused(
        self, name: str, request: Fields | Message, by: User | Metadata = NOBODY
    ) -> str:
        """Make a call that is refused; gives the reason."""
        method, metadata, request_id = self._begin(name, by, "")
        try:
            answer = await method.call(request, metadata)
        except grpc.aio.AioRpcError as error:
            reason = read_refusal(error).reason
            self.made[request_id] = Made(method, DENIED, reason)
            return reason
        raise AssertionError(f"{name} was not refused: {answer}")

    def _begin(self, name: str, by: User | Metadata, log: str) -> tuple[Method, Metadata, str]:
        request_id = uuid4().hex
        if isinstance(by, User):
            log, by = log or by.organisation_id, by.metadata
        if log:
            self.logs.add(log)
        return self.methods[name], (*by, ("x-request-id", request_id)), request_id

    async def events(self, reader: User) -> dict[str, list[audit_pb2.Event]]:
        """All events of the logs, by the request id that each carries."""
        await self._until_all_is_told()
        found: dict[str, list[audit_pb2.Event]] = defaultdict(list)
        for log in self.logs:
            for event in await self._log(log, reader):
                found[str(dict(event.metadata).get("request_id", ""))].append(event)
        return found

    async def _log(self, log: str, reader: User) -> list[audit_pb2.Event]:
        token = forged(self.world, reader, org=log, scope="events.read")
        events: list[audit_pb2.Event] = []
        page = ""
        while True:
            request = audit_pb2.ListEventsRequest(page_size=PAGE, page_token=page)
            answer = await self.world.events.ListEvents(request, metadata=bearer(token))
            events += answer.events
            page = answer.next_page_token
            if not page:
                return events

    async def _until_all_is_told(self) -> None:
        async with asyncio.timeout(20):
            while self._waiting():
                await asyncio.sleep(0.05)

    def _waiting(self) -> int:
        with self.world.database.connect() as connection:
            row = connection.execute("SELECT count(*) FROM auth.outbox").fetchone()
        assert row is not None
        return int(row[0])
