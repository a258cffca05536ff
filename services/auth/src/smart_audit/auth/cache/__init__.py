"""The cache door: what all replicas share for a while, and may lose.

Postgres holds it by default (`postgres`), Redis when `REDIS_URL` is set (`redis`). Both obey one
suite of tests. While the store is away every call raises `Unavailable`: what stands on it, such as
the throttle, fails closed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Pace:
    """How often something may be tried: `free` times at once, then after waits that double.

    The waits grow from `first` to `longest`. After `limit` tries there is none until the count is
    forgotten. It is forgotten after `kept`: since the last try, or since the first if `fixed`.
    """

    free: int
    first: timedelta
    longest: timedelta
    kept: timedelta
    limit: int = 1_000_000
    fixed: bool = False


@dataclass(frozen=True, slots=True)
class Turn:
    """One try that is counted under a key, unless there is an entry under the key `unless`."""

    key: str
    pace: Pace
    unless: str = ""


@dataclass(frozen=True, slots=True)
class Wait:
    """A turn that is not due yet, and how long it takes until it is."""

    key: str
    time: timedelta


class Cache(Protocol):
    """Entries that expire, and counts of tries. Each call is atomic, for all replicas."""

    async def get(self, key: str) -> bytes | None:
        """The value of an entry; None when there is none, or when it has expired."""

    async def set(self, key: str, value: bytes, ttl: timedelta) -> None:
        """Put an entry in the place of what was there."""

    async def add(self, key: str, value: bytes, ttl: timedelta) -> bool:
        """Put an entry where there is none. False when there is one."""

    async def delete(self, keys: Sequence[str]) -> None:
        """Remove entries and counts."""

    async def take(self, turns: Sequence[Turn]) -> Wait | None:
        """Count one try under each key; or none at all, and tell which one has to wait."""

    async def settle(
        self,
        forgotten: Sequence[str],
        given_back: Sequence[str],
        remembered: str,
        ttl: timedelta,
    ) -> None:
        """Forget counts, take one try off others, and put an empty entry under a third key."""
