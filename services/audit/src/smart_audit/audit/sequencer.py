"""Group commit: in each process one sequencer per organisation gathers what waits and appends it.

No timer: a lone event is committed at once; while a batch is being committed the next one fills.
Several processes share a log by the lock on its head row.
"""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from prometheus_client import Counter, Gauge, Histogram

from smart_audit.audit.append import Appended
from smart_audit.audit.domain import Entry, OrganisationId
from smart_audit.core import tracing
from smart_audit.core.errors import ResourceExhausted

# From its arrival a call needs about so many turns of the event loop to come into the queue. By
# fewer, a batch of 64 callers' single events falls into several, each with a commit of its own.
TURNS = 20

OF_APPEND = {"db.system.name": "postgresql", "db.operation.name": "append"}
BATCHES = Histogram(
    "smart_audit_append_batch_events",
    "Events of a batch that was committed, repetitions included.",
    buckets=(1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000),
)
DURATION = Histogram(
    "smart_audit_append_duration_seconds",
    "How long committing a batch took.",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
WAIT = Histogram(
    "smart_audit_append_wait_seconds",
    "How long the first events of a batch waited until it was begun.",
    buckets=(0.0001, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
FAILURES = Counter("smart_audit_append_failures", "Batches that were not committed.")
QUEUED = Gauge("smart_audit_append_queue_bytes", "Bytes of events that wait to be durable.")


@dataclass(frozen=True, slots=True)
class Slot:
    """Where one submission came to lie: in the batch `appended`, from place `start` on."""

    appended: Appended
    start: int

    def index(self, offset: int) -> int:
        """The place in the log of the submission's entry number `offset`."""
        return self.appended.indexes[self.start + offset]


class _Waiting(NamedTuple):
    entries: Sequence[Entry]
    size: int
    done: "asyncio.Future[Slot]"
    since: float
    """Seconds of the performance counter."""
    origin: str | None
    """The span that waits, if it is traced."""


Append = Callable[[OrganisationId, Sequence[Entry]], Awaitable[Appended]]


class Sequencer:
    """Batches appends, a batch at a time for each organisation."""

    def __init__(
        self, append: Append, *, batch_size: int, batch_bytes: int, queue_bytes: int
    ) -> None:
        self._append = append
        self._batch_size = batch_size
        self._batch_bytes = batch_bytes
        self._room = queue_bytes
        self._queues: dict[OrganisationId, deque[_Waiting]] = {}
        self._running: set[asyncio.Task[None]] = set()
        QUEUED.set_function(lambda: queue_bytes - self._room)

    async def submit(self, organisation_id: OrganisationId, entries: Sequence[Entry]) -> Slot:
        """Append entries, and return once they are durable.

        A caller that goes away loses the answer, not the entries. Raises: ResourceExhausted when
        too many wait, and what the append raised, in which case nothing of them is in the log.
        """
        size = sum(entry.size for entry in entries)
        if size > self._room:
            raise ResourceExhausted("too many events wait to be recorded; retry in a moment")
        self._room -= size
        done: asyncio.Future[Slot] = asyncio.get_running_loop().create_future()
        waiting = _Waiting(entries, size, done, time.perf_counter(), tracing.here())
        queue = self._queues.get(organisation_id)
        if queue is None:
            self._queues[organisation_id] = deque([waiting])
            task = asyncio.create_task(self._drain(organisation_id))
            self._running.add(task)
            task.add_done_callback(self._running.discard)
        else:
            queue.append(waiting)
        return await waiting.done

    async def settle(self) -> None:
        """Wait until nothing waits any more."""
        while self._running:
            await asyncio.wait(self._running)

    async def _drain(self, organisation_id: OrganisationId) -> None:
        """Commit batch after batch until nothing waits."""
        queue = self._queues[organisation_id]
        while queue:
            await _gather(queue)
            batch = self._take(queue)
            entries = [entry for waiting in batch for entry in waiting.entries]
            begun = time.perf_counter()
            WAIT.observe(begun - batch[0].since)
            try:
                origins = [waiting.origin for waiting in batch]
                with tracing.following("append", origins, **OF_APPEND):
                    appended = await self._append(organisation_id, entries)
            except Exception as error:  # noqa: BLE001  (each waiting caller gets it)
                FAILURES.inc()
                for waiting in batch:
                    # A caller that left has cancelled it.
                    if not waiting.done.done():
                        waiting.done.set_exception(error)
            else:
                DURATION.observe(time.perf_counter() - begun)
                BATCHES.observe(len(entries))
                start = 0
                for waiting in batch:
                    if not waiting.done.done():
                        waiting.done.set_result(Slot(appended, start))
                    start += len(waiting.entries)
            self._room += sum(waiting.size for waiting in batch)
        del self._queues[organisation_id]

    def _take(self, queue: deque[_Waiting]) -> list[_Waiting]:
        """Whole submissions, as many as fit into a batch, and at least one."""
        batch = [queue.popleft()]
        count, size = len(batch[0].entries), batch[0].size
        while queue:
            count += len(queue[0].entries)
            size += queue[0].size
            if count > self._batch_size or size > self._batch_bytes:
                break
            batch.append(queue.popleft())
        return batch


async def _gather(queue: deque[_Waiting]) -> None:
    """Let calls that have arrived already join the batch: wait while the queue still grows.

    A commit costs as much for one event as for fifty, and no time is waited here: a turn of the
    loop only lets run what is ready to run.
    """
    length = 0
    while len(queue) != length:
        length = len(queue)
        for _ in range(TURNS):
            await asyncio.sleep(0)
