"""Exports and their files as rows.

What callers change is an effect of an append (see `append.py`): it commits together with the event
that tells of it. An effect may run once more if an answer was lost, so each leaves what is done
already as it is. What is written beside the calls is guarded by a lease.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from psycopg import AsyncCursor
from sqlalchemy import Row, delete, func, insert, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from smart_audit.audit.append import Effect
from smart_audit.audit.domain import EventId, OrganisationId, Position
from smart_audit.audit.errors import ExportLimitReached
from smart_audit.audit.export_sealing import ExportSealing
from smart_audit.audit.exports import (
    Claimed,
    Export,
    ExportPosition,
    ExportSpec,
    ExportState,
    Mark,
    Progress,
)
from smart_audit.audit.formats import FormatName
from smart_audit.audit.repository.database import Database
from smart_audit.audit.repository.governance import Unneeded
from smart_audit.audit.tables import export_chunks, exports

USED = """
SELECT count(*) FILTER (WHERE state IN (1, 2)), coalesce(sum(size) FILTER (WHERE state < 4), 0)
FROM audit.exports WHERE organisation_id = %(organisation_id)s AND export_id <> %(export_id)s
"""

ADD = """
INSERT INTO audit.exports (organisation_id, export_id, format, sealed_filter, proofs, log_size,
    created_by, created_at, state)
VALUES (%(organisation_id)s, %(export_id)s, %(format)s, %(sealed_filter)s, %(proofs)s,
    %(log_size)s, %(created_by)s, %(created_at)s, 1)
ON CONFLICT DO NOTHING
"""

END = """
UPDATE audit.exports SET state = %(state)s, wrapped_key = NULL, sealed_filter = NULL,
    lease = NULL, leased_until = NULL, finished_at = coalesce(finished_at, %(at)s)
WHERE organisation_id = %(organisation_id)s AND export_id = %(export_id)s
    AND state = ANY (%(of)s)
"""


WITH_FILES = (ExportState.PENDING, ExportState.RUNNING, ExportState.SUCCEEDED)


class LeaseLost(Exception):
    """The export is not this process's any more: it was cancelled, begun anew, or taken over."""


def adding_export(
    organisation_id: OrganisationId,
    export: Export,
    sealed_filter: bytes,
    *,
    most_unfinished: int,
    most_bytes: int,
) -> Effect:
    """Add an export that waits to be written. Raises, once run: ExportLimitReached."""
    columns = {
        "organisation_id": organisation_id,
        "export_id": export.id,
        "format": export.spec.format.value,
        "sealed_filter": sealed_filter,
        "proofs": export.spec.proofs,
        "log_size": export.log_size,
        "created_by": export.created_by,
        "created_at": export.created_at,
    }

    async def effect(cursor: AsyncCursor[Any]) -> None:
        # The log is locked: nobody else can add one meanwhile.
        await cursor.execute(USED, columns)
        unfinished, size = await cursor.fetchone() or (0, 0)
        if unfinished >= most_unfinished:
            raise ExportLimitReached(
                f"{unfinished} exports of this organisation are being written; wait for one to end,"
                " or cancel one",
                limit=str(most_unfinished),
            )
        check_bytes(size, most_bytes)
        await cursor.execute(ADD, columns)

    return effect


def ending_export(
    organisation_id: OrganisationId, export_id: EventId, state: ExportState, at: datetime
) -> Effect:
    """Cancel or delete an export, and destroy its file. Raises, once run: Unneeded."""
    of = [1, 2] if state is ExportState.CANCELLED else [1, 2, 3, 4, 5, 6]
    values = {
        "organisation_id": organisation_id,
        "export_id": export_id,
        "state": state.value,
        "of": of,
        "at": at,
    }

    async def effect(cursor: AsyncCursor[Any]) -> None:
        await cursor.execute(END, values)
        if cursor.rowcount == 0:
            raise Unneeded

    return effect


def check_bytes(size: int, most_bytes: int) -> None:
    """Raises: ExportLimitReached for files that take more than they may."""
    if size >= most_bytes:
        raise ExportLimitReached(
            f"the exports of this organisation take {size} bytes, and may take {most_bytes}; delete"
            " some, or let them expire",
            limit_bytes=str(most_bytes),
        )


