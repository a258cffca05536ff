"""Begin an export, or go on with one."""

from smart_audit.audit.domain import EventId, OrganisationId, Position, StoredCheckpoint
from smart_audit.audit.errors import EventNotFound, ExportCursorInvalid
from smart_audit.audit.exports import Cursor, ExportSpec, Mark, Span
from smart_audit.audit.filters import parse_filter
from smart_audit.audit.formats import open_format
from smart_audit.audit.repository import Database
from smart_audit.audit.repository.checkpoints import CheckpointStore
from smart_audit.audit.use_cases.checkpoint import Checkpointing, get_checkpoint
from smart_audit.audit.use_cases.read_events import get_event
from smart_audit.audit.use_cases.write_export import Writing
from smart_audit.core.errors import InvalidArgument

START = Cursor(Span(0, 0), Mark(0))


def check_spec(spec: ExportSpec) -> None:
    """Refuse what cannot be written. Raises: InvalidArgument, ExportFormatUnavailable."""
    parse_filter(spec.filter)
    if spec.proofs and not open_format(spec.format).takes_proofs:
        what = "cannot stand in this format; JSON lines take them"
        raise InvalidArgument(f"proofs {what}", fields={"proofs": what})


async def begin_export(
    spec: ExportSpec,
    cursor: Cursor | None,
    after: EventId | None,
    organisation_id: OrganisationId,
    database: Database,
    deps: Checkpointing,
) -> Writing:
    """An export of the log as it is now, or as it was when the export of the cursor began.

    Raises: InvalidArgument, ExportFormatUnavailable, ExportCursorInvalid, EventNotFound,
    EventExpired.
    """
    check_spec(spec)
    span, mark = cursor or START
    goes_on = span.before > 0
    _check_resumption(spec, after, goes_on=goes_on)
    if goes_on:
        checkpoint = await _checkpoint_at(span, spec, organisation_id, database)
        if after is not None:
            mark = await _behind(after, span, spec, organisation_id, database)
    else:
        size, checkpoint = await state_of(organisation_id, database, deps, proofs=spec.proofs)
        if span.first > size:
            raise _foreign()
        span = Span(span.first, size)
    return Writing(organisation_id, spec, span, mark, checkpoint, fresh=not goes_on)


async def state_of(
    organisation_id: OrganisationId, database: Database, deps: Checkpointing, *, proofs: bool
) -> tuple[int, StoredCheckpoint | None]:
    """The size of the log now, and a checkpoint of just that size if there shall be proofs."""
    if proofs:
        checkpoint = (await get_checkpoint(organisation_id, database, deps)).checkpoint
        return checkpoint.size, checkpoint
    async with database.begin(organisation_id) as log:
        return (await log.head()).size, None


async def checkpoint_of(
    size: int, organisation_id: OrganisationId, database: Database
) -> StoredCheckpoint | None:
    """The checkpoint that was signed of a log of this size; None for a size that never was."""
    async with database.transaction(organisation_id) as connection:
        return await CheckpointStore(connection, organisation_id).of_size(size)


def _check_resumption(spec: ExportSpec, after: EventId | None, *, goes_on: bool) -> None:
    if after is not None and not goes_on:
        what = "needs the header export-cursor of the answer that was cut off, as cursor"
        raise InvalidArgument(f"after {what}", fields={"after": what})
    if goes_on and not open_format(spec.format).cuttable:
        what = "cannot be: a file of this format is whole or nothing; order it by POST /v1/exports"
        raise InvalidArgument(f"going on {what}", fields={"cursor": what})


async def _checkpoint_at(
    span: Span, spec: ExportSpec, organisation_id: OrganisationId, database: Database
) -> StoredCheckpoint | None:
    """Raises: ExportCursorInvalid for a log that never was so large."""
    async with database.begin(organisation_id) as log:
        head = await log.head()
    if not span.first <= span.before <= head.size:
        raise _foreign()
    if not spec.proofs:
        return None
    checkpoint = await checkpoint_of(span.before, organisation_id, database)
    if checkpoint is None:
        raise _foreign()
    return checkpoint


async def _behind(
    after: EventId,
    span: Span,
    spec: ExportSpec,
    organisation_id: OrganisationId,
    database: Database,
) -> Mark:
    """The place behind an event. Raises: EventNotFound, EventExpired."""
    async with database.begin(organisation_id) as log:
        placed = await log.place_of(after)
    if placed is None or not span.first <= placed.log_index < span.before:
        raise EventNotFound("no such event in this export", event_id=str(after))
    if not spec.filter:
        return Mark(placed.log_index + 1)
    event = (await get_event(after, organisation_id, database)).event
    return Mark(0, Position(event.occurred_at, placed.log_index))


def _foreign() -> ExportCursorInvalid:
    what = "is not of this log; start again without one"
    return ExportCursorInvalid(f"cursor {what}", fields={"cursor": what})
