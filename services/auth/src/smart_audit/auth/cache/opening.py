"""Which cache an installation has."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncEngine

from smart_audit.auth.cache import Cache
from smart_audit.auth.cache.postgres import PostgresCache


@asynccontextmanager
async def open_cache(redis_url: SecretStr | None, engine: AsyncEngine) -> AsyncIterator[Cache]:
    """The cache in Redis when a URL is given, and in the database otherwise."""
    if redis_url is None:
        yield PostgresCache(engine)
        return
    # It takes a tenth of a second to import.
    from smart_audit.auth.cache.redis import open_redis  # noqa: PLC0415

    async with open_redis(redis_url.get_secret_value()) as cache:
        yield cache
