"""The projection as rows: how far it has come, and what search finds events by.

Inserts are raw SQL with columns as binary arrays, as those of the append are, and for its reason.
"""

from collections.abc import Collection, Sequence
from itertools import accumulate
from typing import Any, NamedTuple

import psycopg
from sqlalchemy import and_, delete, func, literal_column, select, tuple_, union, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from smart_audit.audit import arrays
from smart_audit.audit.domain import Event, OrganisationId, Subject
from smart_audit.audit.event_types import EventType
from smart_audit.audit.meaning.phrases import Phrase
from smart_audit.audit.recent import ReadableEvent
from smart_audit.audit.repository.event_types import EventTypeReader
from smart_audit.audit.repository.level import Level, level
from smart_audit.audit.repository.phrases import PhraseStore
from smart_audit.audit.tables import (
    entry_targets,
    payloads,
    phrase_vectors,
    phrases,
    projections,
    search_events,
)
from smart_audit.audit.terms import EventTerms
from smart_audit.core.database import driver_of

INSERT = """
INSERT INTO audit.search_events (organisation_id, recorded_at, log_index, occurred_at, phrase_id,
    actor_id, address, terms, public_terms, target_ids)
SELECT %(organisation_id)s, new.recorded_at, new.log_index, new.occurred_at, new.phrase_id,
    new.actor_id, nullif(new.address, 0), (%(terms)s)[new.first:new.last], new.public_terms,
    new.target_ids::text[]
FROM unnest(%(recorded)s, %(indexes)s, %(occurred)s, %(phrase_ids)s, %(actor_ids)s, %(addresses)s,
    %(firsts)s, %(lasts)s, %(public_terms)s, %(target_ids)s) AS new (recorded_at, log_index,
    occurred_at, phrase_id, actor_id, address, first, last, public_terms, target_ids)
ON CONFLICT DO NOTHING
"""

REPLACE = """
UPDATE audit.search_events AS found
SET terms = (%(terms)s)[new.first:new.last], public_terms = new.public_terms,
    address = nullif(new.address, 0)
FROM unnest(%(recorded)s, %(indexes)s, %(addresses)s, %(firsts)s, %(lasts)s, %(public_terms)s)
    AS new (recorded_at, log_index, address, first, last, public_terms)
WHERE found.organisation_id = %(organisation_id)s AND found.recorded_at = new.recorded_at
    AND found.log_index = new.log_index
"""

DISCARDED = 0
"""The version of no code."""


class ProjectedEvent(NamedTuple):
    """An event as search finds it."""

    readable: ReadableEvent
    phrase: Phrase
    terms: EventTerms


class Progress(NamedTuple):
    """How far a projection has come."""

    size: int
    """How many entries of the log are projected."""
    version: int
    """Of the code that does it."""
    generation: int
    """How often it was made anew."""
    kinds: int
    """How often its kinds of event have changed since."""


