"""Rotation of the signing keys: publish a new one, let it sign, destroy the old ones.

A key signs only after everybody who checks tokens has it: the gateway and the services cache keys
for a minute, others perhaps longer. An old key stays published until no token that it signed can
live; then its row is deleted, and its private key with it.
"""

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from smart_audit.auth.dispatcher import TOKEN_LIFETIME
from smart_audit.auth.domain import INSTALLATION, AuditEvent, Client, Outcome
from smart_audit.auth.keys import KeyRing
from smart_audit.auth.repository import Repositories, SigningKeyRow, Work
from smart_audit.auth.settings import AuthSettings
from smart_audit.auth.use_cases.common import record
from smart_audit.core.ids import new_id, utc_now

log = structlog.get_logger()

SUBJECT = "service:auth"
CHECK_EVERY = timedelta(seconds=15)
# For what differs: clocks, the leeways of all who check tokens, and how soon a process sees a key.
MARGIN = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Schedule:
    """When keys come and go."""

    every: timedelta
    """A new key after so long; zero for never."""
    lead: timedelta
    """How long a key is published before it signs."""
    longest_token: timedelta
    """How long an access token may live."""

    @classmethod
    def of(cls, settings: AuthSettings) -> "Schedule":
        """As the settings say."""
        return cls(
            every=settings.signing_key_rotate_every,
            lead=settings.signing_key_lead,
            longest_token=max(settings.access_token_lifetime, TOKEN_LIFETIME),
        )


class KeyRotation:
    """Rotates keys by command, and beside the server by schedule."""

    def __init__(self, keys: KeyRing, schedule: Schedule, work: Work) -> None:
        self._keys = keys
        self._schedule = schedule
        self._work = work

    async def rotate(self) -> SigningKeyRow:
        """Publish a new key that signs once the lead has passed; gives it.

        The keys before it retire when the last token that one of them may still sign has expired.
        """
        async with self._work.everywhere() as repositories:
            await repositories.signing_keys.lock()
            return await self._rotate(repositories, utc_now())

    async def keep_on(self) -> None:
        """Look again and again: for keys of other processes, a key that is due, keys to destroy."""
        while True:
            await asyncio.sleep(CHECK_EVERY.total_seconds())
            try:
                await self._look()
            except Exception as error:  # noqa: BLE001  (whatever it is, the known keys serve on)
                log.warning("keys.not_kept", error=type(error).__name__)

    async def _look(self) -> None:
        now = utc_now()
        async with self._work.everywhere() as repositories:
            if await repositories.signing_keys.retired(now) or await self._is_due(
                repositories, now
            ):
                # Another process may have been faster.
                await repositories.signing_keys.lock()
                for key_id in await repositories.signing_keys.destroy(now):
                    await _record("auth.signing_key.destroy", key_id, now, repositories)
                if await self._is_due(repositories, now):
                    await self._rotate(repositories, now)
        await self._keys.reread()

    async def _is_due(self, repositories: Repositories, now: datetime) -> bool:
        if not self._schedule.every:
            return False
        newest, *_ = await repositories.signing_keys.published(now)
        return newest.created_at + self._schedule.every <= now

    async def _rotate(self, repositories: Repositories, now: datetime) -> SigningKeyRow:
        activates_at = now + self._schedule.lead
        row = self._keys.new_row(now, activates_at)
        retires_at = activates_at + self._schedule.longest_token + MARGIN
        await repositories.signing_keys.retire_all(retires_at)
        await repositories.signing_keys.add(row)
        await _record("auth.signing_key.rotate", row.id, now, repositories)
        return row


async def _record(action: str, key_id: str, at: datetime, repositories: Repositories) -> None:
    event = AuditEvent(
        id=new_id(),
        organisation_id=INSTALLATION,
        action=action,
        occurred_at=at,
        outcome=Outcome.SUCCESS,
        client=Client(),
        actor_id=SUBJECT,
        actor_type="service",
        targets=(("signing_key", key_id),),
    )
    await record(event, repositories)
