"""Registering what the operations of an imported CloudTrail file mean."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from smart_audit.api.audit.v1 import audit_pb2, event_types_pb2
from smart_audit.cli.failures import ExitCode, Failure
from smart_audit.client.blocking import BlockingConnection
from smart_audit.client.imports import cloudtrail
from smart_audit.client.imports.aws_operations import BotocoreMissing, Operation, operations

BATCH: Final = 500
"""Event types of one call."""


@dataclass(frozen=True, slots=True)
class Described:
    """Makes records into events, and remembers their actions."""

    actions: set[str] = field(default_factory=set)

    def to_event(self, record: Any) -> audit_pb2.Event:
        """As `cloudtrail.to_event`. Raises: BadRecord."""
        event = cloudtrail.to_event(record)
        self.actions.add(event.action)
        return event

    def register(self, connection: BlockingConnection) -> int:
        """Register the event types of the actions; gives how many are documented.

        Those that are in force already are left alone: somebody may have written them.

        Raises: Failure without botocore, CallError.
        """
        known = {one.action for one in _registered(connection)}
        found = _documented(self.actions)
        for batch in _batches([one for one in found if one.action not in known]):
            request = event_types_pb2.UpsertEventTypesRequest(event_types=batch)
            connection.call(connection.event_types.UpsertEventTypes, request)
        return len(found)


def check() -> None:
    """See that operations can be described at all. Raises: Failure."""
    _documented(set())


def _documented(actions: set[str]) -> list[Operation]:
    try:
        return list(operations(sorted(actions)))
    except BotocoreMissing as missing:
        raise Failure(str(missing), ExitCode.USAGE) from missing


def _batches(found: list[Operation]) -> Iterator[list[event_types_pb2.EventType]]:
    for first in range(0, len(found), BATCH):
        yield [
            event_types_pb2.EventType(
                action=one.action, display_name=one.display_name, description=one.description
            )
            for one in found[first : first + BATCH]
        ]


def _registered(connection: BlockingConnection) -> Iterator[event_types_pb2.EventType]:
    request = event_types_pb2.ListEventTypesRequest(page_size=BATCH)
    while True:
        page = connection.call(connection.event_types.ListEventTypes, request)
        yield from page.event_types
        if not page.next_page_token:
            return
        request.page_token = page.next_page_token
