"""Events, receipts, proofs: what they are. No I/O."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from types import MappingProxyType
from typing import Any, NamedTuple, NewType
from uuid import UUID

EventId = NewType("EventId", UUID)
OrganisationId = NewType("OrganisationId", UUID)
KeyId = NewType("KeyId", UUID)
Bytes = NewType("Bytes", int)

PERSON = "user"
"""The type of actors and targets that are persons, and what an empty type stands for."""

OWN_SOURCES = "smart-audit."
"""What the sources of the services' own events begin with. Nobody else may use them."""

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


class Actor(NamedTuple):
    """Who did it. A tuple, as is all that an append makes by the thousand: it is made faster."""

    id: str
    type: str
    name: str = ""
    email: str = ""

    @property
    def subject(self) -> "Subject":
        """Whose data the actor's fields are."""
        return Subject(self.type, self.id)


class Target(NamedTuple):
    """What it was done to."""

    id: str
    type: str = ""
    name: str = ""
    data_subject: bool = False
    """Whether it is a person whose name can be erased. Only known while recording."""

    @property
    def subject(self) -> "Subject | None":
        """The person that the target is, if it is one."""
        if self.type == PERSON or self.data_subject:
            return Subject(self.type or PERSON, self.id)
        return None


class Subject(NamedTuple):
    """A person, or a program, whose personal fields are sealed under a key of its own.

    A tuple, because it is looked up several times for each event.
    """

    type: str
    id: str


@dataclass(frozen=True, slots=True)
class WrappedKey:
    """A subject's key as it is stored."""

    id: KeyId
    subject: Subject
    wrapped: bytes


class Event(NamedTuple):
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
    metadata: Mapping[str, Any] = MappingProxyType({})


class NewEvent(NamedTuple):
    """An event that somebody wants recorded."""

    event: Event
    time_given: bool
    """Whether the caller said when it happened; if not, `occurred_at` is the time of arrival."""
    recorded_by: str
    """The subject of the access token that brought it."""


class Entry(NamedTuple):
    """An event as the log takes it in."""

    new: NewEvent
    recorded_at: datetime
    leaf: bytes
    leaf_hash: bytes
    sealed: bytes
    """The disclosures, sealed (see `sealed.py`)."""
    key_ids: tuple[KeyId, ...]
    """The subject keys they are sealed under."""
    permanent: bool = False
    """Whether retention leaves it alone: what proves the log's own settings stays."""
    registry: int | None = None
    """The version of the registry that it was held against; None if it needs not be."""

    @property
    def event(self) -> Event:
        """The event."""
        return self.new.event

    @property
    def size(self) -> Bytes:
        """What it takes in memory and in the statement that inserts it, roughly."""
        return Bytes(len(self.leaf) + len(self.sealed))


@dataclass(frozen=True, slots=True)
class Placed:
    """What the log keeps of an event for ever."""

    event_id: EventId
    log_index: int
    recorded_at: datetime
    tree_size: int
    """The size of the tree once the event's batch was in."""
    leaf_hash: bytes


class Recorded(NamedTuple):
    """An event as the log holds it."""

    event: Event
    log_index: int
    recorded_at: datetime
    recorded_by: str
    leaf: bytes
    leaf_hash: bytes
    disclosures: Sequence[str]
    """Those that can still be opened."""
    erased: Sequence[str]
    """The names of those that cannot, because a key has been destroyed."""

    @property
    def size(self) -> Bytes:
        """What it takes in memory and in an answer, roughly."""
        return Bytes(len(self.leaf) + sum(map(len, self.disclosures)))


@dataclass(frozen=True, slots=True)
class StoredCheckpointKey:
    """A checkpoint key as it is stored; keys are numbered from 0 without gaps."""

    number: int
    public_key: bytes
    sealed_private_key: bytes
    created_at: datetime


@dataclass(frozen=True, slots=True)
class StoredCheckpoint:
    """A checkpoint as it was signed, with the cosignatures that have come in."""

    organisation_id: OrganisationId
    number: int
    size: int
    root: bytes
    note: str
    signed_at: datetime
    cosignatures: tuple[str, ...]
    """Signature lines of witnesses (C2SP tlog-cosignature), without their newlines."""
    mac: bytes

    @property
    def cosigned_note(self) -> str:
        """The note with the cosignatures below the log's own signatures."""
        return self.note + "".join(f"{line}\n" for line in self.cosignatures)


class InclusionProof(NamedTuple):
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


class Receipt(NamedTuple):
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
