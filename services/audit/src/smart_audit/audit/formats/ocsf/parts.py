"""Objects of OCSF: user, endpoint, resource."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import Any, Final

from smart_audit.audit.domain import PERSON, Actor, Event, Recorded, Target

Json = dict[str, Any]

MAX_INTEGER: Final = 2**31 - 1
"""The greatest value of the type integer_t."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)
_MAX_IP: Final = 40
# The patterns of the types hostname_t and email_t.
_LABEL: Final = r"([A-Za-z0-9]|[A-Za-z0-9][A-Za-z0-9-]*[A-Za-z0-9])"
_HOSTNAME: Final = re.compile(rf"({_LABEL}\.)*{_LABEL}")
_EMAIL: Final = re.compile(r"[a-zA-Z0-9!#$%&'*+\-/=?^_`{|}~.]+@[a-zA-Z0-9-]+\.[a-zA-Z0-9.-]+")
_SYSTEM: Final = frozenset({"service", "service_account", "system", "aws-service"})
_USER_TYPE, _SYSTEM_TYPE, _OTHER_TYPE = 1, 3, 99


def milliseconds(time: datetime) -> int:
    """Since 1970, rounded down."""
    return (time - _EPOCH) // _MILLISECOND


def user_of(one: Actor | Target) -> Json:
    """A user object: uid and kind, and the name and e-mail address where they are known."""
    kind = one.type or PERSON
    type_id = _USER_TYPE if kind == PERSON else _OTHER_TYPE
    made: Json = {"uid": one.id, "type": kind, "type_id": type_id}
    if kind in _SYSTEM:
        made["type_id"] = _SYSTEM_TYPE
    if one.name:
        made["name"] = one.name
    if isinstance(one, Actor) and _EMAIL.fullmatch(one.email):
        made["email_addr"] = one.email
    return made


def endpoint_of(recorded: Recorded) -> Json:
    """Where the call came from; API Activity requires one, so the unknown is said."""
    address = recorded.event.source_address
    if not address:
        return {"name": "erased" if "source_address" in recorded.erased else "unknown"}
    if _is_ip(address):
        return {"ip": address}
    return {"hostname": address} if _HOSTNAME.fullmatch(address) else {"name": address}


def resources_of(targets: Sequence[Target]) -> list[Json]:
    """The targets as resources."""
    return [
        {"uid": target.id}
        | ({"type": target.type} if target.type else {})
        | ({"name": target.name} if target.name else {})
        for target in targets
    ]


def unmapped_of(recorded: Recorded, *, with_targets: bool) -> Json:
    """What no attribute of the class holds to the letter, under the names of the API."""
    event = recorded.event
    found: Json = {
        "outcome": event.outcome.name,
        "recorded_by": recorded.recorded_by,
    }
    if event.metadata:
        found["metadata"] = event.metadata
    if with_targets and event.targets:
        found["targets"] = resources_of(event.targets)
    if event.actor.email and not _EMAIL.fullmatch(event.actor.email):
        found["actor_email"] = event.actor.email
    address = event.source_address
    if address and not (_is_ip(address) or _HOSTNAME.fullmatch(address)):
        found["source_address"] = address
    if recorded.log_index > MAX_INTEGER:
        found["log_index"] = str(recorded.log_index)
    if recorded.erased:
        found["erased_fields"] = list(recorded.erased)
    return found


def affected_user(event: Event) -> Actor | Target:
    """Whose account or session an event of identity is about: a target's, or else the actor's."""
    accounts = (target for target in event.targets if target.type in _ACCOUNT_TYPES)
    return next(accounts, event.actor)


# What the product, and CloudTrail, call an account.
_ACCOUNT_TYPES: Final = frozenset(
    {PERSON, "member", "account", "service_account", "AWS::IAM::User"}
)


def _is_ip(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return len(text) <= _MAX_IP
