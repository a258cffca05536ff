"""Recording and reading events."""

from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import aclosing
from datetime import datetime
from pathlib import Path
from typing import Unpack

from smart_audit.api.audit.v1 import audit_pb2, exports_pb2, search_pb2, tail_pb2
from smart_audit.client.batches import batches
from smart_audit.client.caller import Caller
from smart_audit.client.connection import ignore_trouble
from smart_audit.client.events import Actor, EventFields, new_event, timestamp
from smart_audit.client.export import write_export
from smart_audit.client.items import items
from smart_audit.client.tail import tail
from smart_audit.client.verified import check_receipt

_PAGE: int = 500


class AsyncEvents:
    """Recording and reading events: `client.events`."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    async def record(
        self, action: str, actor: Actor, **fields: Unpack[EventFields]
    ) -> audit_pb2.Receipt:
        """Record an event; when this returns it is durable, in the log and provable.

        It is repeated while the service is away, and recorded once: it has an id from the start,
        a UUIDv7 unless one is given.
        Raises: CallError; TypeError or ValueError for what makes no event.
        """
        return await self.send(new_event(action, actor, **fields))

    async def send(self, event: audit_pb2.Event) -> audit_pb2.Receipt:
        """Record an event that was made before, by `new_event`. Raises: CallError."""
        answer = await self._caller.call(
            self._caller.connection.events.RecordEvent, audit_pb2.RecordEventRequest(event=event)
        )
        if self._caller.check_receipts:
            check_receipt(answer.receipt, event.id)
        return answer.receipt

    async def send_all(self, events: Iterable[audit_pb2.Event]) -> list[audit_pb2.RecordResult]:
        """Record many events in their order, in as few calls as may be.

        Each has a result of its own, a receipt or a refusal.
        Raises: CallError; what was sent before it is recorded, and may be sent again.
        """
        results: list[audit_pb2.RecordResult] = []
        for batch in batches(events, audit_pb2.Event.ByteSize):
            answer = await self._caller.call(
                self._caller.connection.events.RecordEvents,
                audit_pb2.RecordEventsRequest(events=batch),
            )
            if self._caller.check_receipts:
                for event, result in zip(batch, answer.results, strict=True):
                    if result.HasField("receipt"):
                        check_receipt(result.receipt, event.id)
            results += answer.results
        return results

    async def get(self, event_id: str) -> audit_pb2.Event:
        """One event; `client.verify` proves it too. Raises: NotFound, CallError."""
        request = audit_pb2.GetEventRequest(event_id=event_id)
        return (await self._caller.call(self._caller.connection.events.GetEvent, request)).event

    async def proof(self, event_id: str) -> str:
        """The event's proof as a file (C2SP tlog-proof), which verifies offline.

        Raises: NotFound, CallError.
        """
        request = audit_pb2.GetEventProofRequest(event_id=event_id)
        answer = await self._caller.call(self._caller.connection.events.GetEventProof, request)
        return str(answer.data, "utf-8")

    async def disclose(
        self, event_id: str, fields: Iterable[str] = ()
    ) -> audit_pb2.DiscloseEventResponse:
        """An event of which only these personal and bulky fields are shown, and its proof.

        Raises: NotFound, CallError.
        """
        request = audit_pb2.DiscloseEventRequest(event_id=event_id, fields=fields)
        return await self._caller.call(self._caller.connection.events.DiscloseEvent, request)

    @items
    async def list(
        self,
        filter: str = "",  # noqa: A002
        *,
        oldest_first: bool = False,
        page_size: int = _PAGE,
    ) -> AsyncGenerator[Sequence[audit_pb2.Event]]:
        """The events that a filter asks for (docs/filters.md), the latest first.

        Pages are fetched as they are needed. Raises: InvalidArgument, CallError.
        """
        request = audit_pb2.ListEventsRequest(
            filter=filter,
            order_by="occurred_at" if oldest_first else "",
            page_size=page_size,
        )
        while True:
            page = await self._caller.call(self._caller.connection.events.ListEvents, request)
            yield page.events
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    @items
    async def search(
        self,
        query: str,
        filter: str = "",  # noqa: A002
        *,
        time_zone: str = "",
        literal: bool = False,
        grouped: bool = False,
        page_size: int = 50,
    ) -> AsyncGenerator[Sequence[search_pb2.SearchHit]]:
        """The events that plain words ask for, the best first; `hit.why` says why.

        time_zone: in which "today" is meant. literal: take the words as they are. grouped: one hit
        for each kind of event. Raises: InvalidArgument, CallError.
        """
        request = search_pb2.SearchEventsRequest(
            query=query,
            filter=filter,
            time_zone=time_zone,
            literal=literal,
            grouping=search_pb2.GROUPING_KIND if grouped else search_pb2.GROUPING_NONE,
            page_size=page_size,
        )
        while True:
            page = await self._caller.call(self._caller.connection.search.SearchEvents, request)
            yield page.hits
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    @items
    async def tail(
        self,
        filter: str = "",  # noqa: A002
        *,
        from_start: bool = False,
        since: datetime | None = None,
    ) -> AsyncGenerator[Sequence[audit_pb2.Event]]:
        """Events as they are recorded, in the order of the log, without end.

        It begins with what is recorded from now on, goes on past every break on the way, and gives
        each event once as long as it lives. Raises: CallError when it cannot go on.
        """
        request = tail_pb2.TailEventsRequest(filter=filter)
        if from_start:
            request.from_start = True
        elif since is not None:
            request.since.CopyFrom(timestamp(since))
        async with aclosing(tail(self._caller.connection, request)) as records:
            async for record in records:
                if record.HasField("events"):
                    yield record.events.events

    @items
    async def tail_records(
        self, request: tail_pb2.TailEventsRequest
    ) -> AsyncGenerator[Sequence[tail_pb2.TailEventsResponse]]:
        """As `tail`, with heartbeats, and with the cursors to go on from in another process.

        Raises: CallError when it cannot go on.
        """
        async with aclosing(tail(self._caller.connection, request, ignore_trouble)) as records:
            async for record in records:
                yield (record,)

    async def export(
        self,
        path: Path | str,
        format: str = "jsonl",  # noqa: A002
        *,
        filter: str = "",  # noqa: A002
        proofs: bool = False,
    ) -> int:
        """Write events to a file, which is there only once it is whole; gives its size in bytes.

        format: jsonl, csv, parquet, ocsf, cloudevents, cef.
        Raises: ExportBroken, CallError, OSError; ValueError for another format.
        """
        request = exports_pb2.ExportEventsRequest(
            format=exports_pb2.ExportFormat.Value(f"EXPORT_FORMAT_{format.upper()}"),
            filter=filter,
            proofs=proofs,
        )
        return await write_export(self._caller, request, Path(path))
