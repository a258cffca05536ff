"""The targets of events, by which they are found: those of the leaves, all of them, no others."""

from collections import Counter
from collections.abc import AsyncIterator
from datetime import datetime
from typing import NamedTuple

from smart_audit.audit import arrays
from smart_audit.audit.domain import Event
from smart_audit.audit.integrity.findings import log_index
from smart_audit.audit.integrity.rows import EntryRow
from smart_audit.audit.integrity.snapshot import Snapshot, holes
from smart_audit.audit.leaves import to_event
from smart_audit.tlog.leaf import open_leaf

FIND = """
SELECT target.log_index, target.target_id
FROM unnest(%(target_ids)s, %(occurred)s, %(indexes)s, %(recorded)s)
    AS wanted (target_id, occurred_at, log_index, recorded_at)
JOIN audit.entry_targets AS target
    ON target.organisation_id = %(organisation_id)s AND target.target_id = wanted.target_id
    AND target.occurred_at = wanted.occurred_at AND target.log_index = wanted.log_index
    AND target.recorded_at = wanted.recorded_at
"""

COUNT = "SELECT count(*) FROM audit.entry_targets WHERE organisation_id = %(organisation_id)s"

ALL = """
SELECT target.target_id, target.occurred_at, target.log_index, target.recorded_at,
    payload.occurred_at, payload.leaf
FROM audit.entry_targets AS target
LEFT JOIN audit.payloads AS payload
    ON payload.organisation_id = %(organisation_id)s
    AND payload.recorded_at = target.recorded_at AND payload.log_index = target.log_index
WHERE target.organisation_id = %(organisation_id)s
"""


class Found(NamedTuple):
    """A row that is there."""

    log_index: int
    target_id: str


class TargetRow(NamedTuple):
    """A row, and of the content that it leads to: the time, and the leaf."""

    target_id: str
    occurred_at: datetime
    log_index: int
    recorded_at: datetime
    content_occurred_at: datetime | None
    leaf: bytes | None


class Targets:
    """Checks the targets of a log, a page of entries at a time."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._page: list[tuple[EntryRow, Event, str]] = []
        self._found = 0

    def want(self, row: EntryRow, event: Event) -> None:
        """Look for the targets of an event once the page is complete."""
        self._page += [(row, event, target_id) for target_id in {one.id for one in event.targets}]

    async def end(self) -> None:
        """Report what is missing of the targets of this page."""
        page, self._page = self._page, []
        if not page:
            return
        rows = await self._snapshot.fetch(
            Found,
            FIND,
            {
                "target_ids": arrays.texts([target_id for _, _, target_id in page]),
                "occurred": arrays.times([event.occurred_at for _, event, _ in page]),
                "indexes": arrays.bigints([row.log_index for row, _, _ in page]),
                "recorded": arrays.times([row.recorded_at for row, _, _ in page]),
            },
        )
        found = Counter(rows)
        self._found += found.total()
        for row, _, target_id in page:
            times = found[Found(row.log_index, target_id)]
            if times != 1:
                problem = f"is there {times} times" if times else "is missing"
                self._report(row.log_index, target_id, problem)

    async def finish(self) -> AsyncIterator[None]:
        """Report the rows to which no event leads. All pages have been looked at.

        It pauses now and then, so that findings can be taken away.
        """
        count = await self._snapshot.count(COUNT)
        # Only when there is something wrong it is worth reading them all.
        if count == self._found and not self._snapshot.reported:
            return
        async for page in self._snapshot.pages(TargetRow, ALL):
            for row in page:
                if problem := _problem(row):
                    self._report(row.log_index, row.target_id, problem)
            yield

    def _report(self, index: int | None, target_id: str | None, problem: str) -> None:
        place = "a row without log index" if index is None else log_index(index)
        self._snapshot.report("entry_targets", f"{place}, target {target_id!r}", problem)


def _problem(row: TargetRow) -> str:
    if problem := holes(row, "content_occurred_at", "leaf"):
        return problem
    if row.leaf is None:
        return "there is no event with content of this time and log index"
    if row.occurred_at != row.content_occurred_at:
        return "its event occurred at another time"
    try:
        event = to_event(open_leaf(row.leaf, []))
    except (KeyError, TypeError, ValueError):
        return ""  # the event itself is reported
    named = any(target.id == row.target_id for target in event.targets)
    return "" if named else "its event has no such target"
