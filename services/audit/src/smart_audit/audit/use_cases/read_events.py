"""Read events back, with or without what proves them."""

from collections.abc import AsyncIterator, Collection, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from smart_audit.audit.domain import (
    MAX_PAGE_BYTES,
    EventId,
    Filter,
    InclusionProof,
    OrganisationId,
    Position,
    Recorded,
    StoredCheckpoint,
)
from smart_audit.audit.errors import EventExpired, EventNotFound, FieldUnknown
from smart_audit.audit.filters import Expression, conditions_of, conjunction
from smart_audit.audit.leaves import to_event
from smart_audit.audit.repository import Database, LogReader
from smart_audit.audit.repository.event_finder import EventFinder
from smart_audit.audit.use_cases.checkpoint import Checkpointing, get_checkpoint
from smart_audit.audit.use_cases.projected import projected
from smart_audit.audit.use_cases.prove import prove_inclusions
from smart_audit.tlog.disclosure import Disclosure
from smart_audit.tlog.leaf import open_leaf


@dataclass(frozen=True, slots=True)
class Proven:
    """Events, and a signed checkpoint with the path from each of them to its root."""

    events: Sequence[Recorded]
    proofs: Sequence[InclusionProof]
    checkpoint: StoredCheckpoint


@dataclass(frozen=True, slots=True)
class Listing:
    """Which page of events to list; the filter's expression is joined to `narrow` by AND."""

    narrow: Filter
    expression: Expression | None
    oldest_first: bool
    after: Position | None
    limit: int


async def get_event(
    event_id: EventId, organisation_id: OrganisationId, database: Database
) -> Recorded:
    """One event. Raises: EventNotFound, EventExpired, LogDamaged."""
    async with database.begin(organisation_id) as log:
        recorded = await log.get(event_id)
        if recorded is None:
            await _explain(event_id, log)
            raise EventNotFound("no such event in this log", event_id=str(event_id))
        return recorded


async def get_event_proven(
    event_id: EventId, organisation_id: OrganisationId, database: Database, deps: Checkpointing
) -> Proven:
    """One event with its proof. Raises: EventNotFound, EventExpired, LogDamaged."""
    recorded = await get_event(event_id, organisation_id, database)
    return await prove_events([recorded], organisation_id, database, deps)


async def disclose_event(
    event_id: EventId,
    fields: Collection[str],
    organisation_id: OrganisationId,
    database: Database,
    deps: Checkpointing,
) -> Proven:
    """One event with its proof, of which only some fields are shown.

    Raises: EventNotFound, EventExpired, FieldUnknown, LogDamaged.
    """
    proven = await get_event_proven(event_id, organisation_id, database, deps)
    (recorded,) = proven.events
    by_name = {Disclosure.parse(text).name: text for text in recorded.disclosures}
    for field in fields:
        if field not in by_name:
            has = ", ".join(by_name) or "none"
            raise FieldUnknown(
                f"the event has no field {field} to disclose; it has {has}",
                fields={"fields": f"must be among: {has}"},
                field=field,
                event_id=str(event_id),
            )
    chosen = [text for name, text in by_name.items() if name in fields]
    event = to_event(open_leaf(recorded.leaf, chosen))
    shown = recorded._replace(event=event, disclosures=chosen)
    return replace(proven, events=[shown])


async def list_events(
    listing: Listing, organisation_id: OrganisationId, database: Database
) -> tuple[list[Recorded], Position | None]:
    """A page of events in order of time, and where it ends if there are more.

    Raises: LogDamaged.
    """
    wanted, order = listing.limit + 1, {"oldest_first": listing.oldest_first}
    if listing.expression is None:
        async with database.begin(organisation_id) as log:
            found = await log.page(listing.narrow, listing.after, wanted, **order)
    else:
        asked = conjunction([*conditions_of(listing.narrow), listing.expression])
        async with _finding(organisation_id, database) as finder:
            found = await finder.page(asked, listing.after, wanted, **order)
    page = found[: how_many_fit(found[: listing.limit])]
    if len(page) == len(found):
        return page, None
    last = page[-1]
    return page, Position(last.event.occurred_at, last.log_index)


@asynccontextmanager
async def _finding(
    organisation_id: OrganisationId, database: Database
) -> AsyncIterator[EventFinder]:
    """One transaction that finds what was recorded before.

    The projection is level as a rule. Nobody waits for it in a transaction: those that it needs
    might all be waiting.
    """
    async with database.finding(organisation_id) as finder:
        if await finder.is_level():
            yield finder
            return
    await projected(organisation_id, database)
    async with database.finding(organisation_id) as finder:
        yield finder


async def prove_events(
    events: Sequence[Recorded],
    organisation_id: OrganisationId,
    database: Database,
    deps: Checkpointing,
) -> Proven:
    """Prove events that were read before. Raises: LogDamaged."""
    # Signed after they were read, so that it covers them all.
    checkpoint = (await get_checkpoint(organisation_id, database, deps)).checkpoint
    places = [(one.log_index, checkpoint.size) for one in events]
    async with database.begin(organisation_id) as log:
        proofs = await prove_inclusions(places, log, await log.head())
    return Proven(events, proofs, checkpoint)


async def _explain(event_id: EventId, log: LogReader) -> None:
    """Raises: EventExpired when the log keeps the event's hash alone."""
    placed = await log.place_of(event_id)
    if placed is not None:
        raise EventExpired(
            "retention has removed the content of this event; its hash is still in the log",
            event_id=str(event_id),
            log_index=str(placed.log_index),
        )


def how_many_fit(found: Iterable[Recorded]) -> int:
    """How many of the first events fit into one answer: one at least, if there is any.

    Source: AIP-158, by which pages may be short.
    """
    size, count = 0, 0
    for one in found:
        size += one.size
        if count and size > MAX_PAGE_BYTES:
            break
        count += 1
    return count
