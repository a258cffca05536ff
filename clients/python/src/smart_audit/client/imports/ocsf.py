"""From an event of the Open Cybersecurity Schema Framework (OCSF 1.x) to an event.

The product's own exports come back as they were; events of others keep in their metadata, under
the names of OCSF, what no field carries.
"""

import re
from collections.abc import Iterator, Sequence
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
from smart_audit.client.imports.cloudtrail import DENIED
from smart_audit.client.imports.ocsf_own import is_own, to_own_event
from smart_audit.client.imports.records import (
    BadRecord,
    Json,
    Path,
    action_of,
    fitting,
    moment,
    not_too_early,
    object_of,
    remainder,
    source_of,
    stable_id,
    texts_checked,
    value_at,
)

# uuid5 of the DNS name smart-audit.ocsf; it must never change.
_NAMESPACE: Final = UUID("b062b7c3-2f42-5083-b87e-1d25ff7985ab")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_BETWEEN: Final = re.compile(r"[^A-Za-z0-9]+")
_SUCCESS, _FAILURE = 1, 2
_ACTION_DENIED: Final = 2
_FIRST_ERROR: Final = 400
_USER_TYPES: Final = {1: "user", 2: "admin", 3: "system", 4: "service"}

_ACTOR_IDS: Final = (
    ("actor", "user", "uid"),
    ("actor", "user", "uid_alt"),
    ("actor", "user", "name"),
    ("actor", "user", "email_addr"),
    ("actor", "app_uid"),
    ("actor", "app_name"),
    ("actor", "invoked_by"),
    ("actor", "process", "name"),
    ("user", "uid"),
    ("user", "name"),
    ("user", "email_addr"),
)
_TARGETS: Final = (
    "resources",
    "resource",
    "web_resources",
    "user_result",
    "user",
    "group",
    "dst_endpoint",
)


def to_event(record: Any) -> audit_pb2.Event:
    """The event of one OCSF event.

    Raises: BadRecord.
    """
    record = object_of(record)
    if not isinstance(record.get("class_uid"), int):
        raise BadRecord("no class_uid: each event of OCSF has one")
    if is_own(record):
        return to_own_event(record)
    with texts_checked():
        event = audit_pb2.Event(
            id=_id(record),
            action=_action(record),
            actor=_actor(record),
            outcome=_outcome(record),
            outcome_reason=_text(record, MAX_OUTCOME_REASON, *_REASONS),
            occurred_at=timestamp(_time(record)),
            source=source_of(_text(record, MAX_SOURCE, *_SOURCES)),
            source_address=_text(record, MAX_SOURCE_ADDRESS, *_ADDRESSES),
            user_agent=_text(record, MAX_USER_AGENT, *_AGENTS),
        )
        event.targets.extend(_targets(record, event.actor.id))
        event.metadata.CopyFrom(struct(remainder(record, _said(event))))
    return event


_REASONS: Final = (("status_code",), ("api", "response", "error"))
_SOURCES: Final = (("metadata", "product", "name"), ("metadata", "log_provider"))
_ADDRESSES: Final = (("src_endpoint", "ip"), ("src_endpoint", "hostname"), ("device", "ip"))
_AGENTS: Final = (("http_request", "user_agent"),)


def _said(event: audit_pb2.Event) -> Iterator[tuple[Path, Any]]:
    """What the event says, where the record may say it; only what is said exactly is left out."""
    yield ("metadata", "uid"), event.id
    yield ("actor", "user", "uid"), event.actor.id
    yield ("status_code",), event.outcome_reason
    yield ("src_endpoint", "ip"), event.source_address
    yield ("http_request", "user_agent"), event.user_agent


def _text(record: Json, limit: int, *paths: Path) -> str:
    return fitting((value_at(record, path) for path in paths), limit)


def _id(record: Json) -> str:
    product = value_at(record, ("metadata", "product")) or {}
    name = "/".join(str(product.get(key, "")) for key in ("vendor_name", "name"))
    return stable_id(value_at(record, ("metadata", "uid")), _NAMESPACE, name, record)


