"""Exports: what they are, how far they have come. No I/O."""

from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from typing import NamedTuple
from uuid import UUID

from smart_audit.audit.domain import EventId, OrganisationId, Position
from smart_audit.audit.formats import FormatName

CREATE_EXPORT = "audit.export.create"
CANCEL_EXPORT = "audit.export.cancel"
DELETE_EXPORT = "audit.export.delete"


class ExportState(IntEnum):
    """How far an export has come; the numbers are those of the protocol."""

    PENDING = 1
    RUNNING = 2
    SUCCEEDED = 3
    FAILED = 4
    CANCELLED = 5
    EXPIRED = 6
    DELETED = 7
    """Not of the protocol: nobody sees it any more, and its rows are about to go."""

    @property
    def is_done(self) -> bool:
        """Whether nothing more will become of it."""
        return self not in UNFINISHED


UNFINISHED = (ExportState.PENDING, ExportState.RUNNING)


@dataclass(frozen=True, slots=True)
class ExportSpec:
    """What is exported, and how."""

    format: FormatName = FormatName.JSONL
    filter: str = ""
    """In the language of ListEvents; all events when empty."""
    proofs: bool = False


class Span(NamedTuple):
    """A part of a log, by index: what an export is of, however much the log grows meanwhile."""

    first: int
    before: int
    """0 for all there is when the export begins."""


class Mark(NamedTuple):
    """A place in an export: what is in front of it has been handed out."""

    log_index: int
    """Of the next event, in an export in the order of the log."""
    after: Position | None = None
    """Of the last event, in an export in the order of time."""


class Cursor(NamedTuple):
    """Where an export goes on."""

    span: Span
    mark: Mark


@dataclass(frozen=True, slots=True)
class Export:
    """An export that was ordered. Its id is that of the event that tells of the order."""

    id: EventId
    spec: ExportSpec
    log_size: int
    created_by: str
    created_at: datetime
    state: ExportState = ExportState.PENDING
    events: int = 0
    size: int = 0
    """Bytes of its file so far."""
    sha256: bytes = b""
    failure: str = ""
    """The reason of `ErrorReason`, of one that has failed."""
    message: str = ""
    """The failure in words."""
    finished_at: datetime | None = None
    expires_at: datetime | None = None

    @property
    def position(self) -> "ExportPosition":
        """Its place in the list of exports."""
        return ExportPosition(self.created_at, self.id)


@dataclass(frozen=True, slots=True)
class ExportPosition:
    """Where a page of exports ends."""

    created_at: datetime
    id: EventId


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run of an export has come."""

    mark: Mark
    events: int
    size: int
    """Bytes."""


@dataclass(frozen=True, slots=True)
class Claimed:
    """An export that this process writes, as long as nobody takes the lease from it."""

    organisation_id: OrganisationId
    export: Export
    lease: UUID
    progress: Progress
    key: bytes | None
    """What its file is sealed under, wrapped; None as long as nothing is written."""
    attempts: int
    """How often it was begun since it last came forward."""
