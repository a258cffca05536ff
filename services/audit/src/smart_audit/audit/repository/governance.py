"""Settings, holds and erasures as rows.

Their changes are effects of an append (see `append.py`): they commit together with the event that
tells of them, while the log's head is locked, and are raw SQL, since the append is. An append whose
answer was lost may run its effect once more: each leaves what is done already as it is.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from psycopg import AsyncCursor
from psycopg.errors import IntegrityConstraintViolation
from sqlalchemy import Row, and_, func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from smart_audit.audit.append import Effect
from smart_audit.audit.domain import EventId, OrganisationId, Subject
from smart_audit.audit.errors import SubjectHeld
from smart_audit.audit.governance import (
    Erasure,
    Held,
    HeldTarget,
    Hold,
    HoldPosition,
    LogSettings,
    Period,
    Readers,
)
from smart_audit.audit.tables import entries, holds, log_settings, payloads, subject_keys

DESTROY_KEY = """
UPDATE audit.subject_keys SET wrapped_key = NULL, erased_by = %(event_id)s
WHERE organisation_id = %(organisation_id)s AND subject_type = %(type)s AND subject_id = %(id)s
    AND wrapped_key IS NOT NULL
"""

# Whatever was exported may hold what the person's key has sealed. Files that are finished are
# destroyed with it; those that are being written begin anew, under another key.
DESTROY_EXPORTS = """
UPDATE audit.exports SET wrapped_key = NULL, lease = NULL, leased_until = NULL,
    state = CASE WHEN state = 3 THEN 6 ELSE 1 END,
    sealed_filter = CASE WHEN state = 3 THEN NULL ELSE sealed_filter END,
    events = CASE WHEN state = 3 THEN events ELSE 0 END,
    size = CASE WHEN state = 3 THEN size ELSE 0 END
WHERE organisation_id = %s AND state IN (1, 2, 3)
"""

KEEP_SETTINGS = """
INSERT INTO audit.log_settings AS kept
    (organisation_id, retention_days, readers, records_reads, event_id)
VALUES (%(organisation_id)s, %(retention_days)s, %(readers)s, %(records_reads)s, %(event_id)s)
ON CONFLICT (organisation_id) DO UPDATE SET retention_days = excluded.retention_days,
    readers = excluded.readers, records_reads = excluded.records_reads,
    event_id = excluded.event_id
WHERE (kept.retention_days, kept.readers, kept.records_reads)
    <> (excluded.retention_days, excluded.readers, excluded.records_reads)
"""

ADD_HOLD = """
INSERT INTO audit.holds (organisation_id, hold_id, subject_type, subject_id, target_id,
    period_from, period_before, reason, placed_by, placed_at)
VALUES (%(organisation_id)s, %(hold_id)s, %(subject_type)s, %(subject_id)s, %(target_id)s,
    %(period_from)s, %(period_before)s, %(reason)s, %(placed_by)s, %(placed_at)s)
ON CONFLICT DO NOTHING
"""

RELEASE_HOLD = """
UPDATE audit.holds SET released_at = %(released_at)s
WHERE organisation_id = %(organisation_id)s AND hold_id = %(hold_id)s AND released_at IS NULL
"""

EXPIRE = "SELECT audit.expire_payloads(%s, %s, %s)"

RESOLUTION = timedelta(microseconds=1)


class Unneeded(Exception):
    """There is nothing to change, and so nothing to tell of; nothing was appended."""


class Overtaken(Exception):
    """The log has changed since it was looked at; nothing was appended, and nothing removed."""


def destroying_key(organisation_id: OrganisationId, subject: Subject, event_id: EventId) -> Effect:
    """Destroy a subject's live key. Raises, once run: SubjectHeld, Unneeded."""

    async def effect(cursor: AsyncCursor[Any]) -> None:
        try:
            await cursor.execute(
                DESTROY_KEY,
                {
                    "organisation_id": organisation_id,
                    "event_id": event_id,
                    "type": subject.type,
                    "id": subject.id,
                },
            )
        except IntegrityConstraintViolation as error:
            if error.diag.constraint_name == "subject_held":
                raise SubjectHeld(
                    "a legal hold covers events of this person; release it first",
                    subject_type=subject.type,
                    subject_id=subject.id,
                ) from error
            raise
        if cursor.rowcount == 0:
            raise Unneeded
        await cursor.execute(DESTROY_EXPORTS, [organisation_id])

    return effect


