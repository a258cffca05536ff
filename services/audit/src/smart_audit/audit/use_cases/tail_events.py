"""Follow the log: what matches, in order, as it is recorded."""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from smart_audit.audit.domain import OrganisationId, Recorded
from smart_audit.audit.filters import Expression, matches
from smart_audit.audit.repository import Database
from smart_audit.audit.tail.cursors import invalid_cursor
from smart_audit.audit.tail.tails import Tail, Tails


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a stream shows, and where it begins: at the end of the log unless something is set."""

    expression: Expression | None
    position: int | None
    since: datetime | None
    heartbeat_s: float

    def holds(self, recorded: Recorded) -> bool:
        """Whether an event is to be shown."""
        if self.since is not None and recorded.recorded_at < self.since:
            return False
        return self.expression is None or matches(self.expression, recorded)


class Found(NamedTuple):
    """Events that match, at least one; `position` is the place behind them."""

    events: Sequence[Recorded]
    position: int


class Heartbeat(NamedTuple):
    """All up to `position` was looked at, and nothing more is there that matches."""

    position: int


@dataclass(frozen=True, slots=True)
class Permission:
    """How long a stream may go on.

    check: raises once the caller may read no longer. expires_at: when that is so at the latest, in
    seconds since 1970.
    """

    check: Callable[[], Awaitable[None]]
    expires_at: float


async def tail_events(
    wanted: Wanted,
    organisation_id: OrganisationId,
    permission: Permission,
    tails: Tails,
    database: Database,
) -> AsyncGenerator[Found | Heartbeat]:
    """The records of a stream, until it must end.

    Raises: TailLimitReached, CursorInvalid; then, as the end, ServiceStopping, LogDamaged, and what
    the permission raises.
    """
    async with tails.open(organisation_id) as tail:
        position = await _start(wanted, tail, database)
        beat_at = float("-inf")
        while True:
            await permission.check()
            page = await tail.after(position)
            found = [one for one in page.events if wanted.holds(one)]
            level = page.end == position
            position = page.end
            now = time.monotonic()
            if found:
                beat_at = now + wanted.heartbeat_s
                yield Found(found, position)
            elif now >= beat_at:
                beat_at = now + wanted.heartbeat_s
                yield Heartbeat(position)
            elif level:
                await tail.wait(min(beat_at - now, permission.expires_at - time.time()))
            else:
                # A filter that matches little must not hold up the loop while it goes on.
                await asyncio.sleep(0)


async def _start(wanted: Wanted, tail: Tail, database: Database) -> int:
    """Where the stream begins. Raises: CursorInvalid."""
    end = await tail.end()
    if wanted.position is None and wanted.since is None:
        return end
    async with database.begin(tail.organisation_id) as log:
        if wanted.position is None and wanted.since is not None:
            first = await log.first_since(wanted.since)
            return end if first is None else first
        position = wanted.position or 0
        # Another process may be ahead of this one's window.
        if position > end and position > (await log.head()).size:
            raise invalid_cursor("lies beyond the end of the log")
        return position
