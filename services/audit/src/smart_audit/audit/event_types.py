"""The registry of event types: what it says, and what becomes of events that do not fit. No I/O."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from typing import Any

from smart_audit.audit.domain import Event, Target
from smart_audit.audit.governance import SOURCE

UPDATED = "audit.event_type.updated"
DELETED = "audit.event_type.deleted"
POLICY_UPDATED = "audit.event_type.policy_updated"

TARGET = "event_type"
"""The type of the targets by which the log's own events name the actions that they are about."""

MAX_EVENT_TYPES = 10_000
"""Actions of one organisation, those included that were deleted."""


class Handling(IntEnum):
    """What becomes of an event that does not fit; the numbers of the protocol."""

    ACCEPT = 1
    FLAG = 2
    REFUSE = 3


@dataclass(frozen=True, slots=True)
class Policy:
    """What becomes of events that do not fit the registry."""

    unknown_actions: Handling = Handling.ACCEPT
    invalid_metadata: Handling = Handling.ACCEPT

    @property
    def accepts_all(self) -> bool:
        """Whether no event needs a look."""
        return self == Policy()

    def facts(self) -> tuple[Target, ...]:
        """What the event states that sets it."""
        return (
            Target(self.unknown_actions.name.lower(), "unknown_actions"),
            Target(self.invalid_metadata.name.lower(), "invalid_metadata"),
        )


@dataclass(frozen=True, slots=True)
class Definition:
    """What a version of an event type says."""

    action: str
    display_name: str = ""
    description: str = ""
    metadata_schema: Mapping[str, Any] | None = None
    """None lets the metadata be anything."""


@dataclass(frozen=True, slots=True)
class EventType:
    """One version of an event type."""

    definition: Definition
    version: int
    created_at: datetime
    created_by: str
    deleted: bool = False

    @property
    def action(self) -> str:
        """The action of its events."""
        return self.definition.action

    @property
    def display_name(self) -> str:
        """What people call it; may be empty."""
        return self.definition.display_name

    @property
    def description(self) -> str:
        """What it means; may be empty."""
        return self.definition.description


def names_of(one: EventType | None) -> tuple[str, str]:
    """The display name and the description in force; empty where there is none."""
    if one is None or one.deleted:
        return "", ""
    return one.display_name, one.description


def changed_actions(event: Event) -> list[str]:
    """The actions whose event types an event of the log itself has changed."""
    if event.source != SOURCE or event.action not in (UPDATED, DELETED):
        return []
    return [target.id for target in event.targets if target.type == TARGET]
