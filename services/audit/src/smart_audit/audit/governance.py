"""A log's settings, legal holds, erasures: what they are, and which facts of events state them.

The log's own events tell of each change, by targets: those are public facts, so that whoever holds
the leaves can tell the state of all this without the database. No I/O.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum

from smart_audit.audit.domain import Event, EventId, Subject, Target
from smart_audit.audit.leaves import time_text

SOURCE = "smart-audit.audit"
"""The source of the log's own events; nobody else may use it."""

UPDATE_SETTINGS = "log.settings.update"
PLACE_HOLD = "log.hold.place"
RELEASE_HOLD = "log.hold.release"
RUN_RETENTION = "log.retention.run"
ERASE_SUBJECT = "subject.erase"
INTEGRITY_FAILED = "log.integrity.failed"

READS = "reads"
"""The fact of an event of settings that tells whether reads are recorded. Old events lack it."""


class Readers(IntEnum):
    """Who may read a log's checkpoint, tiles and entry bundles; the numbers of the protocol."""

    MEMBERS = 1
    PUBLIC = 2


@dataclass(frozen=True, slots=True)
class LogSettings:
    """How a log is kept."""

    retention_days: int = 0
    """For how long events keep their content; 0 keeps it for ever."""
    readers: Readers = Readers.MEMBERS
    records_reads: bool = True
    """Whether reading the log is an event of it."""

    def facts(self) -> tuple[Target, ...]:
        """What the event states that sets them."""
        return (
            Target(str(self.retention_days), "retention_days"),
            Target(self.readers.name.lower(), "readers"),
            Target("on" if self.records_reads else "off", READS),
        )


@dataclass(frozen=True, slots=True)
class HeldTarget:
    """All events with a target of this id."""

    id: str


@dataclass(frozen=True, slots=True)
class Period:
    """All events that occurred at `first` or later, and before `before`."""

    first: datetime
    before: datetime


Held = Subject | HeldTarget | Period
"""What a hold covers; a subject stands for all events whose actor or target has its id."""


@dataclass(frozen=True, slots=True)
class Hold:
    """A legal hold. Its id is that of the event that placed it."""

    id: EventId
    held: Held
    reason: str
    placed_by: str
    placed_at: datetime
    released_at: datetime | None = None

    @property
    def position(self) -> "HoldPosition":
        """Its place in the list of holds."""
        return HoldPosition(self.placed_at, self.id)


@dataclass(frozen=True, slots=True)
class HoldPosition:
    """Where a page of holds ends."""

    placed_at: datetime
    id: EventId


@dataclass(frozen=True, slots=True)
class Erasure:
    """The event that tells of a person's erasure."""

    event_id: EventId
    log_index: int
    erased_at: datetime


def hold_facts(held: Held) -> tuple[Target, ...]:
    """What the event states that places a hold. The types are none of a person."""
    match held:
        case Subject():
            return Target(held.type, "held_subject_type"), Target(held.id, "held_subject")
        case HeldTarget():
            return (Target(held.id, "held_target"),)
        case Period():
            return (
                Target(time_text(held.first), "held_from"),
                Target(time_text(held.before), "held_before"),
            )


def release_facts(hold_id: EventId) -> tuple[Target, ...]:
    """What the event states that releases a hold."""
    return (Target(str(hold_id), "hold"),)


def erasure_facts(subject: Subject) -> tuple[Target, ...]:
    """What the event states that erases a person. The types are none of a person."""
    return Target(subject.type, "erased_subject_type"), Target(subject.id, "erased_subject")


def erased_subject(event: Event) -> Subject | None:
    """Whom an event erases, if it is one of the log's own that tells of an erasure."""
    if event.action != ERASE_SUBJECT or event.source != SOURCE:
        return None
    facts = {target.type: target.id for target in event.targets}
    type_, id_ = facts.get("erased_subject_type"), facts.get("erased_subject")
    # One that was refused names nobody.
    return None if type_ is None or id_ is None else Subject(type_, id_)


def retention_facts(recorded_before: datetime, removed: int) -> tuple[Target, ...]:
    """What the event states that removes content: of how many events recorded before a time."""
    return Target(time_text(recorded_before), "recorded_before"), Target(str(removed), "removed")


def damage_facts(table: str, place: str) -> tuple[Target, ...]:
    """What the event states that tells of damage: the table, and the row in words."""
    return Target(table, "table"), Target(place or "the table as a whole", "place")