class ExportStore:
    """The exports of one organisation in one transaction."""

    def __init__(
        self, connection: AsyncConnection, organisation_id: OrganisationId, sealing: ExportSealing
    ) -> None:
        self._connection = connection
        self._organisation_id = organisation_id
        self._sealing = sealing

    async def get(self, export_id: EventId) -> Export | None:
        """One export."""
        statement = select(exports).where(
            *self._is(export_id), exports.c.state != ExportState.DELETED
        )
        row = (await self._connection.execute(statement)).one_or_none()
        return None if row is None else self._export(row)

    async def page(self, after: ExportPosition | None, limit: int) -> list[Export]:
        """The next exports in order of (created_at, id), the latest first."""
        statement = (
            select(exports)
            .where(
                exports.c.organisation_id == self._organisation_id,
                exports.c.state != ExportState.DELETED,
            )
            .order_by(exports.c.created_at.desc(), exports.c.export_id.desc())
            .limit(limit)
        )
        if after is not None:
            key = tuple_(exports.c.created_at, exports.c.export_id)
            statement = statement.where(key < (after.created_at, after.id))
        return [self._export(row) for row in await self._connection.execute(statement)]

    async def chunk_at(self, export_id: EventId, byte: int) -> tuple[int, bytes] | None:
        """The chunk that holds a byte of a file: where it begins, and what it holds.

        None behind the end, and once the file is destroyed. Raises: SealBroken.
        """
        statement = (
            select(export_chunks.c.first_byte, export_chunks.c.sealed, exports.c.wrapped_key)
            .join(
                exports,
                (exports.c.organisation_id == export_chunks.c.organisation_id)
                & (exports.c.export_id == export_chunks.c.export_id),
            )
            .where(
                export_chunks.c.organisation_id == self._organisation_id,
                export_chunks.c.export_id == export_id,
                export_chunks.c.first_byte <= byte,
                export_chunks.c.first_byte + export_chunks.c.size > byte,
                exports.c.wrapped_key.is_not(None),
                func.coalesce(exports.c.expires_at > func.now(), True),
            )
            .order_by(export_chunks.c.first_byte.desc())
            .limit(1)
        )
        row = (await self._connection.execute(statement)).one_or_none()
        if row is None:
            return None
        seal = self._sealing.open_key(self._organisation_id, export_id, row.wrapped_key)
        return row.first_byte, seal.open(row.first_byte, row.sealed)

    async def claimed(self, export_id: EventId, lease: UUID) -> Claimed:
        """An export that was claimed. Raises: LeaseLost."""
        statement = select(exports).where(*self._is(export_id), exports.c.lease == lease)
        row = (await self._connection.execute(statement)).one_or_none()
        if row is None:
            raise LeaseLost
        after = row.mark_occurred_at and Position(row.mark_occurred_at, row.mark_log_index)
        return Claimed(
            self._organisation_id,
            self._export(row),
            lease,
            Progress(Mark(row.mark_index, after), row.events, row.size),
            row.wrapped_key,
            row.attempts,
        )

    async def begin_anew(self, claimed: Claimed, wrapped_key: bytes) -> None:
        """Drop what was written, and begin under another key. Raises: LeaseLost."""
        await self._advance(claimed, wrapped_key=wrapped_key, **_columns(Progress(Mark(0), 0, 0)))
        await self._connection.execute(
            delete(export_chunks).where(
                export_chunks.c.organisation_id == self._organisation_id,
                export_chunks.c.export_id == claimed.export.id,
            )
        )

    async def keep(
        self,
        claimed: Claimed,
        chunks: Sequence[tuple[int, int, bytes]],
        progress: Progress,
        lease_for: timedelta,
    ) -> None:
        """Keep chunks, by (first byte, size, sealed), and how far the export has come.

        Raises: LeaseLost.
        """
        # First, since this locks the row: whoever erases a person destroys the key either before,
        # and then nothing is kept, or after it.
        until = func.now() + lease_for
        await self._advance(claimed, leased_until=until, attempts=0, **_columns(progress))
        if chunks:
            names = ("first_byte", "size", "sealed")
            rows = [
                {
                    "organisation_id": self._organisation_id,
                    "export_id": claimed.export.id,
                    **dict(zip(names, chunk, strict=True)),
                }
                for chunk in chunks
            ]
            await self._connection.execute(insert(export_chunks), rows)

    async def total_bytes(self) -> int:
        """What the files of the organisation take."""
        statement = select(func.coalesce(func.sum(exports.c.size), 0)).where(
            exports.c.organisation_id == self._organisation_id, exports.c.state.in_(WITH_FILES)
        )
        return int((await self._connection.execute(statement)).scalar_one())

    async def succeed(self, claimed: Claimed, sha256: bytes, kept_for: timedelta) -> None:
        """The file is whole. Raises: LeaseLost."""
        await self._advance(
            claimed,
            state=ExportState.SUCCEEDED,
            sha256=sha256,
            finished_at=func.now(),
            expires_at=func.now() + kept_for,
            lease=None,
            leased_until=None,
        )

    async def fail(self, claimed: Claimed, reason: str, message: str) -> None:
        """It cannot be written; destroy what there is. Raises: LeaseLost."""
        await self._advance(
            claimed,
            state=ExportState.FAILED,
            wrapped_key=None,
            sealed_filter=None,
            failure=reason,
            message=message,
            finished_at=func.now(),
            lease=None,
            leased_until=None,
        )

    async def let_go(self, claimed: Claimed, retry_after: timedelta) -> None:
        """Let others write it, after a while. Raises: LeaseLost."""
        await self._advance(claimed, lease=None, leased_until=func.now() + retry_after)

    async def _advance(self, claimed: Claimed, **values: Any) -> None:
        statement = (
            update(exports)
            .where(*self._is(claimed.export.id), exports.c.lease == claimed.lease)
            .values(values)
        )
        if (await self._connection.execute(statement)).rowcount == 0:
            raise LeaseLost

    def _is(self, export_id: EventId) -> tuple[Any, ...]:
        return (
            exports.c.organisation_id == self._organisation_id,
            exports.c.export_id == export_id,
        )

    def _export(self, row: Row[Any]) -> Export:
        text = self._sealing.open_filter(self._organisation_id, row.export_id, row.sealed_filter)
        return Export(
            id=EventId(row.export_id),
            spec=ExportSpec(FormatName(row.format), text, row.proofs),
            log_size=row.log_size,
            created_by=row.created_by,
            created_at=row.created_at,
            state=ExportState(row.state),
            events=row.events,
            size=row.size,
            sha256=row.sha256 or b"",
            failure=row.failure or "",
            message=row.message or "",
            finished_at=row.finished_at,
            expires_at=row.expires_at,
        )