class ProjectionStore:
    """The projection of one log, in one transaction."""

    def __init__(self, connection: AsyncConnection, organisation_id: OrganisationId) -> None:
        self._connection = connection
        self._organisation_id = organisation_id
        self.kinds = PhraseStore(connection, organisation_id)
        """The kinds of event, to which the projected events point."""

    async def lock(self, version: int) -> Progress | None:
        """How far it has come; None while another process is at it.

        version: of a projection that begins now.
        """
        statement = (
            select(*(projections.c[name] for name in Progress._fields))
            .where(projections.c.organisation_id == self._organisation_id)
            .with_for_update(skip_locked=True)
        )
        row = (await self._connection.execute(statement)).one_or_none()
        if row is None:
            begun = insert(projections).values(
                organisation_id=self._organisation_id, size=0, version=version, generation=0
            )
            await self._connection.execute(begun.on_conflict_do_nothing())
            row = (await self._connection.execute(statement)).one_or_none()
        return None if row is None else Progress(*row)

    async def level(self) -> Level:
        """How far it and the log have come."""
        return await level(self._connection, self._organisation_id)

    async def advance(self, progress: Progress) -> None:
        """Say how far it has come; it must be locked."""
        await self._connection.execute(
            update(projections)
            .where(projections.c.organisation_id == self._organisation_id)
            .values(progress._asdict())
        )

    async def discard(self) -> None:
        """Have all of it made anew, by whoever projects next."""
        await self._connection.execute(
            update(projections)
            .where(projections.c.organisation_id == self._organisation_id)
            .values(version=DISCARDED)
        )

    async def event_types(self, actions: Collection[str]) -> dict[str, EventType]:
        """What the registry says of actions."""
        return await EventTypeReader(self._connection, self._organisation_id).latest(actions)

    async def add_events(self, events: Sequence[ProjectedEvent]) -> None:
        """Add events; those that are there already stay as they are."""
        connection = await self.driver()
        columns = self._columns(events) | {
            "occurred": arrays.times([event.readable.event.occurred_at for event in events]),
            "phrase_ids": arrays.bigints([event.phrase.id for event in events]),
            "actor_ids": arrays.texts([event.readable.event.actor.id for event in events]),
            "target_ids": arrays.texts([_targets(event.readable.event) for event in events]),
        }
        await connection.execute(INSERT, columns)

    async def replace_terms(self, events: Sequence[ProjectedEvent]) -> None:
        """Give events the terms that they have now."""
        connection = await self.driver()
        await connection.execute(REPLACE, self._columns(events))

    async def cut_terms(self, indexes: Collection[int]) -> None:
        """Leave events the terms of their public facts alone."""
        if indexes:
            await self._connection.execute(
                update(search_events)
                .where(
                    search_events.c.organisation_id == self._organisation_id,
                    search_events.c.log_index.in_(list(indexes)),
                )
                .values(terms=literal_column("terms[1:public_terms]"), address=None)
            )

    async def concerning(self, subject: Subject, before: int, first: int, limit: int) -> list[int]:
        """Places of projected events that name a subject, from `first` on, in order."""
        acting = select(payloads.c.log_index).where(
            payloads.c.organisation_id == self._organisation_id,
            payloads.c.actor_id == subject.id,
        )
        named = select(entry_targets.c.log_index).where(
            entry_targets.c.organisation_id == self._organisation_id,
            entry_targets.c.target_id == subject.id,
        )
        found = union(acting, named).subquery()
        statement = (
            select(found.c.log_index)
            .where(found.c.log_index >= first, found.c.log_index < before)
            .order_by(found.c.log_index)
            .limit(limit)
        )
        return list(await self._connection.scalars(statement))

    async def clear(self, limit: int) -> int:
        """Remove some events of the projection; gives how many. Then, if none are left, phrases."""
        key = tuple_(search_events.c.recorded_at, search_events.c.log_index)
        mine = search_events.c.organisation_id == self._organisation_id
        some = select(search_events.c.recorded_at, search_events.c.log_index).where(mine)
        removed = await self._connection.execute(
            delete(search_events)
            .where(and_(mine, key.in_(some.limit(limit))))
            .returning(search_events.c.log_index)
        )
        count = len(removed.all())
        if not count:
            for table in (phrase_vectors, phrases):
                await self._connection.execute(
                    delete(table).where(table.c.organisation_id == self._organisation_id)
                )
        return count

    async def driver(self) -> "psycopg.AsyncConnection[Any]":
        """The driver's own connection, which takes columns."""
        connection = await driver_of(self._connection)
        arrays.register(connection)
        return connection

    def _columns(self, events: Sequence[ProjectedEvent]) -> dict[str, Any]:
        # Arrays of one length each would be needed for an array of them: they lie in one.
        terms = [one for event in events for one in (*event.terms.public, *event.terms.sealed)]
        counts = [len(event.terms.public) + len(event.terms.sealed) for event in events]
        lasts = list(accumulate(counts))
        return {
            "organisation_id": self._organisation_id,
            "recorded": arrays.times([event.readable.recorded_at for event in events]),
            "indexes": arrays.bigints([event.readable.log_index for event in events]),
            "addresses": arrays.bigints([event.terms.address or 0 for event in events]),
            "terms": arrays.bigints(terms),
            "firsts": arrays.bigints(
                [last - count + 1 for last, count in zip(lasts, counts, strict=True)]
            ),
            "lasts": arrays.bigints(lasts),
            "public_terms": arrays.smallints([len(event.terms.public) for event in events]),
        }


def _targets(event: Event) -> str:
    """The ids of an event's targets, each once, as an array's text."""
    quoted = (
        '"' + id_.replace("\\", r"\\").replace('"', r"\"") + '"'
        for id_ in dict.fromkeys(target.id for target in event.targets)
    )
    return f"{{{','.join(quoted)}}}"


async def organisations_to_project(
    connection: AsyncConnection, version: int
) -> Sequence[OrganisationId]:
    """The organisations whose projection is behind their log, or of another version."""
    called = func.audit.organisations_to_project(version)
    return (await connection.scalars(select(called))).all()


async def organisations(connection: AsyncConnection) -> Sequence[OrganisationId]:
    """All organisations that have a log."""
    return (await connection.scalars(select(func.audit.organisations()))).all()
