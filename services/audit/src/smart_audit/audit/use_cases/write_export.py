"""The bytes of an export, piece by piece: what a stream sends and a job stores.

The events come page by page, each in a short transaction of its own: whoever reads slowly holds
no connection, and no more than a page in memory.
"""

import hashlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from smart_audit.audit import export_cursor
from smart_audit.audit.domain import (
    MIB,
    Bytes,
    OrganisationId,
    Position,
    Recorded,
    StoredCheckpoint,
)
from smart_audit.audit.export_ending import Ending, ending
from smart_audit.audit.exports import Cursor, ExportSpec, Mark, Span
from smart_audit.audit.filters import Expression, conjunction, parse_filter
from smart_audit.audit.formats import Format, open_format
from smart_audit.audit.formats.base import Proofs
from smart_audit.audit.repository import Database, LogReader
from smart_audit.audit.use_cases.projected import projected
from smart_audit.audit.use_cases.prove import prove_inclusions
from smart_audit.core.errors import Unavailable

# To open, check and write an event takes a few tenths of a millisecond, and the work on a page
# holds up the other calls of the process.
PAGE_EVENTS = 64
PAGE_BYTES = Bytes(MIB)
# By a filter, many are found at once, and few are read at once: nobody knows how large they are.
FOUND_EVENTS = 1_024
READ_EVENTS = 64
PROJECTION_PATIENCE = timedelta(seconds=10)

Page = tuple[Sequence[Recorded], Proofs | None, Mark]
"""Events, their proofs if there shall be some, and the mark behind them."""


@dataclass(slots=True)
class Writing:
    """A file in the making: of the part `span` of a log, from `mark` on.

    checkpoint: what proofs lead to; None for an export without proofs.
    fresh: whether the file begins here.
    """

    organisation_id: OrganisationId
    spec: ExportSpec
    span: Span
    mark: Mark
    checkpoint: StoredCheckpoint | None = None
    fresh: bool = True
    events: int = 0
    """Written so far."""
    hashed: "hashlib._Hash" = field(default_factory=hashlib.sha256)
    """Of the bytes so far."""
    format: Format = field(init=False)

    def __post_init__(self) -> None:
        self.format = open_format(self.spec.format)

    @property
    def cursor(self) -> str:
        """Where to go on with this export, if it breaks off here."""
        return self._text(Cursor(self.span, self.mark))

    def begin(self) -> bytes:
        """What stands in front of the first event."""
        return self._counted(self.format.begin()) if self.fresh else b""

    async def pages(self, database: Database) -> AsyncIterator[bytes]:
        """The pieces that hold events; each may be empty. `mark` is behind the last one.

        Raises: LogDamaged, Unavailable.
        """
        pages = self._by_filter(database) if self.spec.filter else self._by_index(database)
        async for events, proofs, mark in pages:
            piece = self._counted(self.format.lines(events, proofs))
            self.events += len(events)
            self.mark = mark
            yield piece

    def end(self) -> bytes:
        """What stands behind the last event, with the record that says that all is there."""
        rest = self._counted(self.format.end())
        since = self._text(Cursor(Span(self.span.before, 0), Mark(self.span.before)))
        note = self.checkpoint.cosigned_note if self.checkpoint else ""
        return rest + self._counted(self._ending(since, checkpoint=note))

    def broken_off(self, reason: str) -> bytes:
        """What stands behind the last event when no more can be had."""
        return self._ending(self.cursor, reason=reason)

    def _ending(self, cursor: str, **more: str) -> bytes:
        told = Ending(self.events, self.hashed.hexdigest(), cursor, **more)
        return ending(self.spec.format, told)

    def _counted(self, piece: bytes) -> bytes:
        self.hashed.update(piece)
        return piece

    def _text(self, cursor: Cursor) -> str:
        return export_cursor.to_text(cursor, self.spec, self.organisation_id)

    async def _by_index(self, database: Database) -> AsyncIterator[Page]:
        """All events, in the order of the log."""
        first = self.mark.log_index
        while first < self.span.before:
            limit = min(PAGE_EVENTS, self.span.before - first)
            async with database.begin(self.organisation_id) as log:
                stretch = await log.events_from(first, limit, PAGE_BYTES)
                proofs = await self._prove(stretch.events, log)
            # Where entries are missing, which the verification tells of, it goes on behind them.
            first = stretch.end if stretch.end > first else first + limit
            yield stretch.events, proofs, Mark(first)

    async def _by_filter(self, database: Database) -> AsyncIterator[Page]:
        """The events that the filter asks for, in the order of time."""
        asked = _within(self.spec.filter, self.span)
        after = self.mark.after
        while True:
            await projected(self.organisation_id, database, PROJECTION_PATIENCE)
            async with database.finding(self.organisation_id) as finder:
                found = await finder.places(asked, after, FOUND_EVENTS, oldest_first=True)
            await self._check_projection(database)
            for first in range(0, len(found), READ_EVENTS):
                yield await self._read(found[first : first + READ_EVENTS], database)
            if len(found) < FOUND_EVENTS:
                return
            after = found[-1]

    async def _check_projection(self, database: Database) -> None:
        """What was found is all there is, unless the projection lacks a part of the log.

        Raises: Unavailable.
        """
        async with database.projecting(self.organisation_id) as store:
            size = (await store.level()).projected
        if size < self.span.before:
            raise Unavailable(
                f"search knows {size} events of {self.span.before} so far; retry in a while, or"
                " export without a filter"
            )

    async def _read(self, places: Sequence[Position], database: Database) -> Page:
        async with database.begin(self.organisation_id) as log:
            recorded = await log.recorded(place.log_index for place in places)
            # Retention may have removed the content of some a moment ago.
            indexes = [place.log_index for place in places if place.log_index in recorded]
            events = [recorded[index] for index in indexes]
            return events, await self._prove(events, log), Mark(0, places[-1])

    async def _prove(self, events: Sequence[Recorded], log: LogReader) -> Proofs | None:
        if self.checkpoint is None:
            return None
        places = [(one.log_index, self.checkpoint.size) for one in events]
        return await prove_inclusions(places, log, await log.head())


def _within(text: str, span: Span) -> Expression:
    """What a filter asks for, in a part of the log."""
    inside = parse_filter(f"log_index >= {span.first} AND log_index < {span.before}")
    return conjunction([one for one in (parse_filter(text), inside) if one is not None])