def _action(record: Json) -> str:
    """The operation of an API, after its service; else class and activity in words."""
    operation = value_at(record, ("api", "operation"))
    if isinstance(operation, str) and operation:
        service = value_at(record, ("api", "service", "name"))
        first = service.partition(".")[0] if isinstance(service, str) else ""
        return action_of(f"{first}.{operation}" if first else operation, "api.operation")
    names = [_words(record.get("class_name")), _words(record.get("activity_name"))]
    numbers = [f"ocsf_{record['class_uid']}", f"activity_{record.get('activity_id', 0)}"]
    return action_of(
        ".".join(name or number for name, number in zip(names, numbers, strict=True)), "class_name"
    )


def _words(name: Any) -> str:
    return _BETWEEN.sub("_", name).strip("_").lower() if isinstance(name, str) else ""


def _actor(record: Json) -> audit_pb2.Actor:
    user = value_at(record, ("actor", "user")) or record.get("user") or {}
    id_ = _text(record, MAX_ACTOR_ID, *_ACTOR_IDS)
    if not isinstance(user, dict):
        user = {}
    return audit_pb2.Actor(
        id=id_ or "unknown",
        type=_type(user) if id_ else "unknown",
        name=fitting(
            (user.get(key) for key in ("full_name", "display_name", "name")), MAX_ACTOR_NAME
        ),
        email=fitting([user.get("email_addr")], MAX_EMAIL),
    )


def _type(user: Json) -> str:
    given = _USER_TYPES.get(user.get("type_id", 0))
    return given or fitting([_words(user.get("type"))], MAX_ACTOR_TYPE)


def _outcome(record: Json) -> audit_pb2.Outcome.ValueType:
    """How it ended; what is not known to have failed was done, or it would not have been seen."""
    said = " ".join(
        str(value_at(record, path) or "")
        for path in (("status_code",), ("status_detail",), ("api", "response", "error"))
    )
    code = value_at(record, ("api", "response", "code"))
    failed = record.get("status_id") == _FAILURE or (
        record.get("status_id") != _SUCCESS and isinstance(code, int) and code >= _FIRST_ERROR
    )
    if record.get("action_id") == _ACTION_DENIED or (failed and _is_denial(said)):
        return audit_pb2.OUTCOME_DENIED
    return audit_pb2.OUTCOME_FAILURE if failed else audit_pb2.OUTCOME_SUCCESS


def _is_denial(said: str) -> bool:
    return bool(DENIED.search(said)) or "denied" in said.lower()


def _time(record: Json) -> datetime:
    """Raises: BadRecord."""
    exact = record.get("time_dt")
    if isinstance(exact, str):
        return moment(exact, "time_dt")
    time = record.get("time")
    if not isinstance(time, int) or isinstance(time, bool):
        raise BadRecord("no time: milliseconds since 1970")
    try:
        return not_too_early(_EPOCH + timedelta(milliseconds=time), "time")
    except OverflowError as error:
        raise BadRecord(f"time {time} is not a time") from error


def _targets(record: Json, actor_id: str) -> list[audit_pb2.Target]:
    """What it was done to; a user who did it to nobody but herself is no target."""
    found: dict[str, audit_pb2.Target] = {}
    for name in _TARGETS:
        given = record.get(name)
        for one in given if isinstance(given, list) else [given]:
            target = _target(one, name) if isinstance(one, dict) else None
            if target is not None and not (name == "user" and target.id == actor_id):
                found.setdefault(target.id, target)
    return list(found.values())[:MAX_TARGETS]


def _target(one: Json, attribute: str) -> audit_pb2.Target | None:
    keys: Sequence[str] = ("uid", "name", "ip", "hostname")
    id_ = fitting((one.get(key) for key in keys), MAX_TARGET_ID)
    kind = (
        attribute.removesuffix("_result") if attribute in ("user", "user_result", "group") else ""
    )
    kind = kind or fitting([one.get("type")], MAX_TARGET_TYPE)
    name = fitting([one.get("name")], MAX_TARGET_NAME)
    return audit_pb2.Target(id=id_, type=kind, name=name) if id_ else None
