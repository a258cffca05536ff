"""The cache in Postgres: the table auth.cache, which is unlogged and so costs no write-ahead log.

Each call is one statement that commits by itself: what was counted stays counted, whatever becomes
of the caller's own transaction. The database's clock rules, since the replicas' may differ.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import ARRAY, Row, Text, bindparam, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncEngine

from smart_audit.auth.cache import Turn, Wait

GET = text(
    "SELECT value FROM auth.cache WHERE key = :key AND value IS NOT NULL AND expires_at > now()"
)

SET = text(
    """
    INSERT INTO auth.cache (key, value, expires_at) VALUES (:key, :value, now() + :ttl)
    ON CONFLICT (key) DO UPDATE SET value = excluded.value, expires_at = excluded.expires_at
    """
)

ADD = text(
    """
    INSERT INTO auth.cache AS kept (key, value, expires_at) VALUES (:key, :value, now() + :ttl)
    ON CONFLICT (key) DO UPDATE SET value = excluded.value, expires_at = excluded.expires_at
        WHERE kept.expires_at <= now()
    RETURNING 1
    """
)

DELETE = text("DELETE FROM auth.cache WHERE key = ANY(:keys)").bindparams(
    bindparam("keys", type_=ARRAY(Text))
)

# Rows are locked in the order of their keys, here and in SETTLE: calls that share several keys
# would wait for each other otherwise. Whoever waited for a row sees the other's count, so that of
# many calls at once no more pass than one after the other would; who lost waits a second.
TAKE = text(
    """
    WITH wanted AS MATERIALIZED (
        SELECT turn.* FROM jsonb_to_recordset(:turns) AS turn (key text, unless text, free int,
            first float, longest float, kept float, max_count int, fixed bool)
        WHERE NOT EXISTS (SELECT FROM auth.cache AS known
            WHERE known.key = turn.unless AND known.expires_at > now())
        ORDER BY turn.key
    ), closed AS MATERIALIZED (
        SELECT key, taken.open_at - now() AS wait FROM wanted JOIN auth.cache AS taken USING (key)
        WHERE taken.open_at > now() AND taken.expires_at > now()
        ORDER BY taken.open_at DESC LIMIT 1
    ), counted AS (
        INSERT INTO auth.cache AS taken (key, count, open_at, expires_at)
        SELECT key, 1, {open_at}, now() + kept * interval '1 s'
        FROM wanted, LATERAL (SELECT 1 AS number) AS try
        WHERE NOT EXISTS (SELECT FROM closed)
        ON CONFLICT (key) DO UPDATE SET (count, open_at, expires_at) = (
            SELECT number, {open_at}, CASE WHEN fixed AND number > 1
                THEN taken.expires_at ELSE now() + kept * interval '1 s' END
            FROM wanted, LATERAL (SELECT
                CASE WHEN taken.expires_at <= now() THEN 1 ELSE taken.count + 1 END AS number
            ) AS try
            WHERE wanted.key = taken.key
        ) WHERE taken.open_at <= now() OR taken.expires_at <= now()
        RETURNING key
    )
    SELECT key, wait FROM closed
    UNION ALL (SELECT key, interval '1 s' FROM wanted WHERE NOT EXISTS (SELECT FROM closed)
        AND key NOT IN (SELECT key FROM counted) LIMIT 1)
    """.replace(
        "{open_at}",
        # No time for none: it would be one after that of a call which has begun before this one.
        "CASE WHEN number < free THEN timestamptz '-infinity' ELSE now() + interval '1 s' *"
        " CASE WHEN number >= max_count THEN kept"
        " ELSE least(longest, first * 2 ^ least(number - free, 40)) END END",
    )
).bindparams(bindparam("turns", type_=JSONB))

SETTLE = text(
    """
    WITH settled AS MATERIALIZED (
        SELECT key FROM auth.cache WHERE key = ANY(:forgotten) OR key = ANY(:given_back)
        ORDER BY key FOR UPDATE
    ), lessened AS (
        UPDATE auth.cache SET open_at = '-infinity', count =
            CASE WHEN key = ANY(:forgotten) THEN 0 ELSE greatest(count - 1, 0) END
        WHERE key IN (SELECT key FROM settled)
    )
    INSERT INTO auth.cache (key, value, expires_at) VALUES (:remembered, '', now() + :ttl)
    ON CONFLICT (key) DO UPDATE SET expires_at = excluded.expires_at
    """
).bindparams(bindparam("forgotten", type_=ARRAY(Text)), bindparam("given_back", type_=ARRAY(Text)))


class PostgresCache:
    """A `Cache` on the database of the service."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def get(self, key: str) -> bytes | None:
        """See `Cache`."""
        row = await self._execute(GET, key=key)
        return None if row is None else bytes(row.value)

    async def set(self, key: str, value: bytes, ttl: timedelta) -> None:
        """See `Cache`."""
        await self._execute(SET, key=key, value=value, ttl=ttl)

    async def add(self, key: str, value: bytes, ttl: timedelta) -> bool:
        """See `Cache`."""
        return await self._execute(ADD, key=key, value=value, ttl=ttl) is not None

    async def delete(self, keys: Sequence[str]) -> None:
        """See `Cache`."""
        await self._execute(DELETE, keys=list(keys))

    async def take(self, turns: Sequence[Turn]) -> Wait | None:
        """See `Cache`."""
        row = await self._execute(TAKE, turns=[_as_json(turn) for turn in turns])
        return None if row is None else Wait(row.key, row.wait)

    async def settle(
        self,
        forgotten: Sequence[str],
        given_back: Sequence[str],
        remembered: str,
        ttl: timedelta,
    ) -> None:
        """See `Cache`."""
        await self._execute(
            SETTLE,
            forgotten=list(forgotten),
            given_back=list(given_back),
            remembered=remembered,
            ttl=ttl,
        )

    async def _execute(self, statement: Any, **values: Any) -> Row[Any] | None:
        async with self._engine.connect() as connection:
            result = await connection.execute(statement, values)
            return result.one_or_none() if result.returns_rows else None


def _as_json(turn: Turn) -> dict[str, Any]:
    pace = turn.pace
    return {
        "key": turn.key,
        "unless": turn.unless,
        "free": pace.free,
        "first": pace.first.total_seconds(),
        "longest": pace.longest.total_seconds(),
        "kept": pace.kept.total_seconds(),
        "max_count": pace.limit,
        "fixed": pace.fixed,
    }
