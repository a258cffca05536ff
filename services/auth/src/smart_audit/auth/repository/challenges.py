"""Challenges in the database: what is asked once, answered once and soon."""

from datetime import datetime

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from smart_audit.auth.domain import Challenge, UserId
from smart_audit.auth.tables import challenges

CHALLENGE = (
    challenges.c.token_hash,
    challenges.c.purpose,
    challenges.c.user_id,
    challenges.c.data,
    challenges.c.created_at,
    challenges.c.expires_at,
    challenges.c.attempts,
    challenges.c.used_at,
)

FORGOTTEN_AT_ONCE = 10


class Challenges:
    """Single-use, short-lived secrets, known by their hashes."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(self, challenge: Challenge) -> None:
        """Add a challenge, and forget some that have expired: anybody can ask for them."""
        expired = (
            select(challenges.c.token_hash)
            .where(challenges.c.expires_at < challenge.created_at)
            .order_by(challenges.c.expires_at)
            .limit(FORGOTTEN_AT_ONCE)
            .with_for_update(skip_locked=True)
        )
        await self._connection.execute(
            delete(challenges).where(challenges.c.token_hash.in_(expired))
        )
        await self._connection.execute(
            insert(challenges).values(
                token_hash=challenge.token_hash,
                purpose=challenge.purpose,
                user_id=challenge.user_id,
                data=dict(challenge.data),
                created_at=challenge.created_at,
                expires_at=challenge.expires_at,
            )
        )

    async def find(self, token_hash: bytes, purpose: str, at: datetime) -> Challenge | None:
        """A challenge that can still be answered, locked until the end of the transaction."""
        statement = (
            select(*CHALLENGE)
            .where(
                challenges.c.token_hash == token_hash,
                challenges.c.purpose == purpose,
                challenges.c.expires_at > at,
                challenges.c.used_at.is_(None),
            )
            .with_for_update()
        )
        row = (await self._connection.execute(statement)).one_or_none()
        return None if row is None else Challenge(*row)

    async def attempted(self, challenge: Challenge) -> None:
        """Count a wrong answer."""
        await self._connection.execute(
            update(challenges)
            .where(challenges.c.token_hash == challenge.token_hash)
            .values(attempts=challenges.c.attempts + 1)
        )

    async def use(self, challenge: Challenge, at: datetime) -> None:
        """Note the right answer: there is no other."""
        await self._connection.execute(
            update(challenges)
            .where(challenges.c.token_hash == challenge.token_hash)
            .values(used_at=at)
        )

    async def withdraw(self, user_id: UserId, purpose: str) -> None:
        """Forget a user's challenges of one purpose, as when a newer one replaces them."""
        await self._connection.execute(
            delete(challenges).where(
                challenges.c.user_id == user_id, challenges.c.purpose == purpose
            )
        )

    async def open(self, user_id: UserId, purpose: str, since: datetime) -> int:
        """How many challenges of one purpose a user was given since a time."""
        statement = select(func.count()).where(
            challenges.c.user_id == user_id,
            challenges.c.purpose == purpose,
            challenges.c.created_at > since,
        )
        return (await self._connection.execute(statement)).scalar_one()
