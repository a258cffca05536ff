"""Access tokens that are good no longer although they have not expired.

A token is refused when one of its keys was revoked after it was issued. A key is a hash, so that
whoever sees the list learns no id from it.
"""

import asyncio
import hashlib
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from uuid import UUID

from prometheus_client import Gauge

from smart_audit.core.errors import Unauthenticated, Unavailable

KEY_BYTES = 16
SWEEP_EVERY = 1_000
FIRST_WORD_S = 5.0
SILENCE = Gauge(
    "smart_audit_revocations_silence_seconds",
    "How long ago this process last heard of revocations; +Inf if never.",
)
KNOWN = Gauge("smart_audit_revocations_known", "Revocations that this process knows.")


class SessionEnded(Unauthenticated):
    """The session behind the token has ended, or the token was revoked."""

    reason = "SESSION_ENDED"


@dataclass(frozen=True, slots=True)
class Revocation:
    """Tokens with this key that were issued up to `revoked_at_ms` are refused."""

    key: bytes
    """16 bytes."""
    revoked_at_ms: int
    """Milliseconds since 1970."""
    expires_at: int
    """When the last of them has expired by itself; seconds since 1970."""


def session_key(session_id: UUID) -> bytes:
    """The key of all tokens of a session, or of an API key."""
    return _key(f"session:{session_id}")


def user_key(subject: UUID | str) -> bytes:
    """The key of all tokens of a user or of a service account."""
    return _key(f"user:{subject}")


def member_key(subject: UUID | str, organisation_id: UUID) -> bytes:
    """The key of a user's tokens for one organisation."""
    return _key(f"member:{subject}:{organisation_id}")


def token_key(token_id: str) -> bytes:
    """The key of one token, by its `jti`."""
    return _key(f"token:{token_id}")


class Revocations:
    """What a process knows of revocations.

    deaf_after_s: how long after the last sign of life tokens are still taken. Whoever has not
    heard yet, or not for so long, cannot tell good tokens from revoked ones and refuses all.
    """

    def __init__(
        self, *, deaf_after_s: float, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._deaf_after_s = deaf_after_s
        self._monotonic = monotonic
        self._heard_at = float("-inf")
        self._revoked: dict[bytes, Revocation] = {}
        self._sweep_at = SWEEP_EVERY
        self._word = asyncio.Event()
        self._told: list[Callable[[], None]] = []
        SILENCE.set_function(lambda: self._monotonic() - self._heard_at)
        KNOWN.set_function(lambda: len(self._revoked))

    def tell_of_each(self, tell: Callable[[], None]) -> None:
        """Have it called whenever something has been revoked: calls that last must look again."""
        self._told.append(tell)

    async def wait_for_word(self) -> None:
        """Right after a start, let calls wait for the first word instead of refusing them."""
        if not self._word.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(FIRST_WORD_S):
                    await self._word.wait()

    def hear(self, revocations: Iterable[Revocation] = ()) -> None:
        """Take in what the feed says; nothing new is a sign of life too."""
        changed = False
        for new in revocations:
            known = self._revoked.get(new.key)
            if known is None or known.revoked_at_ms < new.revoked_at_ms:
                self._revoked[new.key] = new
                changed = True
        self._heard_at = self._monotonic()
        self._word.set()
        if changed:
            for tell in self._told:
                tell()
        if len(self._revoked) >= self._sweep_at:
            self._sweep()

    def known(self) -> list[Revocation]:
        """All revocations that still matter."""
        self._sweep()
        return list(self._revoked.values())

    def check(self, keys: Iterable[bytes], issued_at_ms: int) -> None:
        """Raises: SessionEnded for a revoked token, Unavailable when nothing was heard."""
        if self._monotonic() - self._heard_at > self._deaf_after_s:
            raise Unavailable("revoked tokens cannot be told from good ones now; retry")
        for key in keys:
            revoked = self._revoked.get(key)
            if revoked is not None and issued_at_ms <= revoked.revoked_at_ms:
                raise SessionEnded("the session has ended; log in again")

    def _sweep(self) -> None:
        now = time.time()
        self._revoked = {
            key: revoked for key, revoked in self._revoked.items() if revoked.expires_at > now
        }
        self._sweep_at = 2 * len(self._revoked) + SWEEP_EVERY


def _key(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()[:KEY_BYTES]
