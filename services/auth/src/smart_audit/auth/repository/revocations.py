"""Revocations in the database, and the word of them to all processes."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import ARRAY, LargeBinary, bindparam, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from smart_audit.auth.tables import revocations
from smart_audit.core.revocations import Revocation

CHANNEL = "auth_revocations"

# One message a revocation: `key in hex:revoked at in ms:expires at in s`. Postgres hands it to all
# that listen, once the transaction has committed and in the order of commits.
ADD = text(
    """
    WITH added AS (
        INSERT INTO auth.revocations (key, revoked_at, expires_at)
        SELECT key, :revoked_at, :expires_at FROM unnest(:keys) AS key
        ON CONFLICT (key) DO UPDATE SET
            revoked_at = greatest(revocations.revoked_at, excluded.revoked_at),
            expires_at = greatest(revocations.expires_at, excluded.expires_at)
        RETURNING key, revoked_at, expires_at
    )
    SELECT pg_notify(:channel, encode(key, 'hex')
        || ':' || floor(extract(epoch FROM revoked_at) * 1000)::bigint
        || ':' || ceil(extract(epoch FROM expires_at))::bigint)
    FROM added
    """
).bindparams(bindparam("keys", type_=ARRAY(LargeBinary)))


class Revocations:
    """What has been revoked and has not expired by itself."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(self, keys: Sequence[bytes], at: datetime, expires_at: datetime) -> None:
        """Refuse tokens with these keys that were issued up to `at`, once this is committed.

        keys: as `smart_audit.core.revocations` makes them. expires_at: when the last of these
        tokens has expired by itself.
        """
        if keys:
            await self._connection.execute(
                ADD,
                {
                    "channel": CHANNEL,
                    "keys": list(keys),
                    "revoked_at": at,
                    "expires_at": expires_at,
                },
            )

    async def all(self, at: datetime) -> list[Revocation]:
        """All revocations that still matter."""
        statement = select(
            revocations.c.key, revocations.c.revoked_at, revocations.c.expires_at
        ).where(revocations.c.expires_at > at)
        return [
            Revocation(
                row.key,
                int(row.revoked_at.timestamp() * 1000),
                int(row.expires_at.timestamp()) + 1,
            )
            for row in await self._connection.execute(statement)
        ]


def read_notice(payload: str) -> Revocation:
    """A revocation as it was announced. Raises: ValueError."""
    key, revoked_at_ms, expires_at = payload.split(":")
    return Revocation(bytes.fromhex(key), int(revoked_at_ms), int(expires_at))