def keeping_settings(
    organisation_id: OrganisationId, settings: LogSettings, event_id: EventId
) -> Effect:
    """Replace the log's settings. Raises, once run: Unneeded."""

    async def effect(cursor: AsyncCursor[Any]) -> None:
        await cursor.execute(
            KEEP_SETTINGS,
            {
                "organisation_id": organisation_id,
                "retention_days": settings.retention_days,
                "readers": settings.readers.value,
                "records_reads": settings.records_reads,
                "event_id": event_id,
            },
        )
        if cursor.rowcount == 0:
            raise Unneeded

    return effect


def adding_hold(organisation_id: OrganisationId, hold: Hold) -> Effect:
    """Place a hold."""
    columns = {
        "organisation_id": organisation_id,
        "hold_id": hold.id,
        "reason": hold.reason,
        "placed_by": hold.placed_by,
        "placed_at": hold.placed_at,
        **_held_columns(hold.held),
    }

    async def effect(cursor: AsyncCursor[Any]) -> None:
        await cursor.execute(ADD_HOLD, columns)

    return effect


def releasing_hold(
    organisation_id: OrganisationId, hold_id: EventId, released_at: datetime
) -> Effect:
    """Release a hold. Raises, once run: Unneeded."""

    async def effect(cursor: AsyncCursor[Any]) -> None:
        await cursor.execute(
            RELEASE_HOLD,
            {
                "organisation_id": organisation_id,
                "hold_id": hold_id,
                "released_at": released_at,
            },
        )
        if cursor.rowcount == 0:
            raise Unneeded

    return effect


def expiring(
    organisation_id: OrganisationId, first: datetime, before: datetime, expected: int
) -> Effect:
    """Remove content recorded in a span of time, as much as was counted there.

    Raises, once run: Overtaken.
    """

    async def effect(cursor: AsyncCursor[Any]) -> None:
        await cursor.execute(EXPIRE, [organisation_id, first, before])
        if await cursor.fetchone() != (expected,):
            raise Overtaken

    return effect


