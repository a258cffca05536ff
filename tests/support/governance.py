"""Settings, holds and erasures, as an administrator asks for them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import grpc.aio
from google.protobuf.timestamp_pb2 import Timestamp

from smart_audit.api.audit.v1 import audit_pb2, governance_pb2, governance_pb2_grpc
from smart_audit.audit import wiring
from smart_audit.tlog.leaf import open_leaf
from tests.support.database import Database
from tests.support.world import User, World, running_world


def erase(world: World, user: User, subject_id: str, **changes: Any) -> Any:
    """A call that erases a person."""
    subject = governance_pb2.Subject(id=subject_id, type=changes.pop("type", ""))
    return world.governance.EraseSubject(
        governance_pb2.EraseSubjectRequest(subject=subject, reason=changes.pop("reason", "")),
        metadata=user.metadata,
    )


def place_hold(world: World, user: User, **held: Any) -> Any:
    """A call that places a hold: subject, target_id or period, the latter as two times."""
    if "period" in held:
        first, before = held["period"]
        held["period"] = governance_pb2.Period(**{"from": stamp(first), "before": stamp(before)})
    if "subject" in held:
        held["subject"] = governance_pb2.Subject(id=held["subject"])
    return world.governance.PlaceHold(
        governance_pb2.PlaceHoldRequest(**{"reason": "case 7", **held}), metadata=user.metadata
    )


def release_hold(world: World, user: User, hold_id: str) -> Any:
    """A call that releases a hold."""
    return world.governance.ReleaseHold(
        governance_pb2.ReleaseHoldRequest(hold_id=hold_id), metadata=user.metadata
    )


async def update_settings(world: World, user: User, **settings: Any) -> governance_pb2.LogSettings:
    """Replace the settings of the log."""
    answer = await world.governance.UpdateLogSettings(
        governance_pb2.UpdateLogSettingsRequest(settings=governance_pb2.LogSettings(**settings)),
        metadata=user.metadata,
    )
    taken: governance_pb2.LogSettings = answer.settings
    return taken


async def own_events(world: World, user: User, action: str) -> list[audit_pb2.Event]:
    """The log's own events of one kind, the first first."""
    answer = await world.events.ListEvents(
        audit_pb2.ListEventsRequest(action=action, page_size=500), metadata=user.metadata
    )
    return list(reversed(answer.events))


def facts_of(event: audit_pb2.Event) -> dict[str, str]:
    """What a log's own event states: id by type of its targets."""
    return {target.type: target.id for target in event.targets}


async def leaf_of(world: World, user: User, event_id: str) -> dict[str, Any]:
    """The public facts of an event, as they stand in the log."""
    answer = await world.events.GetEvent(
        audit_pb2.GetEventRequest(event_id=event_id), metadata=user.metadata
    )
    return open_leaf(answer.leaf, []).facts


def stamp(time: datetime) -> Timestamp:
    """A time as a message."""
    message = Timestamp()
    message.FromDatetime(time)
    return message


class Clock:
    """The clock of audit, which a test may set."""

    def __init__(self) -> None:
        self.at: datetime | None = None

    def __call__(self) -> datetime:
        return self.at or datetime.now(UTC)


@asynccontextmanager
async def another_time(clock: Clock, world: World, at: datetime) -> AsyncIterator[None]:
    """Let it be another time, of which there are partitions."""
    clock.at = at
    await world.database.alter("SELECT audit.ensure_partitions(%s)", at)
    yield
    clock.at = None


@asynccontextmanager
async def running_at(clock: Clock, database: Database, **audit: Any) -> Any:
    """Both services, with audit's clock in the test's hand."""
    real, wiring.utc_now = wiring.utc_now, clock
    try:
        async with running_world(database, audit=audit) as world:
            yield world
    finally:
        wiring.utc_now = real


async def until(condition: Any, seconds: float = 10) -> Any:
    """Wait until something holds; gives what it gave."""
    for _ in range(int(seconds / 0.02)):
        if found := await condition():
            return found
        await asyncio.sleep(0.02)
    raise TimeoutError("it did not come about")


@asynccontextmanager
async def governance_of(port: int) -> Any:
    """A stub of the service on a port."""
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield governance_pb2_grpc.GovernanceServiceStub(channel)
