"""What the log's own events tell of: settings, holds, erasures, retention. The rows restate it."""

from datetime import UTC, datetime
from typing import NamedTuple
from uuid import UUID

from smart_audit.audit.domain import Target
from smart_audit.audit.governance import (
    ERASE_SUBJECT,
    PLACE_HOLD,
    READS,
    RELEASE_HOLD,
    RUN_RETENTION,
    UPDATE_SETTINGS,
    Readers,
)
from smart_audit.audit.integrity.content import Content
from smart_audit.audit.integrity.snapshot import Snapshot
from smart_audit.audit.leaves import time_text, to_event
from smart_audit.tlog.hashing import leaf_hash
from smart_audit.tlog.leaf import open_leaf

RUNS = """
SELECT payload.log_index, payload.leaf, entry.leaf_hash FROM audit.payloads AS payload
JOIN audit.entries AS entry
    ON entry.organisation_id = %(organisation_id)s AND entry.log_index = payload.log_index
WHERE payload.organisation_id = %(organisation_id)s AND payload.action = %(action)s
    AND payload.permanent AND payload.log_index > %(after)s
ORDER BY payload.log_index
"""

SETTINGS = """
SELECT event_id, retention_days, readers, records_reads FROM audit.log_settings
WHERE organisation_id = %(organisation_id)s
"""

HOLD = """
SELECT subject_type, subject_id, target_id, period_from, period_before, reason, placed_by,
    placed_at, released_at
FROM audit.holds WHERE organisation_id = %(organisation_id)s AND hold_id = %(hold_id)s
"""

UNPLACED_HOLDS = """
SELECT hold.hold_id FROM audit.holds AS hold
WHERE hold.organisation_id = %(organisation_id)s AND NOT EXISTS (
    SELECT FROM audit.entries AS entry
    JOIN audit.payloads AS payload
        ON payload.organisation_id = %(organisation_id)s
        AND payload.recorded_at = entry.recorded_at AND payload.log_index = entry.log_index
    WHERE entry.organisation_id = %(organisation_id)s AND entry.event_id = hold.hold_id
        AND payload.permanent AND payload.action = %(action)s
)
"""

UNRELEASED_HOLDS = """
SELECT hold.hold_id FROM audit.holds AS hold
WHERE hold.organisation_id = %(organisation_id)s AND hold.released_at IS NOT NULL
    AND NOT EXISTS (
        SELECT FROM audit.entry_targets AS target
        JOIN audit.payloads AS payload
            ON payload.organisation_id = %(organisation_id)s
            AND payload.recorded_at = target.recorded_at
            AND payload.log_index = target.log_index
        WHERE target.organisation_id = %(organisation_id)s
            AND target.target_id = hold.hold_id::text
            AND payload.permanent AND payload.action = %(action)s
    )
"""

ERASED_KEYS = """
SELECT count(*) FROM audit.subject_keys
WHERE organisation_id = %(organisation_id)s AND erased_by = %(event_id)s
    AND subject_type = %(type)s AND subject_id = %(id)s AND wrapped_key IS NULL
"""

LONG_AGO = datetime(1, 1, 1, tzinfo=UTC)


class RunRow(NamedTuple):
    """An event of retention as it is stored, and its hash as the entry has it."""

    log_index: int
    leaf: bytes
    leaf_hash: bytes


class SettingsRow(NamedTuple):
    """The settings of a log."""

    event_id: UUID
    retention_days: int
    readers: int
    records_reads: bool


class HoldRow(NamedTuple):
    """A hold; what it does not cover is empty."""

    subject_type: str | None
    subject_id: str | None
    target_id: str | None
    period_from: datetime | None
    period_before: datetime | None
    reason: str
    placed_by: str
    placed_at: datetime
    released_at: datetime | None


