"""The newest entries of one log, read once for all the streams that follow it.

A stream keeps nothing but its place in the log. One that is level with the log is served from the
window; one that has fallen behind it reads for itself, and so no reader, however slow, makes memory
grow.
"""

import asyncio
from bisect import bisect_left
from collections.abc import Sequence
from operator import attrgetter
from typing import NamedTuple

from smart_audit.audit.domain import KIB, MIB, Bytes, OrganisationId, Recorded
from smart_audit.audit.governance import erased_subject
from smart_audit.audit.log_feed import LogFeed
from smart_audit.audit.repository import Database

READ_AT_ONCE = 500
KEPT_ENTRIES = 1_000
KEPT_BYTES = Bytes(4 * MIB)
# What one stream holds in hand while its reader takes it.
MAX_PAGE = 100
MAX_PAGE_BYTES = Bytes(256 * KIB)


class Page(NamedTuple):
    """Events in the order of the log, and the place behind them."""

    events: Sequence[Recorded]
    end: int


class Window:
    """Follows the log of one organisation while `follow` runs."""

    def __init__(self, organisation_id: OrganisationId, feed: LogFeed, database: Database) -> None:
        self._organisation_id = organisation_id
        self._feed = feed
        self._database = database
        self._events: list[Recorded] = []
        self._bytes = 0
        self._first = 0
        self._end = 0
        self._known = asyncio.Event()
        self._failure: Exception | None = None
        self.followers: set[asyncio.Event] = set()
        """What to set when there is more, or a failure."""

    async def end(self) -> int:
        """The place behind the last entry that has been read; waits for the first look."""
        await self._known.wait()
        self.check()
        return self._end

    def check(self) -> None:
        """Raises: what following the log has failed by."""
        if self._failure is not None:
            raise self._failure

    def covers(self, position: int) -> bool:
        """Whether what comes at a place is here, once it has been read at all."""
        return position >= self._first

    def after(self, position: int) -> Page:
        """The next events at a place that the window covers; none when it is the end."""
        start = bisect_left(self._events, position, key=attrgetter("log_index"))
        return cut(Page(self._events[start : start + MAX_PAGE + 1], max(self._end, position)))

    async def follow(self) -> None:
        """Read on whenever the log grows, until it is cancelled or fails."""
        try:
            with self._feed.grown(self._organisation_id) as growth:
                async with self._database.begin(self._organisation_id) as log:
                    self._first = self._end = (await log.head()).size
                self._known.set()
                while True:
                    await growth.wait()
                    while await self._read_on():
                        pass
        except Exception as error:  # noqa: BLE001  (each stream ends by it, and says so)
            self._failure = error
            self._known.set()
            self._tell()

    async def _read_on(self) -> bool:
        """Gives whether there may be more."""
        async with self._database.begin(self._organisation_id) as log:
            new = await log.events_from(self._end, READ_AT_ONCE, KEPT_BYTES)
        if any(erased_subject(one.event) is not None for one in new.events):
            # What was read before may still show what has been erased.
            self._forget(len(self._events), self._end)
        self._events.extend(new.events)
        self._bytes += sum(one.size for one in new.events)
        self._end = new.end
        self._trim()
        self._tell()
        return new.more

    def _trim(self) -> None:
        spare, size = 0, self._bytes
        while len(self._events) - spare > KEPT_ENTRIES or size > KEPT_BYTES:
            size -= self._events[spare].size
            spare += 1
        if spare:
            self._forget(spare, self._events[spare - 1].log_index + 1)

    def _forget(self, count: int, first: int) -> None:
        self._bytes -= sum(one.size for one in self._events[:count])
        del self._events[:count]
        self._first = first

    def _tell(self) -> None:
        for more in self.followers:
            more.set()


def cut(page: Page) -> Page:
    """As much of a page as a stream sends at once: one event at the least, if there is any."""
    size = 0
    for number, one in enumerate(page.events):
        size += one.size
        if number == MAX_PAGE or (number and size > MAX_PAGE_BYTES):
            return Page(page.events[:number], page.events[number - 1].log_index + 1)
    return page
