"""From a plain JSON record to an event, by a mapping."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from smart_audit.api.audit.v1 import audit_pb2
from smart_audit.client.events import (
    MAX_ACTOR_ID,
    MAX_ACTOR_NAME,
    MAX_ACTOR_TYPE,
    MAX_EMAIL,
    MAX_OUTCOME_REASON,
    MAX_SOURCE,
    MAX_SOURCE_ADDRESS,
    MAX_TARGET_ID,
    MAX_TARGET_NAME,
    MAX_TARGET_TYPE,
    MAX_TARGETS,
    MAX_USER_AGENT,
    struct,
    timestamp,
)
from smart_audit.client.imports.mapping import FieldMapping
from smart_audit.client.imports.outcomes import outcome_of
from smart_audit.client.imports.paths import Found, each_of, find
from smart_audit.client.imports.records import (
    BadRecord,
    Json,
    action_of,
    fitting,
    moment,
    not_too_early,
    object_of,
    remainder,
    source_of,
    stable_id,
    texts_checked,
    time_text,
)

# uuid5 of the DNS name smart-audit.records; it must never change.
_NAMESPACE: Final = UUID("eb526aac-5094-5483-bb7e-3ffb2cc3db8e")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
# Numbers are seconds since 1970, or thousandths, millionths, billionths of them: by their size.
_UNITS: Final = ((10**11, 1), (10**14, 10**3), (10**17, 10**6), (10**20, 10**9))
_FEWEST_DIGITS: Final = 9
_SHOWN: Final = 40


def to_event(record: Any, mapping: FieldMapping) -> audit_pb2.Event:
    """The event of one record.

    Raises: BadRecord.
    """
    fields = _Fields(object_of(record), mapping)
    with texts_checked():
        event = audit_pb2.Event(
            action=action_of(fields.required("action"), "action"),
            actor=_actor(fields),
            targets=_targets(fields),
            outcome=outcome_of(fields.required("outcome"), mapping.outcomes),
            outcome_reason=fields.text("outcome_reason", MAX_OUTCOME_REASON),
            occurred_at=timestamp(_time(fields, mapping)),
            source=source_of(fields.text("source", MAX_SOURCE)),
            source_address=fields.text("source_address", MAX_SOURCE_ADDRESS),
            user_agent=fields.text("user_agent", MAX_USER_AGENT),
        )
        event.id = stable_id(
            fields.value("id"), _NAMESPACE, plain_text(fields.value("source")), fields.record
        )
        event.metadata.CopyFrom(struct(remainder(fields.record, fields.said(event))))
    return event


class _Fields:
    """The fields of one record, as a mapping finds them."""

    def __init__(self, record: Json, mapping: FieldMapping) -> None:
        self.record = record
        self.mapping = mapping

    def found(self, name: str) -> Found | None:
        """Where the field stands in the record, if it does; a null is nothing."""
        path = self.mapping.paths.get(name)
        found = find(self.record, path) if path else None
        return found if found and found.value is not None else None

    def value(self, name: str) -> Any:
        """The value of a field; the constant where the record has none; None without either."""
        found = self.found(name)
        return found.value if found else self.mapping.constants.get(name)

    def required(self, name: str) -> str:
        """A field that each event has. Raises: BadRecord."""
        text = plain_text(self.value(name))
        if not text:
            path = self.mapping.paths.get(name)
            raise BadRecord(
                f"no {name}: the record has no text at {path}" if path else f"no {name}"
            )
        return text

    def text(self, name: str, limit: int) -> str:
        """A field that may be empty; what is too long stays in the metadata."""
        return fitting([plain_text(self.value(name))], limit)

    def said(self, event: audit_pb2.Event) -> Iterator[tuple[Sequence[str], Any]]:
        """What the event says, by where it stands in the record."""
        says = {
            "id": event.id,
            "action": event.action,
            "actor.id": event.actor.id,
            "actor.type": event.actor.type,
            "actor.name": event.actor.name,
            "actor.email": event.actor.email,
            "outcome_reason": event.outcome_reason,
            "occurred_at": time_text(event.occurred_at.ToDatetime()),
            "source": event.source,
            "source_address": event.source_address,
            "user_agent": event.user_agent,
        }
        if len(event.targets) == 1:
            (target,) = event.targets
            says |= {
                "target.id": target.id,
                "target.type": target.type,
                "target.name": target.name,
            }
        for name, value in says.items():
            found = self.found(name)
            if found is not None:
                yield found.keys, value


def plain_text(value: Any) -> str:
    """The text of a simple value; "" of anything else."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, str | int | float) else ""


def _actor(fields: _Fields) -> audit_pb2.Actor:
    """Raises: BadRecord."""
    id_ = fields.required("actor.id")
    if len(id_) > MAX_ACTOR_ID or not _is_id(id_):
        raise BadRecord(f"actor.id {id_[:_SHOWN]!r} is longer than {MAX_ACTOR_ID}, or has controls")
    return audit_pb2.Actor(
        id=id_,
        type=fields.text("actor.type", MAX_ACTOR_TYPE),
        name=fields.text("actor.name", MAX_ACTOR_NAME),
        email=fields.text("actor.email", MAX_EMAIL),
    )


def _targets(fields: _Fields) -> list[audit_pb2.Target]:
    """The target, or one of each item of a list; those whose id or type does not fit stay out."""
    found: dict[str, audit_pb2.Target] = {}
    constants = {name: fields.mapping.constants.get(f"target.{name}", "") for name in _PARTS}
    paths = {name: fields.mapping.paths.get(f"target.{name}", "") for name in _PARTS}
    for item in each_of(fields.record, paths):
        parts = {name: plain_text(item.get(name)) or constants[name] for name in _PARTS}
        target = _target(parts)
        if target is not None:
            found.setdefault(target.id, target)
    return list(found.values())[:MAX_TARGETS]


_PARTS: Final = ("id", "type", "name")


def _target(parts: Mapping[str, str]) -> audit_pb2.Target | None:
    id_, kind = parts["id"], parts["type"]
    if not 0 < len(id_) <= MAX_TARGET_ID or len(kind) > MAX_TARGET_TYPE or not _is_id(id_):
        return None
    name = fitting([parts["name"]], MAX_TARGET_NAME)
    return audit_pb2.Target(id=id_, type=kind, name=name)


def _is_id(text: str) -> bool:
    """Whether an id has no control characters, which the contract refuses."""
    return not any(character < " " or "\x7f" <= character <= "\x9f" for character in text)


def _time(fields: _Fields, mapping: FieldMapping) -> datetime:
    """Raises: BadRecord."""
    text = fields.required("occurred_at")
    number = _number(text)
    if number is None:
        return moment(text, "occurred_at", mapping.zone)
    for limit, parts in _UNITS:
        if abs(number) < limit:
            try:
                found = _EPOCH + timedelta(microseconds=round(number * 10**6 / parts))
            except OverflowError:
                break
            return not_too_early(found, "occurred_at")
    raise BadRecord(f"occurred_at {text[:_SHOWN]!r} is not a time")


def _number(text: str) -> float | int | None:
    if text.isdecimal():
        # Few digits are a date without dashes rather than a time in the first years after 1970.
        return int(text) if len(text) >= _FEWEST_DIGITS else None
    try:
        return float(text)
    except ValueError:
        return None