@asynccontextmanager
async def exports_of(
    organisation_id: OrganisationId, database: Database, sealing: ExportSealing
) -> AsyncIterator[ExportStore]:
    """One transaction on the exports of one organisation."""
    async with database.transaction(organisation_id) as connection:
        yield ExportStore(connection, organisation_id, sealing)


async def claim_export(
    connection: AsyncConnection, lease: UUID, lease_for: timedelta
) -> tuple[OrganisationId, EventId] | None:
    """Take the export that has waited longest, of any organisation."""
    called = func.audit.claim_export(lease, lease_for.total_seconds())
    claim = called.table_valued("organisation_id", "export_id")
    row = (await connection.execute(select(claim))).one_or_none()
    return None if row is None else (OrganisationId(row[0]), EventId(row[1]))


async def sweep_exports(
    connection: AsyncConnection, chunks: int, forgotten_after: timedelta
) -> bool:
    """Destroy files that have expired, and take rows away; gives whether there may be more."""
    swept: bool = (
        await connection.execute(select(func.audit.sweep_exports(chunks, forgotten_after)))
    ).scalar_one()
    return swept


def _columns(progress: Progress) -> dict[str, Any]:
    after = progress.mark.after
    return {
        "mark_index": progress.mark.log_index,
        "mark_occurred_at": after.occurred_at if after else None,
        "mark_log_index": after.log_index if after else None,
        "events": progress.events,
        "size": progress.size,
    }
