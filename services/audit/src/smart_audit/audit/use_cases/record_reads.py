"""Record who has looked for what: reads of a log are events of that log.

The first read is recorded before its answer is sent. Equal reads of one caller within a minute
share its event: they are counted, and one further event tells at the minute's end how many there
were.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple
from uuid import UUID

import structlog

from smart_audit.audit.domain import (
    Actor,
    Event,
    EventId,
    NewEvent,
    OrganisationId,
    Outcome,
    Target,
)
from smart_audit.audit.governance import SOURCE
from smart_audit.audit.repository import Database
from smart_audit.audit.use_cases.record_events import Deps, record_events
from smart_audit.core.errors import DomainError

log = structlog.get_logger()

TOGETHER_S = 60
MOST_TOGETHER = 10_000
"""Reads that are remembered at a time; beyond, the oldest one's minute ends early."""


class Sameness(NamedTuple):
    """What equal reads have in common."""

    organisation_id: OrganisationId
    by: Actor
    marks: tuple[tuple[str, str], ...]
    address: str
    action: str
    target: tuple[str, str] | None
    what: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Read:
    """A call that has read."""

    same: Sameness
    request_id: str
    user_agent: str
    results: int | None
    """How many things it has found; None when that is not known."""
    always: bool
    """Whether it is recorded although the log's settings switch reads off."""
    goes_on: bool
    """Whether it has been told of before, and only tells its results."""


@dataclass(slots=True)
class _Minute:
    """A read that has been told of, and those like it that came after."""

    told: "asyncio.Task[bool]"
    last: Read
    timer: asyncio.TimerHandle = field(init=False)
    reads: int = 0
    results: int | None = None
    more: bool = False

    def add(self, read: Read) -> None:
        self.more = True
        self.last = read
        self.reads += not read.goes_on
        if read.results is not None:
            self.results = (self.results or 0) + read.results


class Reads:
    """Records reads, for one process."""

    def __init__(
        self,
        database: Database,
        deps: Deps,
        new_id: Callable[[], UUID],
        together_s: float = TOGETHER_S,
    ) -> None:
        self._database = database
        self._deps = deps
        self._new_id = new_id
        self._together_s = together_s
        self._minutes: OrderedDict[Sameness, _Minute] = OrderedDict()
        self._tasks: set[asyncio.Task[Any]] = set()

    async def record(self, read: Read) -> None:
        """Tell of a read; on return the event of it, or of those like it, is in the log.

        Raises: Unavailable, ResourceExhausted; then there must be no answer either.
        """
        minute = self._minutes.get(read.same)
        if minute is None:
            counted = 0 if read.goes_on else None
            minute = self._begin(read, self._tell(read, counted, read.results))
        else:
            minute.add(read)
        if not await asyncio.shield(minute.told):
            # Reads are switched off. They may be switched on at any time.
            self._forget(read.same, minute)

    async def settle(self) -> None:
        """Tell what is still to be told."""
        for same in list(self._minutes):
            self._end(same, self._minutes[same], last=True)
        while self._tasks:
            await asyncio.wait(self._tasks)

    def _begin(self, read: Read, telling: Coroutine[Any, Any, bool]) -> _Minute:
        loop = asyncio.get_running_loop()
        task = loop.create_task(telling)
        self._tasks.add(task)
        minute = _Minute(task, read)
        minute.timer = loop.call_later(self._together_s, self._end, read.same, minute)
        self._minutes[read.same] = minute
        task.add_done_callback(partial(self._done, read.same, minute))
        if len(self._minutes) > MOST_TOGETHER:
            self._end(*next(iter(self._minutes.items())), last=True)
        return minute

    def _done(self, same: Sameness, minute: _Minute, task: "asyncio.Task[bool]") -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            # Whoever waits for it gets it as well; the next one tries anew.
            log.error("audit.read_lost", action=same.action, error=type(error).__name__)
            self._forget(same, minute)

    def _end(self, same: Sameness, minute: _Minute, *, last: bool = False) -> None:
        """The minute is over: tell what has come meanwhile, which begins the next one."""
        self._forget(same, minute)
        if not minute.more:
            return
        telling = self._tell(minute.last, minute.reads, minute.results)
        if not last:
            self._begin(minute.last, telling)
            return
        task = asyncio.get_running_loop().create_task(telling)
        self._tasks.add(task)
        task.add_done_callback(partial(self._done, same, minute))

    def _forget(self, same: Sameness, minute: _Minute) -> None:
        minute.timer.cancel()
        if self._minutes.get(same) is minute:
            del self._minutes[same]

    async def _tell(self, read: Read, counted: int | None, results: int | None) -> bool:
        """Append the event, unless the log's settings forbid it; gives whether they allow it.

        counted: how many reads it stands for besides the one that was told of before.
        """
        organisation_id = read.same.organisation_id
        if not read.always and not await self._database.records_reads(organisation_id):
            return False
        new = self._event(read, counted, results)
        (result,) = await record_events(organisation_id, [new], self._database, self._deps)
        if isinstance(result, DomainError):
            raise result
        return True

    def _event(self, read: Read, counted: int | None, results: int | None) -> NewEvent:
        same = read.same
        counts = {"results": results, "reads": counted}
        metadata: dict[str, Any] = {
            **dict(same.what),
            **{name: count for name, count in counts.items() if count is not None},
            "request_id": read.request_id,
            **dict(same.marks),
        }
        event = Event(
            id=EventId(self._new_id()),
            organisation_id=same.organisation_id,
            action=same.action,
            actor=same.by,
            outcome=Outcome.SUCCESS,
            occurred_at=self._deps.now(),
            targets=() if same.target is None else (Target(same.target[1], same.target[0]),),
            source=SOURCE,
            source_address=same.address,
            user_agent=read.user_agent,
            metadata=metadata,
        )
        return NewEvent(event, time_given=True, recorded_by=same.by.id)
