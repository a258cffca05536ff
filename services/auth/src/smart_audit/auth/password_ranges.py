"""Asks a server of breached passwords without telling it the password (k-anonymity).

The server learns the first 20 bits of a SHA-1 and answers with all that it knows to begin so; its
answer is padded, so that whoever watches the line does not learn them from its length.

Protocol: the range API of Have I Been Pwned's Pwned Passwords, version 3.
"""

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Literal

import structlog

from smart_audit.auth.password_policy import normalised
from smart_audit.core.deferred import deferred
from smart_audit.core.errors import Unavailable

if TYPE_CHECKING:
    import aiohttp
else:
    aiohttp = deferred("aiohttp")

log = structlog.get_logger()

TIMEOUT_S = 1.0
PREFIX_LENGTH = 5
MAX_ANSWER_BYTES = 1_000_000

WhenAway = Literal["allow", "refuse"]


class PasswordRanges:
    """A server of the range protocol; `when_away` says what holds while it does not answer."""

    def __init__(self, session: "aiohttp.ClientSession", url: str, when_away: WhenAway) -> None:
        self._session = session
        self._url = url.rstrip("/")
        self._when_away = when_away

    async def hold(self, password: str) -> bool:
        """Whether a password is known from a breach.

        Raises: Unavailable when the server does not answer within a second, unless that allows all.
        """
        digest = hashlib.sha1(normalised(password).encode(), usedforsecurity=False).hexdigest()
        prefix, suffix = digest[:PREFIX_LENGTH].upper(), digest[PREFIX_LENGTH:].upper()
        try:
            return suffix in _breached(await self._get(prefix))
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            log.warning("password.range_unavailable", error=type(error).__name__)
            if self._when_away == "allow":
                return False
            raise Unavailable("breached passwords cannot be looked up now; retry") from error

    async def _get(self, prefix: str) -> str:
        async with self._session.get(f"{self._url}/{prefix}") as answer:
            answer.raise_for_status()
            return (await answer.content.read(MAX_ANSWER_BYTES)).decode("ascii")


@asynccontextmanager
async def open_ranges(url: str, when_away: WhenAway) -> AsyncIterator[PasswordRanges | None]:
    """The server at `url`, asked as `{url}/{prefix}`; None for an empty URL: nobody is asked."""
    if not url:
        yield None
        return
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
    headers = {"Add-Padding": "true", "User-Agent": "smart-audit"}
    async with aiohttp.ClientSession(timeout=timeout, headers=headers) as session:
        yield PasswordRanges(session, url, when_away)


def _breached(answer: str) -> set[str]:
    """The suffixes of an answer; the padding has a count of 0. Raises: ValueError."""
    pairs = [line.strip().split(":") for line in answer.splitlines() if line.strip()]
    return {suffix for suffix, count in pairs if int(count)}