class GovernanceReader:
    """Reads the settings, holds and erasures of one log in one transaction."""

    def __init__(self, connection: AsyncConnection, organisation_id: OrganisationId) -> None:
        self._connection = connection
        self._organisation_id = organisation_id

    async def settings(self) -> LogSettings:
        """The log's settings; the defaults as long as nobody has set them."""
        statement = select(
            log_settings.c.retention_days, log_settings.c.readers, log_settings.c.records_reads
        ).where(log_settings.c.organisation_id == self._organisation_id)
        row = (await self._connection.execute(statement)).one_or_none()
        if row is None:
            return LogSettings()
        return LogSettings(row.retention_days, Readers(row.readers), row.records_reads)

    async def hold(self, hold_id: EventId) -> Hold | None:
        """One hold."""
        statement = select(holds).where(
            holds.c.organisation_id == self._organisation_id, holds.c.hold_id == hold_id
        )
        row = (await self._connection.execute(statement)).one_or_none()
        return None if row is None else _hold(row)

    async def holds(self, after: HoldPosition | None, limit: int) -> list[Hold]:
        """The next holds in order of (placed_at, id), the latest first."""
        statement = (
            select(holds)
            .where(holds.c.organisation_id == self._organisation_id)
            .order_by(holds.c.placed_at.desc(), holds.c.hold_id.desc())
            .limit(limit)
        )
        if after is not None:
            key = tuple_(holds.c.placed_at, holds.c.hold_id)
            statement = statement.where(key < (after.placed_at, after.id))
        return [_hold(row) for row in await self._connection.execute(statement)]

    async def has_key(self, subject: Subject) -> bool:
        """Whether a subject has a live key."""
        statement = select(subject_keys.c.key_id).where(
            *self._of(subject), subject_keys.c.wrapped_key.is_not(None)
        )
        return await self._connection.scalar(statement) is not None

    async def erasure(self, subject: Subject) -> Erasure | None:
        """The latest erasure of a subject."""
        told = and_(
            entries.c.organisation_id == subject_keys.c.organisation_id,
            entries.c.event_id == subject_keys.c.erased_by,
        )
        statement = (
            select(entries.c.event_id, entries.c.log_index, entries.c.recorded_at)
            .join(subject_keys, told)
            .where(*self._of(subject))
            .order_by(entries.c.log_index.desc())
            .limit(1)
        )
        row = (await self._connection.execute(statement)).one_or_none()
        return None if row is None else Erasure(EventId(row.event_id), row[1], row[2])

    async def expired_before(self) -> datetime | None:
        """The time before which recorded content has expired, by the database's clock.

        None for a log that keeps all.
        """
        kept_for = func.make_interval(0, 0, 0, log_settings.c.retention_days)
        statement = select(func.now() - kept_for).where(
            log_settings.c.organisation_id == self._organisation_id,
            log_settings.c.retention_days > 0,
        )
        moment: datetime | None = await self._connection.scalar(statement)
        return moment

    async def span(self, first: datetime, before: datetime, rows: int) -> datetime:
        """The end of the span of time from `first` on that has about as many payloads."""
        statement = (
            select(payloads.c.recorded_at)
            .where(
                payloads.c.organisation_id == self._organisation_id,
                payloads.c.recorded_at >= first,
                payloads.c.recorded_at < before,
            )
            .order_by(payloads.c.recorded_at, payloads.c.log_index)
            .offset(rows)
            .limit(1)
        )
        end: datetime | None = await self._connection.scalar(statement)
        # What was recorded in one moment stays together, however much it is.
        return before if end is None else max(end, first + RESOLUTION)

    async def count_expired(self, first: datetime, before: datetime) -> int:
        """How many events recorded in a span of time have content that may be removed."""
        expired = func.audit.expired(self._organisation_id, first, before)
        statement = select(func.count()).select_from(expired.table_valued("log_index"))
        count: int = (await self._connection.execute(statement)).scalar_one()
        return count

    def _of(self, subject: Subject) -> tuple[Any, ...]:
        return (
            subject_keys.c.organisation_id == self._organisation_id,
            subject_keys.c.subject_type == subject.type,
            subject_keys.c.subject_id == subject.id,
        )


async def organisations_with_retention(connection: AsyncConnection) -> Sequence[OrganisationId]:
    """The organisations whose logs do not keep all."""
    return (await connection.scalars(select(func.audit.organisations_with_retention()))).all()


async def drop_empty_partitions(connection: AsyncConnection, at: datetime) -> int:
    """Drop the partitions that retention has emptied; gives how many."""
    dropped: int = (
        await connection.execute(select(func.audit.drop_empty_partitions(at)))
    ).scalar_one()
    return dropped


def _held_columns(held: Held) -> dict[str, object]:
    columns: dict[str, object] = dict.fromkeys(
        ("subject_type", "subject_id", "target_id", "period_from", "period_before")
    )
    match held:
        case Subject():
            columns |= {"subject_type": held.type, "subject_id": held.id}
        case HeldTarget():
            columns |= {"target_id": held.id}
        case Period():
            columns |= {"period_from": held.first, "period_before": held.before}
    return columns


def _hold(row: Row[Any]) -> Hold:
    held: Held
    if row.subject_id is not None:
        held = Subject(row.subject_type, row.subject_id)
    elif row.target_id is not None:
        held = HeldTarget(row.target_id)
    else:
        held = Period(row.period_from, row.period_before)
    return Hold(
        EventId(row.hold_id), held, row.reason, row.placed_by, row.placed_at, row.released_at
    )
