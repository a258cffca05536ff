"""Password hashing: argon2id through libpass, in a bounded pool of threads.

Hashes of other kinds, which came by an import, are verified as they are and replaced at the first
login. `foreign_hashes` says which.
"""

import asyncio
import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from passlib.context import CryptContext
from prometheus_client import Counter, Gauge, Histogram

from smart_audit.auth.foreign_hashes import FOREIGN, as_its_source
from smart_audit.auth.password_policy import normalised
from smart_audit.core.errors import ResourceExhausted
from smart_audit.core.ids import new_secret

T = TypeVar("T")

THREADS = Gauge("smart_audit_hash_pool_threads", "Passwords that may be hashed at once.")
RUNNING = Gauge("smart_audit_hash_pool_running", "Passwords that are hashed now.")
WAITING = Gauge("smart_audit_hash_pool_waiting", "Passwords that wait to be hashed.")
REFUSED = Counter("smart_audit_hash_pool_refused", "Passwords refused because too many waited.")
DURATION = Histogram(
    "smart_audit_hash_duration_seconds",
    "How long hashing a password took, from its arrival on.",
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)

# How much a hash gives way to the rest; 0 is not at all, 19 the most (setpriority(2)).
NICENESS = 10


@dataclass(frozen=True, slots=True)
class Verified:
    """The password was right; `new_hash` replaces a hash of an older kind or cost."""

    new_hash: str | None


class Hasher:
    """Hashes and verifies passwords off the event loop.

    The pool bounds the memory: `threads` hashes at once, `queue` waiting. argon2 releases the
    interpreter lock, so threads hash in parallel.
    """

    def __init__(self, *, memory_kib: int, passes: int, threads: int, queue: int) -> None:
        self._context = CryptContext(
            schemes=["argon2", *FOREIGN],
            deprecated="auto",
            argon2__type="ID",
            argon2__memory_cost=memory_kib,
            argon2__time_cost=passes,
            argon2__parallelism=1,
        )
        self._pool = ThreadPoolExecutor(
            threads, thread_name_prefix="hash", initializer=_give_way_to_others
        )
        self._room = asyncio.BoundedSemaphore(threads + queue)
        self._inside = 0
        THREADS.set(threads)
        RUNNING.set_function(lambda: min(self._inside, threads))
        WAITING.set_function(lambda: max(self._inside - threads, 0))
        # What an unknown user's password is compared with: the same work, never the same password.
        self._nobody = self._context.hash(new_secret())

    async def hash(self, password: str) -> str:
        """Hash a new password. Raises: ResourceExhausted when too many wait."""
        return await self._run(self._context.hash, normalised(password))

    async def verify(self, password: str, password_hash: str | None) -> Verified | None:
        """Check a password; None when it is wrong, or when there is no hash to check against.

        Raises: ResourceExhausted when too many wait.
        """
        verified = await self._run(self._verify, password, password_hash or self._nobody)
        return verified if password_hash else None

    def _verify(self, password: str, password_hash: str) -> Verified | None:
        # Older hashes were made of passwords as they were typed: both forms are tried, if there are
        # two, whatever hash it is.
        hashed = normalised(password)
        for form in dict.fromkeys((hashed, password)):
            if self._context.verify(as_its_source(form, password_hash), password_hash):
                old = form != hashed or self._context.needs_update(password_hash)
                return Verified(self._context.hash(hashed) if old else None)
        return None

    async def _run(self, work: Callable[..., T], *arguments: str) -> T:
        if self._room.locked():
            REFUSED.inc()
            raise ResourceExhausted("too many logins at once; retry in a moment")
        async with self._room:
            loop = asyncio.get_running_loop()
            self._inside += 1
            try:
                with DURATION.time():
                    return await loop.run_in_executor(self._pool, work, *arguments)
            finally:
                self._inside -= 1

    def close(self) -> None:
        """End the threads, after the hashes that are running."""
        self._pool.shutdown(wait=False, cancel_futures=True)


def _give_way_to_others() -> None:
    """Let a thread that hashes run after all that is short: whoever asks anything else is waiting.

    On Linux a niceness is of a thread; elsewhere it would be that of the whole process.
    """
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
