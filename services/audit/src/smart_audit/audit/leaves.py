"""Between an event and its leaf: which facts are public, and which are salted disclosures.

The format is that of `docs/log-format.md`: canonical JSON with digests as in SD-JWT (RFC 9901).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, NamedTuple
from uuid import UUID

from smart_audit.audit.domain import (
    Actor,
    Event,
    EventId,
    NewEvent,
    OrganisationId,
    Outcome,
    Subject,
    Target,
)
from smart_audit.audit.errors import EventTooLarge
from smart_audit.tlog.disclosure import digests_of, encode_disclosure
from smart_audit.tlog.hashing import leaf_hash
from smart_audit.tlog.leaf import LeafTooLarge, OpenedLeaf, encode_leaf

VERSION = 1
OUTCOMES = {outcome: outcome.name.lower() for outcome in Outcome}
_OUTCOMES = {text: outcome for outcome, text in OUTCOMES.items()}

FLAG = "event_type_flag"
"""The member of metadata that says how an event does not fit the registry of event types."""

Owners = tuple[Subject, ...]
"""Whose data a fact is: it can be read as long as none of them has been erased."""

Disclosed = tuple[str, Any, Owners]
"""A fact outside the leaf: its name, its value, and whose it is."""

id_text: Callable[[UUID], str] = lru_cache(maxsize=1024)(str)
"""The text of an organisation's id, which many events share."""


class Parts(NamedTuple):
    """Disclosures that have the same owners: names, and what is sealed."""

    names: list[str]
    encoded: list[bytes]


class Leaf(NamedTuple):
    """A leaf, its hash of 32 bytes, and the disclosures to which it commits, by whose they are."""

    encoded: bytes
    hash: bytes
    disclosures: Mapping[Owners, Parts]


def to_leaves(
    events: Sequence[NewEvent], recorded_at: datetime, new_salts: Callable[[int], list[str]]
) -> list[Leaf | EventTooLarge]:
    """The leaf of each event, or a refusal of one that exceeds 65,535 bytes."""
    disclosed = [_disclosed(new.event) for new in events]
    salts = iter(new_salts(sum(map(len, disclosed))))
    recorded = time_text(recorded_at)
    return [
        _to_leaf(new, recorded, facts, salts) for new, facts in zip(events, disclosed, strict=True)
    ]


def _to_leaf(
    new: NewEvent, recorded: str, disclosed: Sequence[Disclosed], salts: Iterator[str]
) -> Leaf | EventTooLarge:
    everything: list[bytes] = []
    by_owners: dict[Owners, Parts] = {}
    for name, value, owners in disclosed:
        encoded = encode_disclosure(name, value, next(salts))
        everything.append(encoded)
        parts = by_owners.get(owners)
        if parts is None:
            parts = by_owners[owners] = Parts([], [])
        parts.names.append(name)
        parts.encoded.append(encoded)
    try:
        leaf = encode_leaf(_facts(new, recorded), digests_of(everything))
    except LeafTooLarge:
        return EventTooLarge("the event's ids are too long together; an entry holds 65,535 bytes")
    return Leaf(leaf, leaf_hash(leaf), by_owners)


def repeats(new: NewEvent, opened: OpenedLeaf, erased: Sequence[str]) -> bool:
    """Whether `new` is the recorded event once more, as a retry sends it.

    When it was recorded, by whose token, and how it fitted the registry at that time may differ;
    fields that were erased cannot tell.
    """
    facts = _facts(new, opened.facts["recorded_at"])
    facts["recorded_by"] = opened.facts["recorded_by"]
    if not new.time_given:
        facts["occurred_at"] = opened.facts["occurred_at"]
    disclosed = {name: value for name, value, _ in _disclosed(new.event) if name not in erased}
    return facts == opened.facts and _unflagged(disclosed) == _unflagged(opened.disclosed)


def _unflagged(disclosed: Mapping[str, Any]) -> dict[str, Any]:
    metadata = {
        name: value for name, value in disclosed.get("metadata", {}).items() if name != FLAG
    }
    others = {name: value for name, value in disclosed.items() if name != "metadata"}
    return {**others, "metadata": metadata} if metadata else others


