"""The driver's own connection of a transaction, for what takes columns or gives many bytes."""

from typing import Any

import psycopg
from sqlalchemy.ext.asyncio import AsyncConnection


async def driver_of(connection: AsyncConnection) -> "psycopg.AsyncConnection[Any]":
    """The connection of psycopg that a transaction runs on."""
    raw = await connection.get_raw_connection()
    driver: psycopg.AsyncConnection[Any] = raw.driver_connection  # type: ignore[assignment]
    return driver
