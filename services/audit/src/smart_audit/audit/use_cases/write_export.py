"""The bytes of an export, piece by piece: what a stream sends and a job stores.

The events come page by page, each in a short transaction of its own: whoever reads slowly holds
no connection, and no more than a page in memory.
"""

import hashlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

from smart_audit.audit import export_cursor
from smart_audit.audit.domain import MIB, Bytes, OrganisationId, Recorded, StoredCheckpoint
from smart_audit.audit.export_ending import Ending, ending
from smart_audit.audit.exports import Cursor, ExportSpec, Mark, Span
from smart_audit.audit.formats import Format, open_format
from smart_audit.audit.formats.base import Proofs
from smart_audit.audit.repository import Database, LogReader
from smart_audit.audit.use_cases.prove import prove_inclusions

# The work on a page holds up the other calls of the process for some milliseconds.
PAGE_EVENTS = 256
PAGE_BYTES = Bytes(MIB)


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

        Raises: LogDamaged.
        """
        while (page := await self._page(database)) is not None:
            events, proofs, mark = page
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
        # What cannot be cut is known to be whole by itself.
        return ending(self.spec.format, told) if self.format.cuttable else b""

    def _counted(self, piece: bytes) -> bytes:
        self.hashed.update(piece)
        return piece

    def _text(self, cursor: Cursor) -> str:
        return export_cursor.to_text(cursor, self.spec, self.organisation_id)

    async def _page(self, database: Database) -> tuple[list[Recorded], Proofs | None, Mark] | None:
        """The next events, their proofs, and the mark behind them; None behind the last."""
        first = self.mark.log_index
        if first >= self.span.before:
            return None
        before = min(first + PAGE_EVENTS, self.span.before)
        async with database.begin(self.organisation_id) as log:
            events = await log.run(first, before, PAGE_BYTES)
            proofs = await self._prove(events, log)
        return events, proofs, Mark(events[-1].log_index + 1 if events else before)

    async def _prove(self, events: Sequence[Recorded], log: LogReader) -> Proofs | None:
        if self.checkpoint is None:
            return None
        places = [(one.log_index, self.checkpoint.size) for one in events]
        return await prove_inclusions(places, log, await log.head())
