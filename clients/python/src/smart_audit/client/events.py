"""Building events out of plain Python values."""

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final, NotRequired, TypedDict

from google.protobuf.struct_pb2 import ListValue, NullValue, Struct, Value
from google.protobuf.timestamp_pb2 import Timestamp

from smart_audit.api.audit.v1 import audit_pb2
from smart_audit.client.ids import uuid7

# The limits of the contract, in characters.
MAX_ACTION: Final = 200
MAX_ACTOR_ID: Final = 256
MAX_ACTOR_TYPE: Final = 64
MAX_ACTOR_NAME: Final = 256
MAX_EMAIL: Final = 254
MAX_TARGETS: Final = 64
MAX_TARGET_ID: Final = 512
MAX_TARGET_TYPE: Final = 128
MAX_TARGET_NAME: Final = 256
MAX_OUTCOME_REASON: Final = 200
MAX_SOURCE: Final = 128
MAX_SOURCE_ADDRESS: Final = 256
MAX_USER_AGENT: Final = 2048

MAX_METADATA_DEPTH: Final = 32
MAX_METADATA_BYTES: Final = 256 * 1024
_MAX_SAFE_INTEGER: Final = 2**53 - 1


class Outcome(StrEnum):
    """How an attempt ended."""

    SUCCESS = "success"
    FAILURE = "failure"
    DENIED = "denied"


class ActorFields(TypedDict):
    """Who did it: `Actor` of the API."""

    id: str
    type: NotRequired[str]
    name: NotRequired[str]
    email: NotRequired[str]


class TargetFields(TypedDict):
    """What it was done to: `Target` of the API."""

    id: str
    type: NotRequired[str]
    name: NotRequired[str]
    data_subject: NotRequired[bool]


Actor = str | ActorFields | audit_pb2.Actor
"""Who did it; text is the id of a user."""
Target = TargetFields | audit_pb2.Target
"""What it was done to."""


class EventFields(TypedDict, total=False):
    """What an event may say beside action and actor; as `new_event` takes it."""

    targets: Iterable[Target]
    outcome: Outcome | str
    outcome_reason: str
    metadata: Mapping[str, Any] | None
    occurred_at: datetime | None
    source: str
    source_address: str
    user_agent: str
    id: str


def new_event(
    action: str,
    actor: Actor,
    *,
    targets: Iterable[Target] = (),
    outcome: Outcome | str = Outcome.SUCCESS,
    outcome_reason: str = "",
    metadata: Mapping[str, Any] | None = None,
    occurred_at: datetime | None = None,
    source: str = "",
    source_address: str = "",
    user_agent: str = "",
    id: str = "",  # noqa: A002  (the field's name)
) -> audit_pb2.Event:
    """An event with an id of its own, so that it may be sent again, of now unless told otherwise.

    metadata: a JSON object, as `struct` takes it. occurred_at: with a zone.
    Raises: TypeError or ValueError for what makes no event. Limits are for the service to check.
    """
    return audit_pb2.Event(
        id=id or uuid7(),
        action=action,
        actor=actor_of(actor),
        targets=[
            one if isinstance(one, audit_pb2.Target) else audit_pb2.Target(**one) for one in targets
        ],
        outcome=audit_pb2.Outcome.Value(f"OUTCOME_{Outcome(outcome).name}"),
        outcome_reason=outcome_reason,
        metadata=struct(metadata) if metadata else None,
        occurred_at=timestamp(occurred_at or datetime.now(UTC)),
        source=source,
        source_address=source_address,
        user_agent=user_agent,
    )


def actor_of(actor: Actor) -> audit_pb2.Actor:
    """An actor of its own. Raises: TypeError or ValueError for what makes none."""
    if isinstance(actor, audit_pb2.Actor):
        copy = audit_pb2.Actor()
        copy.CopyFrom(actor)
        return copy
    return audit_pb2.Actor(id=actor) if isinstance(actor, str) else audit_pb2.Actor(**actor)


def timestamp(time: datetime) -> Timestamp:
    """A time with a zone, to the microsecond."""
    message = Timestamp()
    message.FromDatetime(time)
    return message


def struct(values: Mapping[str, Any], depth: int = 1) -> Struct:
    """A JSON object as metadata, without loss.

    - an integer beyond ±(2**53 - 1) becomes text, since a Struct knows doubles alone;
    - what lies deeper than 32 levels becomes its JSON text, since the service takes no more.

    Raises: TypeError for a value that is not JSON; ValueError for text that has no UTF-8.
    """
    message = Struct()
    for name, value in values.items():
        message.fields[name].CopyFrom(_value(value, depth))
    return message


def _value(value: Any, depth: int) -> Value:  # noqa: PLR0911  (one per kind of JSON value)
    match value:
        case None:
            return Value(null_value=NullValue.NULL_VALUE)
        case bool():
            return Value(bool_value=value)
        case int() if abs(value) > _MAX_SAFE_INTEGER:
            return Value(string_value=str(value))
        case int() | float():
            return Value(number_value=value)
        case str():
            return Value(string_value=value)
        case dict() | list() if depth >= MAX_METADATA_DEPTH:
            return Value(string_value=json.dumps(value, ensure_ascii=False))
        case dict():
            return Value(struct_value=struct(value, depth + 1))
        case list():
            return Value(list_value=ListValue(values=[_value(item, depth + 1) for item in value]))
    raise TypeError(f"{type(value).__name__} is not JSON")
