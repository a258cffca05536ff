"""An event loop in a thread of its own, for code that has no loop, from any thread, across forks.

gRPC does not survive a fork: a child of a process that has a channel of `grpc.aio` hangs or crashes
at its first call. So before a fork each of these loops closes its channels and ends; all who call
wait meanwhile, and parent and child begin anew when they next need to. Where somebody else in the
process has such channels, the child is told so instead of hanging.
"""

import asyncio
import atexit
import concurrent.futures
import gc
import os
import threading
import time
import weakref
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

Result = TypeVar("Result")

_END_LIMIT_S: Final = 5.0
_all: "weakref.WeakSet[LoopThread]" = weakref.WeakSet()
_held: "list[LoopThread]" = []
# The thread of grpc.aio, which lives as long as any of its channels.
_POLLER: Final = "(_poll_wrapper)"
_GRPC_LIMIT_S: Final = 0.5
# The threads of its core, as the kernel of Linux names them. They end a moment later, and what they
# hold until then nobody in a child would ever give back.
_CORE: Final = (b"event_engine", b"grpc_", b"lifeguard")
_THREADS: Final = Path("/proc/self/task")
_grpc_was_in_use = False


class ForkError(RuntimeError):
    """This process is a fork of one in which gRPC was in use by others than us."""


@dataclass(frozen=True, slots=True)
class _Running:
    loop: asyncio.AbstractEventLoop
    thread: threading.Thread
    stopping: asyncio.Event


class LoopThread:
    """Runs coroutines for callers that wait.

    name: of the thread. on_end: closes, in the loop, what belongs to it; all else that runs there
    is cancelled before. The thread begins with the first coroutine.
    """

    def __init__(self, name: str, on_end: Callable[[], Awaitable[None]]) -> None:
        self._name = name
        self._on_end = on_end
        self._lock = threading.RLock()
        self._running: _Running | None = None
        self._forks = 0
        _all.add(self)

    def run(self, make: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
        """Run a coroutine and wait for it; a fork meanwhile begins it anew.

        Raises: whatever the coroutine raises; CancelledError when the loop is ended meanwhile.
        """
        while True:
            with self._lock:
                future = asyncio.run_coroutine_threadsafe(make(), self._started())
                forks = self._forks
            try:
                return future.result()
            except concurrent.futures.CancelledError:
                if self._forks == forks:
                    raise
                # It knows the cancelled call, and with it the channel that has to go.
                del future
            except BaseException:
                future.cancel()
                raise

    def start(self, make: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run a coroutine, if the loop does not run already. Raises: ForkError."""
        with self._lock:
            if self._running is None:
                asyncio.run_coroutine_threadsafe(make(), self._started())

    def end(self, limit_s: float = _END_LIMIT_S) -> None:
        """End loop and thread; the next coroutine begins them anew."""
        with self._lock:
            self._end(limit_s)

    def _end(self, limit_s: float) -> None:
        running, self._running = self._running, None
        if running is not None and running.thread is not threading.current_thread():
            running.loop.call_soon_threadsafe(running.stopping.set)
            running.thread.join(limit_s)

    def _started(self) -> asyncio.AbstractEventLoop:
        if self._running is None:
            if _grpc_was_in_use:
                raise ForkError(
                    "gRPC was in use when this process was forked, and does not work in it; fork "
                    "before, or start the process by multiprocessing's method spawn"
                )
            begun: concurrent.futures.Future[_Running] = concurrent.futures.Future()
            threading.Thread(
                target=self._run_loop, args=(begun,), name=self._name, daemon=True
            ).start()
            self._running = begun.result()
        elif self._running.thread is threading.current_thread():
            raise RuntimeError("this is the loop's own thread: it would wait for itself")
        return self._running.loop

    def _run_loop(self, begun: "concurrent.futures.Future[_Running]") -> None:
        try:
            with asyncio.Runner() as runner:
                runner.run(self._live(begun))
        except Exception as error:
            if begun.done():
                raise
            # There is no loop, as when the process may open no more files: who waits is told.
            begun.set_exception(error)

    async def _live(self, begun: "concurrent.futures.Future[_Running]") -> None:
        stopping = asyncio.Event()
        begun.set_result(_Running(asyncio.get_running_loop(), threading.current_thread(), stopping))
        await stopping.wait()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await self._on_end()

    def before_fork(self) -> bool:
        """End, and let nobody begin anew until the fork is done; says whether it has run."""
        self._lock.acquire()
        self._forks += 1
        has_run = self._running is not None
        self._end(_END_LIMIT_S)
        return has_run

    def after_fork(self) -> None:
        """Go on, in the parent as in the child."""
        self._lock.release()


def _poller_lives() -> bool:
    return any(_POLLER in thread.name for thread in threading.enumerate())


def _core_lives() -> bool:
    for name in _THREADS.glob("*/comm"):
        # A thread may end before it is looked at.
        with suppress(OSError):
            if name.read_bytes().startswith(_CORE):
                return True
    return False


def _until_gone(lives: Callable[[], bool]) -> bool:
    """Wait a while until something lives no more; whether it is gone."""
    give_up_at = time.monotonic() + _GRPC_LIMIT_S
    while lives():
        if time.monotonic() > give_up_at:
            return False
        time.sleep(0.002)
    return True


def _before_fork() -> None:
    global _grpc_was_in_use  # noqa: PLW0603  (a fact of the process)
    _held.extend(_all)
    has_run = False
    for one in _held:
        has_run |= one.before_fork()
    # What gRPC has in its own threads ends with the last of its objects.
    if _held:
        gc.collect()
    _grpc_was_in_use = not _until_gone(_poller_lives)
    if has_run and not _grpc_was_in_use:
        _until_gone(_core_lives)


def _after_in_parent() -> None:
    global _grpc_was_in_use  # noqa: PLW0603
    _grpc_was_in_use = False
    _after_in_child()


def _after_in_child() -> None:
    while _held:
        _held.pop().after_fork()


def _at_exit() -> None:
    for one in list(_all):
        one.end()


os.register_at_fork(
    before=_before_fork, after_in_parent=_after_in_parent, after_in_child=_after_in_child
)
atexit.register(_at_exit)
