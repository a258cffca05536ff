"""Order exports, look at them, end them. Each change is an event of the log itself."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import timedelta

from smart_audit.audit.domain import Actor, EventId, OrganisationId, Target
from smart_audit.audit.errors import ExportExpired, ExportNotFound, ExportNotReady
from smart_audit.audit.export_sealing import ExportSealing
from smart_audit.audit.exports import (
    CANCEL_EXPORT,
    CREATE_EXPORT,
    DELETE_EXPORT,
    Export,
    ExportPosition,
    ExportSpec,
    ExportState,
)
from smart_audit.audit.repository import Database
from smart_audit.audit.repository.exports import adding_export, ending_export, exports_of
from smart_audit.audit.repository.governance import Unneeded
from smart_audit.audit.use_cases.begin_export import check_spec, state_of
from smart_audit.audit.use_cases.checkpoint import Checkpointing
from smart_audit.audit.use_cases.own_events import Governing, append_own, own_event
from smart_audit.core.errors import InvalidArgument


@dataclass(frozen=True, slots=True)
class ExportLimits:
    """What one organisation may have, and how long its files are kept."""

    unfinished: int
    total_bytes: int
    kept_for: timedelta


@dataclass(frozen=True, slots=True)
class Exporting:
    """What exports need besides the database.

    wake: tells the process's runner that there is something to do.
    """

    governing: Governing
    checkpointing: Checkpointing
    sealing: ExportSealing
    limits: ExportLimits
    wake: Callable[[], None] = field(default=lambda: None)


async def create_export(
    organisation_id: OrganisationId,
    spec: ExportSpec,
    by: Actor,
    database: Database,
    deps: Exporting,
) -> Export:
    """Order an export of the log as it is now.

    Raises: InvalidArgument, ExportLimitReached, Unavailable.
    """
    check_spec(spec)
    size, _ = await state_of(organisation_id, database, deps.checkpointing, proofs=spec.proofs)
    facts = (Target(spec.format.value, "export_format"),)
    # The filter may name persons: it is sealed with all else that is personal.
    new = own_event(
        organisation_id, CREATE_EXPORT, by, facts, deps.governing, details={"filter": spec.filter}
    )
    export = Export(new.event.id, spec, size, by.id, new.event.occurred_at)
    effect = adding_export(
        organisation_id,
        export,
        deps.sealing.seal_filter(organisation_id, export.id, spec.filter),
        most_unfinished=deps.limits.unfinished,
        most_bytes=deps.limits.total_bytes,
    )
    await append_own(new, effect, database, deps.governing, permanent=False)
    deps.wake()
    return export


async def get_export(
    organisation_id: OrganisationId, export_id: EventId, database: Database, deps: Exporting
) -> Export:
    """One export. Raises: ExportNotFound."""
    async with exports_of(organisation_id, database, deps.sealing) as store:
        export = await store.get(export_id)
    if export is None:
        raise ExportNotFound("no such export in this organisation", export_id=str(export_id))
    return export


async def list_exports(
    organisation_id: OrganisationId,
    after: ExportPosition | None,
    limit: int,
    database: Database,
    deps: Exporting,
) -> tuple[list[Export], ExportPosition | None]:
    """A page of exports, the latest first, and where it ends if there are more."""
    async with exports_of(organisation_id, database, deps.sealing) as store:
        found = await store.page(after, limit + 1)
    page = found[:limit]
    return page, page[-1].position if len(found) > limit else None


async def cancel_export(
    organisation_id: OrganisationId,
    export_id: EventId,
    by: Actor,
    database: Database,
    deps: Exporting,
) -> None:
    """End an export that is not done; one that is stays as it is. Raises: ExportNotFound."""
    export = await get_export(organisation_id, export_id, database, deps)
    if not export.state.is_done:
        await _end(organisation_id, export, ExportState.CANCELLED, by, database, deps)


async def delete_export(
    organisation_id: OrganisationId,
    export_id: EventId,
    by: Actor,
    database: Database,
    deps: Exporting,
) -> None:
    """Destroy an export and its file. Raises: ExportNotFound."""
    export = await get_export(organisation_id, export_id, database, deps)
    await _end(organisation_id, export, ExportState.DELETED, by, database, deps)


async def _end(
    organisation_id: OrganisationId,
    export: Export,
    state: ExportState,
    by: Actor,
    database: Database,
    deps: Exporting,
) -> None:
    action = CANCEL_EXPORT if state is ExportState.CANCELLED else DELETE_EXPORT
    facts = (Target(str(export.id), "export"),)
    new = own_event(organisation_id, action, by, facts, deps.governing)
    effect = ending_export(organisation_id, export.id, state, new.event.occurred_at)
    try:
        await append_own(new, effect, database, deps.governing, permanent=False)
    except Unneeded:
        return  # it has ended by itself meanwhile, or somebody else was faster
    deps.wake()


async def download_export(
    organisation_id: OrganisationId, export_id: EventId, database: Database, deps: Exporting
) -> Export:
    """An export whose file can be read. Raises: ExportNotFound, ExportNotReady, ExportExpired."""
    export = await get_export(organisation_id, export_id, database, deps)
    expired = export.expires_at is not None and export.expires_at <= deps.governing.now()
    if expired or export.state is ExportState.EXPIRED:
        raise _expired(export_id)
    if export.state is not ExportState.SUCCEEDED:
        raise ExportNotReady(
            f"the export is {export.state.name.lower()}: it has no file",
            export_id=str(export_id),
            state=export.state.name,
        )
    return export


async def read_file(
    organisation_id: OrganisationId,
    export: Export,
    offset: int,
    database: Database,
    deps: Exporting,
) -> AsyncIterator[bytes]:
    """The bytes of a file from `offset` on, each chunk in a transaction of its own.

    Raises: InvalidArgument behind its end, ExportExpired when it is destroyed meanwhile.
    """
    if offset > export.size:
        what = f"must be at most {export.size}, the size of the file"
        raise InvalidArgument(f"offset {what}", fields={"offset": what})
    place = offset
    while place < export.size:
        async with exports_of(organisation_id, database, deps.sealing) as store:
            found = await store.chunk_at(export.id, place)
        if found is None:
            raise _expired(export.id)
        first_byte, chunk = found
        yield chunk[place - first_byte :]
        place = first_byte + len(chunk)


def _expired(export_id: EventId) -> ExportExpired:
    return ExportExpired(
        "the file of this export has been destroyed; order a new one", export_id=str(export_id)
    )
