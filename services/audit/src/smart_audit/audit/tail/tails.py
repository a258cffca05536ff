"""All streams of a process that follow logs: how many there may be, and what wakes them."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from prometheus_client import Gauge

from smart_audit.audit.domain import OrganisationId
from smart_audit.audit.errors import ServiceStopping, TailLimitReached
from smart_audit.audit.log_feed import LogFeed
from smart_audit.audit.repository import Database
from smart_audit.audit.tail.window import MAX_PAGE, MAX_PAGE_BYTES, Page, Window

READ_BEHIND = 4
OPEN = Gauge("smart_audit_tails_open", "Streams of this process that follow a log now.")


@dataclass(frozen=True, slots=True)
class TailLimits:
    """How many streams may be open at a time."""

    in_process: int
    of_organisation: int


class Tail:
    """One stream's view of the log that it follows."""

    def __init__(self, organisation_id: OrganisationId, tails: "Tails", window: Window) -> None:
        self.organisation_id = organisation_id
        self._tails = tails
        self._window = window
        self._more = asyncio.Event()

    @asynccontextmanager
    async def following(self) -> AsyncIterator[None]:
        """Be woken while the context is open."""
        followers = (self._window.followers, self._tails.followers)
        for some in followers:
            some.add(self._more)
        try:
            yield
        finally:
            for some in followers:
                some.discard(self._more)

    async def end(self) -> int:
        """The place behind the last entry. Raises: what reading the log failed by."""
        return await self._window.end()

    async def after(self, position: int) -> Page:
        """The next events at a place; the page ends there when there is nothing more now.

        What comes after the call ends the next `wait`. Raises: ServiceStopping, and what reading
        the log failed by.
        """
        self._more.clear()
        self._tails.check()
        self._window.check()
        if self._window.covers(position):
            return self._window.after(position)
        return await self._tails.read(self.organisation_id, position)

    async def wait(self, limit_s: float) -> None:
        """Wait for more, for a revoked token, for the service to stop, or for so many seconds."""
        try:
            async with asyncio.timeout(limit_s):
                await self._more.wait()
        except TimeoutError:
            pass


class Tails:
    """The streams of a process."""

    def __init__(self, feed: LogFeed, database: Database, limits: TailLimits) -> None:
        self._feed = feed
        self._database = database
        self._limits = limits
        self._windows: dict[OrganisationId, tuple[Window, asyncio.Task[None]]] = {}
        self._open: Counter[OrganisationId] = Counter()
        self._reading = asyncio.Semaphore(READ_BEHIND)
        self._stopping = False
        self.followers: set[asyncio.Event] = set()
        """What to set to wake every stream."""

    @asynccontextmanager
    async def open(self, organisation_id: OrganisationId) -> AsyncIterator[Tail]:
        """Follow the log of an organisation. Raises: TailLimitReached, ServiceStopping."""
        self.check()
        self._admit(organisation_id)
        try:
            tail = Tail(organisation_id, self, self._window(organisation_id))
            async with tail.following():
                yield tail
        finally:
            self._leave(organisation_id)

    async def run(self) -> None:
        """Let streams live until cancelled; then end them all."""
        try:
            await asyncio.Event().wait()
        finally:
            # A server that stops waits for its calls, and these would never end by themselves.
            self._stopping = True
            self.wake()

    def wake(self) -> None:
        """Let every stream look whether it may go on."""
        for more in self.followers:
            more.set()

    def check(self) -> None:
        """Raises: ServiceStopping."""
        if self._stopping:
            raise ServiceStopping("the service stops; resume by the cursor in a moment")

    async def read(self, organisation_id: OrganisationId, position: int) -> Page:
        """Read for a stream that has fallen behind; a few at a time. Raises: LogDamaged."""
        async with self._reading, self._database.begin(organisation_id) as log:
            read = await log.events_from(position, MAX_PAGE, MAX_PAGE_BYTES)
        return Page(read.events, read.end)

    def _admit(self, organisation_id: OrganisationId) -> None:
        here, limits = self._open[organisation_id], self._limits
        if self._open.total() >= limits.in_process:
            raise TailLimitReached(
                f"{limits.in_process} streams follow logs here; retry in a moment",
                limit=str(limits.in_process),
            )
        if here >= limits.of_organisation:
            raise TailLimitReached(
                f"{here} streams follow the log of this organisation; close some",
                limit=str(limits.of_organisation),
            )
        self._open[organisation_id] += 1
        OPEN.inc()

    def _leave(self, organisation_id: OrganisationId) -> None:
        OPEN.dec()
        self._open[organisation_id] -= 1
        if self._open[organisation_id]:
            return
        del self._open[organisation_id]
        if organisation_id in self._windows:
            self._windows.pop(organisation_id)[1].cancel()

    def _window(self, organisation_id: OrganisationId) -> Window:
        """The window that the streams of an organisation share; a new one after a failure."""
        known = self._windows.get(organisation_id)
        if known is not None and not known[1].done():
            return known[0]
        window = Window(organisation_id, self._feed, self._database)
        self._windows[organisation_id] = (window, asyncio.create_task(window.follow()))
        return window
