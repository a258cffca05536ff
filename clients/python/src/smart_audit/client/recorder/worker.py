"""What the recorder's thread does: events from the queue to the disk, and from there to the log."""

import asyncio
import contextlib
import errno
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from smart_audit.api.audit.v1 import audit_pb2
from smart_audit.client.batches import BATCH_BYTES
from smart_audit.client.caller import Link
from smart_audit.client.errors import CallError
from smart_audit.client.recorder.counters import Lost, Tally
from smart_audit.client.recorder.queue import Drop, Queue
from smart_audit.client.recorder.sender import Sender
from smart_audit.client.recorder.spool import Spool, SpoolFull
from smart_audit.client.recorder.spools import Spools

# What one call may carry: after an outage much has to be made up for.
SENT_EVENTS: Final = 1000
LOOK_FOR_LEFT_S: Final = 15.0
TRY_DISK_S: Final = 1.0
_AFTER_DEFECT_S: Final = 1.0
_WRITTEN_EVENTS: Final = 1000
_WRITTEN_BYTES: Final = 1024 * 1024
_NO_ROOM: Final = frozenset({errno.ENOSPC, errno.EDQUOT})

log = logging.getLogger("smart_audit.recorder")


class Worker:
    """Two tasks of one loop: one writes, one sends.

    What cannot be written stays in the queue, and is sent from there once nothing older is on the
    disk. linger_s: how long the queue gathers events.
    """

    def __init__(
        self,
        queue: Queue,
        spools: Spools | None,
        link: Link,
        timeout_s: float,
        linger_s: float,
        tally: Tally,
    ) -> None:
        self._queue = queue
        self._spools = spools
        self._linger_s = linger_s
        self._tally = tally
        self._link = link
        self._sender = Sender(link, timeout_s, tally, self._set_aside)
        self._spool: Spool | None = None
        self._left: list[Spool] = []
        self._look_for_left_at = 0.0
        self._write_again_at = 0.0
        self._sends_from_queue = False
        self._is_closed = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._awake = asyncio.Event()
        self._written = asyncio.Event()

    @property
    def waiting(self) -> int:
        """Events of this process that are not sent yet."""
        spool = self._spool
        return len(self._queue) + (0 if spool is None else len(spool))

    def wake(self) -> None:
        """There is something in the queue. From any thread."""
        loop = self._loop
        if loop is not None:
            # It may have ended for a fork; after that the work begins with a look.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(self._awake.set)

    async def run(self) -> None:
        """Work until it is cancelled."""
        if self._is_closed:
            return
        self._awake, self._written = asyncio.Event(), asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._sends_from_queue = False
        steps = [self._send] if self._spools is None else [self._write, self._send]
        await asyncio.gather(*map(_for_ever, steps))

    async def _write(self) -> None:
        """Move what is in the queue to the disk."""
        if self._sends_from_queue or not self._may_write():
            await asyncio.sleep(self._linger_s)
            return
        taken = self._queue.take(_WRITTEN_EVENTS, _WRITTEN_BYTES)
        if not taken:
            await _until(self._awake)
            return
        try:
            self._append(taken)
        except (SpoolFull, OSError) as error:
            self._queue.put_back(taken)
            self._tally.disk_trouble = str(error) or "the folder is full"
            self._write_again_at = time.monotonic() + TRY_DISK_S
        else:
            self._queue.settle(taken)
            self._tally.disk_trouble = ""
        self._written.set()
        await asyncio.sleep(self._linger_s)

    def _may_write(self) -> bool:
        """Whether the disk is to be tried: while sending fails, events are safer there."""
        return self._spools is not None and time.monotonic() >= self._write_again_at

    def _append(self, events: Sequence[bytes]) -> None:
        """Raises: SpoolFull, OSError."""
        if self._spool is None:
            if self._spools is None:
                raise SpoolFull
            self._spool = self._spools.new(self._link.organisation)
        while True:
            try:
                self._spool.append(events)
            except (SpoolFull, OSError) as error:
                # Room does not mend a disk that is broken.
                makes_room = self._queue.drop is Drop.OLDEST and _has_no_room(error)
                if not (makes_room and self._spool.drop_oldest()):
                    raise
            else:
                return

    async def _send(self) -> None:
        """Send what is oldest: left by others, on our disk, or in the queue."""
        await self._look_for_left()
        spool = self._left[0] if self._left else self._spool
        events = [] if spool is None else spool.peek(SENT_EVENTS, BATCH_BYTES)
        if spool is not None and events:
            await self._sender.send(events)
            spool.advance(events)
        elif self._left:
            self._left.pop(0).close()
        elif not self._may_write():
            await self._send_from_queue()
        else:
            await _until(self._written, LOOK_FOR_LEFT_S)

    async def _send_from_queue(self) -> None:
        taken = self._queue.take(SENT_EVENTS, BATCH_BYTES)
        if not taken:
            await _until(self._awake, TRY_DISK_S)
            return
        # What comes later must not get to the disk, and be sent, before these.
        self._sends_from_queue = True
        rest: Sequence[bytes] = taken
        try:
            rest = await self._sender.send(taken, self._may_write)
        finally:
            self._sends_from_queue = False
            self._queue.settle(taken[: len(taken) - len(rest)])
            self._queue.put_back(rest)
        if len(taken) < SENT_EVENTS:
            await asyncio.sleep(self._linger_s)

    async def _look_for_left(self) -> None:
        now = time.monotonic()
        if self._spools is None or self._left or now < self._look_for_left_at:
            return
        self._look_for_left_at = now + LOOK_FOR_LEFT_S
        try:
            organisation = await self._link.find_organisation()
        except CallError as error:
            # What was left by the same key is known without.
            self._tally.trouble = str(error)
            self._look_for_left_at = now
            organisation = ""
        try:
            if self._spool is not None and organisation:
                self._spools.own(self._spool, organisation)
            self._left = list(self._spools.left(organisation))
        except OSError as error:
            log.warning("what others have left cannot be read: %s", error)

    def _set_aside(self, event: audit_pb2.Event, refusal: audit_pb2.Refusal) -> None:
        log.warning("event %s is refused: %s (%s)", event.id, refusal.message, refusal.reason)
        if self._spools is not None:
            try:
                self._spools.set_aside(event, refusal)
            except OSError as error:
                log.warning("the refused event %s was not set aside: %s", event.id, error)

    def close(self) -> None:
        """Once the work has ended: what is in the queue goes to the disk, and others may have it.

        What cannot be written is lost.
        """
        self._is_closed = True
        while taken := self._queue.take(_WRITTEN_EVENTS, _WRITTEN_BYTES):
            try:
                self._append(taken)
            except (SpoolFull, OSError):
                self._tally.add_dropped(Lost.CLOSED, len(taken))
            self._queue.settle(taken)
        for spool in (*self._left, *([] if self._spool is None else [self._spool])):
            spool.close()

    def leave(self) -> None:
        """In the child of a fork: all of it is the parent's."""
        for spool in (*self._left, *([] if self._spool is None else [self._spool])):
            spool.leave()


def _has_no_room(error: SpoolFull | OSError) -> bool:
    return isinstance(error, SpoolFull) or error.errno in _NO_ROOM


async def _for_ever(step: Callable[[], Awaitable[None]]) -> None:
    """A defect of ours must not end the work: nobody would notice."""
    while True:
        try:
            await step()
        except Exception:
            log.exception("the recorder failed, and goes on")
            await asyncio.sleep(_AFTER_DEFECT_S)


async def _until(event: asyncio.Event, limit_s: float | None = None) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(limit_s):
            await event.wait()
    event.clear()