def to_event(opened: OpenedLeaf) -> Event:
    """The event that a leaf states. What no disclosure opens is empty.

    Raises: KeyError, TypeError or ValueError for facts that are not those of an event.
    """
    facts = opened.facts
    organisation_id = OrganisationId(UUID(facts["organisation_id"]))
    event_id = EventId(UUID(facts["id"]))
    return event_of(opened, event_id, organisation_id, occurred_at(opened))


def event_of(
    opened: OpenedLeaf, event_id: EventId, organisation_id: OrganisationId, occurred_at: datetime
) -> Event:
    """As `to_event`, for those who have ids and time at hand already."""
    facts, disclosed = opened.facts, opened.disclosed
    actor = facts["actor"]
    return Event(
        id=event_id,
        organisation_id=organisation_id,
        action=facts["action"],
        actor=Actor(
            id=actor["id"],
            type=actor["type"],
            name=disclosed.get("actor.name", ""),
            email=disclosed.get("actor.email", ""),
        ),
        outcome=_OUTCOMES[facts["outcome"]],
        occurred_at=occurred_at,
        targets=tuple(
            [
                Target(
                    target["id"], target.get("type", ""), disclosed.get(f"targets.{place}.name", "")
                )
                for place, target in enumerate(facts.get("targets", ()))
            ]
        ),
        outcome_reason=facts.get("outcome_reason", ""),
        source=facts.get("source", ""),
        source_address=disclosed.get("source_address", ""),
        user_agent=disclosed.get("user_agent", ""),
        metadata=disclosed.get("metadata", {}),
    )


def recorded_at(opened: OpenedLeaf) -> datetime:
    """When a leaf's event was recorded. Raises: KeyError, ValueError."""
    return _time(opened.facts["recorded_at"])


def occurred_at(opened: OpenedLeaf) -> datetime:
    """When a leaf's event happened. Raises: KeyError, ValueError."""
    return _time(opened.facts["occurred_at"])


def _facts(new: NewEvent, recorded: str) -> dict[str, Any]:
    """What is public inside the log; empty facts are left out."""
    event = new.event
    facts: dict[str, Any] = {
        "version": VERSION,
        "id": str(event.id),
        "organisation_id": id_text(event.organisation_id),
        "action": event.action,
        "actor": {"id": event.actor.id, "type": event.actor.type},
        "outcome": OUTCOMES[event.outcome],
        "occurred_at": time_text(event.occurred_at),
        "recorded_at": recorded,
        "recorded_by": new.recorded_by,
    }
    if event.targets:
        facts["targets"] = [
            {"id": target.id, "type": target.type} if target.type else {"id": target.id}
            for target in event.targets
        ]
    if event.outcome_reason:
        facts["outcome_reason"] = event.outcome_reason
    if event.source:
        facts["source"] = event.source
    return facts


def _disclosed(event: Event) -> list[Disclosed]:
    """What is personal or bulky: name, value, and whose it is; empty ones are left out.

    The name of a target that is a person is that person's. Metadata may tell of every person that
    the event names, so it is readable only while none of them has been erased. All else is the
    actor's.
    """
    actor = event.actor
    own = (actor.subject,)
    found: list[Disclosed] = []
    if actor.name:
        found.append(("actor.name", actor.name, own))
    if actor.email:
        found.append(("actor.email", actor.email, own))
    everybody: Owners = own
    for place, target in enumerate(event.targets):
        person = target.subject
        if person is not None and person not in everybody:
            everybody = (*everybody, person)
        if target.name:
            owners = own if person is None else (person,)
            found.append((f"targets.{place}.name", target.name, owners))
    if event.source_address:
        found.append(("source_address", event.source_address, own))
    if event.user_agent:
        found.append(("user_agent", event.user_agent, own))
    if event.metadata:
        found.append(("metadata", event.metadata, everybody))
    return found


def time_text(time: datetime) -> str:
    """RFC 3339 in UTC with six digits of a second, so that one time has one spelling."""
    # Times are in UTC already, but for those that an importer made.
    if time.tzinfo is not UTC:
        time = time.astimezone(UTC)
    return f"{time.isoformat(timespec='microseconds')[:-6]}Z"


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)
