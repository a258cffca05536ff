"""`Recorder`: what a program records with when recording must not stand in its way."""

import atexit
import contextlib
import hashlib
import logging
import os
import time
import weakref
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Final, Self, Unpack

import platformdirs

from smart_audit.api.audit.v1 import audit_pb2
from smart_audit.client.aio import AsyncClient
from smart_audit.client.api_key import key_id
from smart_audit.client.batches import BATCH_BYTES
from smart_audit.client.caller import Link
from smart_audit.client.connection import ignore_trouble
from smart_audit.client.events import Actor, EventFields, new_event
from smart_audit.client.loop_thread import LoopThread
from smart_audit.client.recorder.counters import Counters, Lost, Tally
from smart_audit.client.recorder.queue import Drop, Queue
from smart_audit.client.recorder.spools import Spools
from smart_audit.client.recorder.worker import Worker
from smart_audit.client.settings import Settings
from smart_audit.client.sync import Client
from smart_audit.client.trace import current_trace

SPOOL_VARIABLE: Final = "SMART_AUDIT_SPOOL_DIR"
_MIB: Final = 1024 * 1024
_LOOK_EVERY_S: Final = 0.01
USER_FOLDER: Final = Path()

log = logging.getLogger("smart_audit.recorder")


class Recorder:
    """Records in the background: `record` neither waits nor raises, whatever happens.

        recorder = Recorder()
        recorder.record("document.delete", "u_1")

    Events go to a file first, and from there to the service, in their order, in batches, once.
    While the service is away they wait there, and what a process leaves behind the next one sends.

    client: whose address and credentials it takes; else those of the environment or the profile.
    spool: a folder to keep events in, for this organisation's log alone; None for memory only; by
    default $SMART_AUDIT_SPOOL_DIR, else one in the user's state folder, which organisations share:
    each gets what is its own. It holds events in plain.
    spool_bytes: what the files of one process may take. sync: whether events are on the disk, not
    only with the operating system, before they are sent.
    queue_events, queue_bytes: what may wait in memory. drop: which events go when there is no room.
    linger_s: how long events are gathered for a batch. exit_s: how long to send at the end of the
    program; what is not sent by then stays in the folder.
    After a fork parent and child each go on; events of the parent are the parent's.
    Raises: ConfigError; OSError when the settings cannot be read.
    """

    def __init__(
        self,
        client: Client | AsyncClient | None = None,
        *,
        spool: Path | str | None = USER_FOLDER,
        spool_bytes: int = 256 * _MIB,
        sync: bool = False,
        queue_events: int = 10_000,
        queue_bytes: int = 32 * _MIB,
        drop: Drop | str = Drop.NEWEST,
        timeout_s: float = 10.0,
        linger_s: float = 0.05,
        exit_s: float = 2.0,
    ) -> None:
        settings = Settings.read() if client is None else client.settings
        self._link = Link(settings, ignore_trouble, stays=True)
        self._queue_size = queue_events, queue_bytes, Drop(drop)
        self._is_named = spool is not USER_FOLDER
        self._folder = spool if self._is_named else _user_folder(settings)
        self._spool_size = spool_bytes, sync
        self._timeout_s = timeout_s
        self._linger_s = linger_s
        self._exit_s = exit_s
        self._thread = LoopThread("smart-audit-recorder", self._link.disconnect)
        self._is_closed = False
        self._begin()
        _all.add(self)

    def _begin(self) -> None:
        """All that belongs to one process."""
        self._tally = Tally()
        self._queue = Queue(*self._queue_size, self._tally, self._wake)
        size, sync = self._spool_size
        spools = (
            None
            if self._folder is None
            else Spools(
                Path(self._folder),
                size,
                self._tally,
                sync=sync,
                key=key_id(self._link.settings.credentials.api_key),
                is_shared=not self._is_named,
            )
        )
        if self._is_closed:
            self._queue.close()
        self._worker = Worker(
            self._queue, spools, self._link, self._timeout_s, self._linger_s, self._tally
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def record(self, action: str, actor: Actor, **fields: Unpack[EventFields]) -> None:
        """Record an event of now; as `client.events.record`, but it neither waits nor raises.

        In a span of OpenTelemetry the metadata says which.
        """
        with self.guarded():
            if trace := current_trace():
                fields["metadata"] = {**trace, **(fields.get("metadata") or {})}
            self.send(new_event(action, actor, **fields))

    def send(self, event: audit_pb2.Event) -> None:
        """Record an event that was made before, by `new_event`."""
        with self.guarded():
            data = event.SerializeToString()
            if len(data) > BATCH_BYTES:
                self._tally.add_dropped(Lost.TOO_LARGE)
            else:
                self._queue.put(data)

    @contextlib.contextmanager
    def guarded(self) -> Iterator[None]:
        """What fails inside is counted as an event that was not recorded, and is not raised."""
        try:
            yield
        except Exception as error:  # noqa: BLE001  (the program goes on)
            self._tally.add_dropped(Lost.MALFORMED)
            log.warning("an event was not recorded: %s", error)

    def flush(self, timeout_s: float = 10.0) -> bool:
        """Wait until all that was recorded has been sent; False when it takes longer."""
        give_up_at = time.monotonic() + timeout_s
        self._wake()
        while self._worker.waiting:
            if time.monotonic() >= give_up_at:
                return False
            time.sleep(_LOOK_EVERY_S)
        return True

    def close(self, timeout_s: float | None = None) -> bool:
        """Send what is there, for a limited time, and end; False when something is left.

        timeout_s: else `exit_s`. What is left stays in the folder, for the next process.
        """
        if self._is_closed:
            return True
        self._is_closed = True
        # What another thread is about to give is either in the queue now, or counted as dropped.
        self._queue.close()
        done = self.flush(self._exit_s if timeout_s is None else timeout_s)
        self._thread.end()
        self._worker.close()
        _all.discard(self)
        return done

    @property
    def counters(self) -> Counters:
        """What became of the events so far."""
        return self._tally.read(self._queue.accepted, self._worker.waiting)

    def _wake(self) -> None:
        """The worker has something to do; it is begun with the first event, and after a fork."""
        try:
            self._thread.start(self._worker.run)
            self._worker.wake()
        except Exception as error:  # noqa: BLE001  (the program goes on)
            self._tally.trouble = str(error)
            self._queue.await_again()

    def after_fork_in_parent(self) -> None:
        """Go on."""
        if self._worker.waiting:
            self._wake()

    def after_fork_in_child(self) -> None:
        """Begin anew: what is in memory and on disk is the parent's."""
        self._worker.leave()
        self._begin()


def _user_folder(settings: Settings) -> Path:
    """A folder for this address; whose log the events in it are for, `Spools` knows."""
    named = os.environ.get(SPOOL_VARIABLE, "")
    base = Path(named) if named else platformdirs.user_state_path("smart-audit", appauthor=False)
    return base / "spool" / hashlib.sha256(settings.address.encode()).hexdigest()[:16]


_all: "weakref.WeakSet[Recorder]" = weakref.WeakSet()


def _after_in_parent() -> None:
    for one in list(_all):
        one.after_fork_in_parent()


def _after_in_child() -> None:
    for one in list(_all):
        one.after_fork_in_child()


def _at_exit() -> None:
    for one in list(_all):
        with contextlib.suppress(Exception):
            one.close()


os.register_at_fork(after_in_parent=_after_in_parent, after_in_child=_after_in_child)
atexit.register(_at_exit)
