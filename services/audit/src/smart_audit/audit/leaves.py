"""Between an event and its leaf: which facts are public, and which are salted disclosures.

The format is that of `docs/log-format.md`: canonical JSON with digests as in SD-JWT (RFC 9901).
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from smart_audit.audit.domain import (
    Actor,
    Entry,
    Event,
    EventId,
    NewEvent,
    OrganisationId,
    Outcome,
    Target,
)
from smart_audit.audit.errors import EventTooLarge
from smart_audit.tlog.disclosure import new_disclosure
from smart_audit.tlog.hashing import leaf_hash
from smart_audit.tlog.leaf import LeafTooLarge, build_leaf, open_leaf

VERSION = 1


def to_entry(new: NewEvent, recorded_at: datetime, new_salt: Callable[[], str]) -> Entry:
    """The entry of an event. Raises: EventTooLarge when its leaf exceeds 65,535 bytes."""
    event = new.event
    disclosures = [
        new_disclosure(name, value, new_salt()) for name, value in _disclosed(event) if value
    ]
    try:
        leaf = build_leaf(_facts(event, recorded_at), disclosures)
    except LeafTooLarge as error:
        raise EventTooLarge(
            "the event's ids are too long together; an entry holds 65,535 bytes"
        ) from error
    return Entry(new, recorded_at, leaf, leaf_hash(leaf), [one.encoded for one in disclosures])


def to_event(leaf: bytes, disclosures: Sequence[str]) -> tuple[Event, datetime]:
    """The event of a leaf, and when it was recorded.

    What no disclosure opens is empty. Raises: LeafError when leaf and disclosures do not fit.
    """
    opened = open_leaf(leaf, disclosures)
    facts, disclosed = opened.facts, opened.disclosed
    actor = facts["actor"]
    targets = facts.get("targets", [])
    names = disclosed.get("target_names") or [""] * len(targets)
    event = Event(
        id=EventId(UUID(facts["id"])),
        organisation_id=OrganisationId(UUID(facts["organisation_id"])),
        action=facts["action"],
        actor=Actor(
            id=actor["id"],
            type=actor["type"],
            name=disclosed.get("actor_name", ""),
            email=disclosed.get("actor_email", ""),
        ),
        outcome=Outcome[facts["outcome"].upper()],
        occurred_at=_time(facts["occurred_at"]),
        targets=tuple(
            Target(target["id"], target.get("type", ""), name)
            for target, name in zip(targets, names, strict=True)
        ),
        outcome_reason=facts.get("outcome_reason", ""),
        source=facts.get("source", ""),
        source_address=disclosed.get("source_address", ""),
        user_agent=disclosed.get("user_agent", ""),
        metadata=disclosed.get("metadata", {}),
    )
    return event, _time(facts["recorded_at"])


def _facts(event: Event, recorded_at: datetime) -> dict[str, Any]:
    """What is public inside the log; empty facts are left out."""
    facts: dict[str, Any] = {
        "version": VERSION,
        "id": str(event.id),
        "organisation_id": str(event.organisation_id),
        "action": event.action,
        "actor": {"id": event.actor.id, "type": event.actor.type},
        "outcome": event.outcome.name.lower(),
        "occurred_at": _text(event.occurred_at),
        "recorded_at": _text(recorded_at),
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


def _disclosed(event: Event) -> Iterator[tuple[str, Any]]:
    """What is personal or bulky: (name, value) of each disclosure; empty ones are left out."""
    yield "actor_name", event.actor.name
    yield "actor_email", event.actor.email
    names = [target.name for target in event.targets]
    yield "target_names", names if any(names) else []
    yield "source_address", event.source_address
    yield "user_agent", event.user_agent
    yield "metadata", event.metadata


def _text(time: datetime) -> str:
    """RFC 3339 in UTC with six digits of a second, so that one time has one spelling."""
    return time.astimezone(UTC).isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)
