"""The leaf of an event, by the letter of the log format: version 1.

Stricter than `smart_audit.tlog.leaf`, which knows the mechanism alone: members, names and forms
that the format does not have are refused, and so is what two readers could read differently.

Source: docs/log-format.md.
"""

import re
from base64 import urlsafe_b64decode
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import orjson
from google.protobuf.struct_pb2 import ListValue, NullValue, Struct, Value

from smart_audit.api.audit.v1 import audit_pb2
from smart_audit.client.events import MAX_TARGETS, timestamp
from smart_audit.tlog.leaf import (
    CanonicalJsonError,
    LeafError,
    OpenedLeaf,
    canonical_json,
    open_leaf,
)

VERSION: Final = 1
_FACTS: Final = frozenset(
    {
        "version",
        "id",
        "organisation_id",
        "action",
        "actor",
        "outcome",
        "occurred_at",
        "recorded_at",
        "recorded_by",
    }
)
_FURTHER_FACTS: Final = frozenset({"targets", "outcome_reason", "source"})
_OUTCOMES: Final = {
    name.removeprefix("OUTCOME_").lower(): number
    for name, number in audit_pb2.Outcome.items()
    if number
}
_UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_TIME: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z")
_NAME: Final = re.compile(
    r"actor\.name|actor\.email|source_address|user_agent|metadata"
    r"|targets\.(?P<place>0|[1-9][0-9]?)\.name",
    re.ASCII,
)
_MAX_SAFE_INTEGER: Final = 2**53 - 1


def read_leaf(leaf: bytes, disclosures: Iterable[str]) -> OpenedLeaf:
    """Open a leaf, and refuse what is not of version 1.

    Raises: LeafError.
    """
    encoded = list(disclosures)
    opened = open_leaf(leaf, encoded)
    for one in encoded:
        _require_canonical(one)
    _require_facts(opened.facts)
    places = len(opened.facts.get("targets", ()))
    for name, value in opened.disclosed.items():
        _require_name(name, places)
        kind = dict if name == "metadata" else str
        if not isinstance(value, kind) or not value:
            raise LeafError(f"disclosure {name!r} has a value that its field cannot have")
    return opened


def event_of(opened: OpenedLeaf, log_index: int, erased: Sequence[str] = ()) -> audit_pb2.Event:
    """The event that a leaf, read by `read_leaf`, states; what is withheld is empty.

    erased: fields that are said to be erased. The leaf cannot tell which of its digests were, so
    only what contradicts it is refused.

    Raises: LeafError.
    """
    facts, disclosed = opened.facts, opened.disclosed
    actor, targets = facts["actor"], facts.get("targets", ())
    for name in erased:
        _require_name(name, len(targets))
    if len(set(erased)) != len(erased) or not disclosed.keys().isdisjoint(erased):
        raise LeafError("a field is called erased twice, or is called so and disclosed")
    if len(erased) > opened.withheld:
        raise LeafError("more fields are called erased than the leaf commits to")
    event = audit_pb2.Event(
        id=facts["id"],
        organisation_id=facts["organisation_id"],
        action=facts["action"],
        actor=audit_pb2.Actor(
            id=actor["id"],
            type=actor["type"],
            name=disclosed.get("actor.name", ""),
            email=disclosed.get("actor.email", ""),
        ),
        targets=[
            audit_pb2.Target(
                id=target["id"],
                type=target.get("type", ""),
                name=disclosed.get(f"targets.{place}.name", ""),
            )
            for place, target in enumerate(targets)
        ],
        outcome=_OUTCOMES[facts["outcome"]],
        outcome_reason=facts.get("outcome_reason", ""),
        occurred_at=timestamp(datetime.fromisoformat(facts["occurred_at"])),
        source=facts.get("source", ""),
        source_address=disclosed.get("source_address", ""),
        user_agent=disclosed.get("user_agent", ""),
        recorded_at=timestamp(datetime.fromisoformat(facts["recorded_at"])),
        log_index=log_index,
        recorded_by=facts["recorded_by"],
        erased_fields=erased,
    )
    if "metadata" in disclosed:
        _fill(event.metadata, disclosed["metadata"])
    return event


