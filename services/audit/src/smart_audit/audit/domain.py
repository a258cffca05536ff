"""Events, receipts, proofs: what they are. No I/O."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import IntEnum
from typing import Any, NewType
from uuid import UUID

EventId = NewType("EventId", UUID)
OrganisationId = NewType("OrganisationId", UUID)
Bytes = NewType("Bytes", int)

KIB = 1024
MIB = 1024 * KIB
MAX_METADATA_BYTES = Bytes(256 * KIB)
MAX_PAGE_BYTES = Bytes(2 * MIB)
MAX_METADATA_DEPTH = 32


class Outcome(IntEnum):
    """How an attempt ended; the numbers are those of the protocol."""

    SUCCESS = 1
    FAILURE = 2
    DENIED = 3


@dataclass(frozen=True, slots=True)
class Actor:
    """Who did it."""

    id: str
    type: str
    name: str = ""
    email: str = ""


@dataclass(frozen=True, slots=True)
class Target:
    """What it was done to."""

    id: str
    type: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened."""

    id: EventId
    organisation_id: OrganisationId
    action: str
    actor: Actor
    outcome: Outcome
    occurred_at: datetime
    targets: tuple[Target, ...] = ()
    outcome_reason: str = ""
    source: str = ""
    source_address: str = ""
    user_agent: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class NewEvent:
    """An event that somebody wants recorded."""

    event: Event
    time_given: bool
    """Whether the caller said when it happened; if not, `occurred_at` is the time of arrival."""

    def repeats(self, recorded: Event) -> bool:
        """Whether this is `recorded` once more, as a retry sends it."""
        event = self.event
        if not self.time_given:
            event = replace(event, occurred_at=recorded.occurred_at)
        return event == recorded


@dataclass(frozen=True, slots=True)
class Entry:
    """An event as the log takes it in."""

    new: NewEvent
    recorded_at: datetime
    leaf: bytes
    leaf_hash: bytes
    disclosures: Sequence[str]

    @property
    def event(self) -> Event:
        """The event."""
        return self.new.event

    @property
    def size(self) -> Bytes:
        """What it takes in memory and in the statement that inserts it, roughly."""
        return Bytes(len(self.leaf) + sum(map(len, self.disclosures)))


@dataclass(frozen=True, slots=True)
class Recorded:
    """An event as the log holds it."""

    event: Event
    log_index: int
    recorded_at: datetime
    tree_size: int
    """The size of the tree once the event's batch was in."""
    leaf: bytes
    leaf_hash: bytes
    disclosures: Sequence[str]

    @property
    def size(self) -> Bytes:
        """What it takes in memory and in an answer, roughly."""
        return Bytes(len(self.leaf) + sum(map(len, self.disclosures)))


@dataclass(frozen=True, slots=True)
class InclusionProof:
    """Proves that a leaf is in a tree (RFC 9162, section 2.1.3). Hashes have 32 bytes."""

    log_index: int
    tree_size: int
    leaf_hash: bytes
    hashes: Sequence[bytes]
    root: bytes


@dataclass(frozen=True, slots=True)
class ConsistencyProof:
    """Proves that a tree extends another (RFC 9162, section 2.1.4). Hashes have 32 bytes."""

    first_size: int
    second_size: int
    first_root: bytes
    second_root: bytes
    hashes: Sequence[bytes]


@dataclass(frozen=True, slots=True)
class Receipt:
    """What the caller holds in hand once an event is in the log."""

    event_id: EventId
    organisation_id: OrganisationId
    recorded_at: datetime
    proof: InclusionProof


@dataclass(frozen=True, slots=True)
class Filter:
    """Which events to list; what is None does not narrow."""

    actor_id: str | None = None
    action: str | None = None
    target_id: str | None = None
    outcome: Outcome | None = None
    occurred_from: datetime | None = None
    occurred_before: datetime | None = None


@dataclass(frozen=True, slots=True)
class Position:
    """Where a page ends: the last event's time and place in the log."""

    occurred_at: datetime
    log_index: int
