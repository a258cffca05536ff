"""Signing keys in the database."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from smart_audit.auth.tables import signing_keys

# The name of an advisory lock, held to the end of a transaction.
SIGNING_KEYS_LOCK = 0x5341_0001


@dataclass(frozen=True, slots=True)
class SigningKeyRow:
    """A signing key as it is stored; the private key is sealed."""

    id: str
    public_key: bytes
    sealed_private_key: bytes
    created_at: datetime
    activates_at: datetime


class SigningKeys:
    """The keys that sign access tokens."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def lock(self) -> None:
        """Keep other processes from adding a key until the end of the transaction."""
        await self._connection.execute(select(func.pg_advisory_xact_lock(SIGNING_KEYS_LOCK)))

    async def published(self, at: datetime) -> list[SigningKeyRow]:
        """The keys that are not retired, the newest first."""
        statement = (
            select(
                signing_keys.c.id,
                signing_keys.c.public_key,
                signing_keys.c.sealed_private_key,
                signing_keys.c.created_at,
                signing_keys.c.activates_at,
            )
            .where(or_(signing_keys.c.retires_at.is_(None), signing_keys.c.retires_at > at))
            .order_by(signing_keys.c.activates_at.desc())
        )
        return [SigningKeyRow(*row) for row in await self._connection.execute(statement)]

    async def retire_all(self, at: datetime) -> None:
        """Let all keys that are to stay retire at a time."""
        await self._connection.execute(
            update(signing_keys).where(signing_keys.c.retires_at.is_(None)).values(retires_at=at)
        )

    async def retired(self, at: datetime) -> bool:
        """Whether there are keys that have retired."""
        statement = select(signing_keys.c.id).where(signing_keys.c.retires_at <= at).limit(1)
        return (await self._connection.execute(statement)).one_or_none() is not None

    async def destroy(self, at: datetime) -> list[str]:
        """Delete the keys that have retired, private keys and all; gives their ids."""
        statement = (
            delete(signing_keys).where(signing_keys.c.retires_at <= at).returning(signing_keys.c.id)
        )
        return list((await self._connection.execute(statement)).scalars())

    async def add(self, key: SigningKeyRow) -> None:
        """Publish a key."""
        await self._connection.execute(
            insert(signing_keys).values(
                id=key.id,
                public_key=key.public_key,
                sealed_private_key=key.sealed_private_key,
                created_at=key.created_at,
                activates_at=key.activates_at,
            )
        )
