"""The whole database: every log in it, those that have no head included, and what they share."""

from collections.abc import AsyncIterator, Mapping
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import tuple_row

from smart_audit.audit.integrity.checkpoints import check_keys
from smart_audit.audit.integrity.findings import Finding, Watch
from smart_audit.audit.integrity.kept import KeptCheckpoint
from smart_audit.audit.integrity.log import verify_log
from smart_audit.audit.integrity.secrets import Secrets
from smart_audit.audit.integrity.snapshot import transaction

OF_ORGANISATIONS = (
    "logs",
    "entries",
    "payloads",
    "entry_targets",
    "tiles",
    "checkpoints",
    "subject_keys",
    "log_settings",
    "holds",
)
TABLES = (*OF_ORGANISATIONS, "checkpoint_keys")

# The next one in each table: no table is read from end to end, and no list is made of them.
NEXT = " UNION ALL ".join(
    f"(SELECT organisation_id FROM audit.{table}"  # noqa: S608  (names of ours)
    " WHERE organisation_id IS NOT NULL"
    " AND (organisation_id > %(after)s::uuid OR %(after)s::uuid IS NULL)"
    " ORDER BY organisation_id LIMIT 1)"
    for table in OF_ORGANISATIONS
)

OF_NOBODY = "SELECT count(*) FROM audit.{} WHERE organisation_id IS NULL"

NOT_THERE = """
SELECT name FROM unnest(%(tables)s::text[]) AS name WHERE to_regclass('audit.' || name) IS NULL
"""


async def verify_database(
    connection: AsyncConnection[Any],
    secrets: Secrets,
    watch: Watch,
    kept: Mapping[UUID, KeptCheckpoint] | None = None,
) -> AsyncIterator[Finding]:
    """What is wrong with a database, log by log.

    connection: of a role that sees all rows; nothing is changed. If a transaction is open on it,
    that one is looked at with all it has changed.
    kept: the logs as somebody remembers them.

    Raises: psycopg.Error.
    """
    remembered = dict(kept or {})
    missing = await _rows(connection, NOT_THERE, tables=list(TABLES))
    if missing:
        for (table,) in missing:
            yield Finding(table, None, "", "the table is missing")
        return
    for finding in await check_keys(connection, secrets):
        yield finding
    for table in OF_ORGANISATIONS:
        ((count,),) = await _rows(connection, OF_NOBODY.format(table))
        if count:
            yield Finding(table, None, "", f"{count} rows are of no organisation")
    ((logs,),) = await _rows(connection, "SELECT count(*) FROM audit.logs")
    watch.logs(logs)
    async for organisation_id in _organisations(connection):
        known = remembered.pop(organisation_id, None)
        async for finding in verify_log(connection, organisation_id, secrets, watch, known):
            yield finding
    for gone in remembered.values():
        problem = f"rolled back: the whole log is gone, which had {gone.size} entries"
        yield Finding("logs", gone.organisation_id, "", problem)


async def _organisations(connection: AsyncConnection[Any]) -> AsyncIterator[UUID]:
    """All organisations that have a row anywhere, in order."""
    after: UUID | None = None
    while found := await _rows(connection, NEXT, after=after):
        after = min(organisation_id for (organisation_id,) in found)
        yield after


async def _rows(
    connection: AsyncConnection[Any], query: str, **parameters: object
) -> list[tuple[Any, ...]]:
    async with (
        transaction(connection),
        connection.cursor(row_factory=tuple_row) as cursor,
    ):
        # Planned for its values each time: a plan for any value would read tables from their start.
        await cursor.execute(query, parameters or None, prepare=False)
        return await cursor.fetchall()