class Restated:
    """Follows the log's own events, and holds the rows against them."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._settings: SettingsRow | None = None
        self._before = LONG_AGO
        self._told = 0
        self._sure = True
        self._last_run = -1

    async def resume(self) -> None:
        """Look how far retention has come, which is told behind what it has removed."""
        parameters = {"action": RUN_RETENTION, "after": self._last_run}
        async for page in self._snapshot.pages(RunRow, RUNS, parameters):
            for row in page:
                self._last_run = row.log_index
                if None not in row and leaf_hash(row.leaf) == row.leaf_hash:
                    self._before = max(self._before, _recorded_before(row.leaf))

    def unsure(self) -> None:
        """An entry is damaged or missing, so that nothing can be counted."""
        self._sure = False

    def missing(self, recorded_at: datetime, *, permanent: bool) -> str:
        """What is wrong with an entry that has no content; nothing if retention may have it."""
        if permanent:
            self._sure = False
            return "the content of this event of the log itself is missing"
        if recorded_at >= self._before:
            self._sure = False
            return "is missing, and retention has not removed it"
        return ""

    async def tell(self, event_id: UUID, content: Content | None) -> None:
        """Follow an event of the log itself; None if its content is damaged."""
        if content is None:
            self._sure = False
            return
        event = content.event
        facts = {target.type: target.id for target in event.targets}
        match event.action:
            case action if action == UPDATE_SETTINGS:
                readers = Readers[facts["readers"].upper()]
                days, reads = int(facts["retention_days"]), facts.get(READS) != "off"
                self._settings = SettingsRow(event_id, days, readers, reads)
            case action if action == PLACE_HOLD:
                await self._placed(event_id, content)
            case action if action == RELEASE_HOLD:
                await self._released(UUID(facts["hold"]), event.occurred_at)
            case action if action == ERASE_SUBJECT:
                await self._erased(event_id, facts)
            case action if action == RUN_RETENTION:
                self._told += int(facts["removed"])

    def removed(self, missing: int) -> bool:
        """Whether retention has told of removing the content of so many events."""
        return missing == self._told

    def check_removed(self, missing: int) -> None:
        """Compare of how many events the content is missing, and of how many it was removed."""
        if self._sure and not self.removed(missing):
            self._snapshot.report(
                "payloads",
                f"recorded before {time_text(self._before)}",
                f"{missing} events have no content, and retention removed that of {self._told}",
            )

    async def finish(self) -> None:
        """Compare what can only be told at the end."""
        rows = await self._snapshot.fetch(SettingsRow, SETTINGS)
        expected = [] if self._settings is None else [self._settings]
        if self._sure and rows != expected:
            self._snapshot.report("log_settings", "", "not as the log's own events set them")
        await self._report_holds(UNPLACED_HOLDS, PLACE_HOLD, "no event has placed it")
        await self._report_holds(UNRELEASED_HOLDS, RELEASE_HOLD, "no event has released it")

    async def _placed(self, hold_id: UUID, content: Content) -> None:
        event = content.event
        rows = await self._hold(hold_id)
        for row in rows:
            reason = event.metadata.get("reason", "")
            if "metadata" in content.erased:
                reason = row.reason
            stated = event.targets, reason, event.actor.id, event.occurred_at
            if stated != (_covered(row), row.reason, row.placed_by, row.placed_at):
                self._report_hold(hold_id, "is not as the event says that placed it")

    async def _released(self, hold_id: UUID, at: datetime) -> None:
        for row in await self._hold(hold_id):
            if row.released_at != at:
                self._report_hold(hold_id, "was released, and released_at tells otherwise")

    async def _hold(self, hold_id: UUID) -> list[HoldRow]:
        rows = await self._snapshot.fetch(HoldRow, HOLD, {"hold_id": hold_id})
        if len(rows) != 1:
            self._report_hold(hold_id, "is there more than once" if rows else "is missing")
        return rows

    async def _erased(self, event_id: UUID, facts: dict[str, str]) -> None:
        subject = {"type": facts["erased_subject_type"], "id": facts["erased_subject"]}
        parameters = {"event_id": event_id, **subject}
        count = await self._snapshot.count(ERASED_KEYS, parameters)
        if count != 1:
            self._snapshot.report(
                "subject_keys",
                f"subject {subject['type']} {subject['id']!r}",
                f"{count} keys are destroyed by event {event_id}, which destroyed one",
            )

    async def _report_holds(self, query: str, action: str, problem: str) -> None:
        async for page in self._snapshot.pages(_hold_id, query, {"action": action}):
            for hold_id in page:
                self._report_hold(hold_id, problem)

    def _report_hold(self, hold_id: UUID | None, problem: str) -> None:
        self._snapshot.report("holds", f"hold {hold_id}", problem)


def _hold_id(hold_id: UUID | None) -> UUID | None:
    return hold_id


def _recorded_before(leaf: bytes) -> datetime:
    """The end of the span of time that an event of retention is about."""
    try:
        event = to_event(open_leaf(leaf, []))
        facts = {target.type: target.id for target in event.targets}
        return datetime.fromisoformat(facts["recorded_before"])
    except (KeyError, TypeError, ValueError):
        return LONG_AGO


def _covered(row: HoldRow) -> tuple[Target, ...]:
    """What the event states that placed a hold."""
    columns = {
        "held_subject_type": row.subject_type,
        "held_subject": row.subject_id,
        "held_target": row.target_id,
        "held_from": row.period_from,
        "held_before": row.period_before,
    }
    return tuple(
        Target(time_text(value) if isinstance(value, datetime) else value, kind)
        for kind, value in columns.items()
        if value is not None
    )