def _require_facts(facts: Mapping[str, Any]) -> None:
    """Raises: LeafError."""
    # True is 1 to Python.
    if type(facts.get("version")) is not int or facts["version"] != VERSION:
        raise LeafError(f"the leaf's version is not {VERSION}")
    names = facts.keys()
    if missing := _FACTS - names:
        raise LeafError(f"the leaf has no {min(missing)!r}")
    if unknown := names - _FACTS - _FURTHER_FACTS:
        raise LeafError(f"a leaf of version {VERSION} has no member {min(unknown)!r}")
    targets = facts.get("targets", [{"id": "-"}])
    wrong = [
        *(name for name in ("id", "organisation_id") if not _has_form(_UUID, facts[name])),
        *(name for name in ("occurred_at", "recorded_at") if not _is_time(facts[name])),
        *(
            name
            for name in ("action", "outcome_reason", "source")
            if not _is_text(facts.get(name, "-"))
        ),
    ]
    if not isinstance(facts["recorded_by"], str):
        wrong.append("recorded_by")
    if not isinstance(facts["outcome"], str) or facts["outcome"] not in _OUTCOMES:
        wrong.append("outcome")
    if not _is_thing(facts["actor"]) or "type" not in facts["actor"]:
        wrong.append("actor")
    if (
        not isinstance(targets, list)
        or not 0 < len(targets) <= MAX_TARGETS
        or not all(map(_is_thing, targets))
    ):
        wrong.append("targets")
    if wrong:
        raise LeafError(f"the leaf's {wrong[0]!r} has a value that it cannot have")


def _require_name(name: str, places: int) -> None:
    """Raises: LeafError for what is not the path of a field that is disclosed."""
    match = _NAME.fullmatch(name)
    if match is None or (match["place"] is not None and int(match["place"]) >= places):
        raise LeafError(f"disclosure {name!r} is of no field of this event")


def _require_canonical(encoded: str) -> None:
    """Refuse a disclosure that two readers could read differently, as by a member given twice.

    encoded: what `open_leaf` has read.

    Raises: LeafError.
    """
    data = urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4))
    content = orjson.loads(data)
    try:
        try:
            again = canonical_json(content)
        except CanonicalJsonError:
            again = canonical_json(_with_doubles(content))
    except (CanonicalJsonError, RecursionError, OverflowError) as error:
        raise LeafError(f"disclosure {content[1]!r} is not canonical JSON") from error
    if data != again:
        raise LeafError(f"disclosure {content[1]!r} is not canonical JSON")


def _with_doubles(value: Any) -> Any:
    """A number is a double, however large a whole one is written."""
    match value:
        case int() if abs(value) > _MAX_SAFE_INTEGER:
            return float(value)
        case dict():
            return {name: _with_doubles(one) for name, one in value.items()}
        case list():
            return [_with_doubles(one) for one in value]
    return value


def _fill(message: Struct, values: Mapping[str, Any]) -> None:
    message.SetInParent()
    for name, value in values.items():
        message.fields[name].CopyFrom(_value(value))


def _value(value: Any) -> Value:
    match value:
        case None:
            return Value(null_value=NullValue.NULL_VALUE)
        case bool():
            return Value(bool_value=value)
        case int() | float():
            return Value(number_value=float(value))
        case str():
            return Value(string_value=value)
        case dict():
            message = Struct()
            _fill(message, value)
            return Value(struct_value=message)
        case _:
            return Value(list_value=ListValue(values=map(_value, value)))


def _has_form(form: re.Pattern[str], value: object) -> bool:
    return isinstance(value, str) and form.fullmatch(value) is not None


def _is_text(value: object) -> bool:
    return isinstance(value, str) and value != ""


def _is_thing(value: object) -> bool:
    """Whether it is an id and perhaps a type, as of an actor or a target."""
    return (
        isinstance(value, dict)
        and "id" in value
        and value.keys() <= {"id", "type"}
        and all(map(_is_text, value.values()))
    )


def _is_time(value: object) -> bool:
    if not _has_form(_TIME, value):
        return False
    try:
        datetime.fromisoformat(str(value))
    except ValueError:
        return False
    return True
