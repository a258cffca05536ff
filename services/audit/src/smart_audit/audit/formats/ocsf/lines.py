"""Events as JSON lines of OCSF 1.3.0: API Activity, Authentication, Account Change.

1.3.0 because consumers read it, and because nothing that is used here has changed its meaning or
been deprecated up to 1.8.0: tests hold the lines against both.
"""

from collections.abc import Sequence
from typing import Final

from smart_audit.audit.domain import Event, Outcome, Recorded
from smart_audit.audit.formats.base import Proofs
from smart_audit.audit.formats.facts import Json, json_lines
from smart_audit.audit.formats.ocsf.classes import API_ACTIVITY, AUTHENTICATION, Kind, kind_of
from smart_audit.audit.formats.ocsf.parts import (
    MAX_INTEGER,
    affected_user,
    endpoint_of,
    milliseconds,
    resources_of,
    unmapped_of,
    user_of,
)
from smart_audit.audit.formats.product import NAME, product_version
from smart_audit.audit.leaves import time_text

VERSION: Final = "1.3.0"

# (severity_id, severity, status_id, status). OCSF knows no third way to end: what was denied is a
# failure, and stands out by its severity and by `unmapped.outcome`.
_ENDINGS: Final = {
    Outcome.SUCCESS: (1, "Informational", 1, "Success"),
    Outcome.FAILURE: (2, "Low", 2, "Failure"),
    Outcome.DENIED: (3, "Medium", 2, "Failure"),
}


class Ocsf:
    """A line of each event. What no attribute holds is under `unmapped`."""

    content_type = "application/x-ndjson"
    file_extension = "ocsf.jsonl"
    takes_proofs = False
    cuttable = True

    def begin(self) -> bytes:
        """Nothing."""
        return b""

    def lines(self, events: Sequence[Recorded], proofs: Proofs | None = None) -> bytes:
        """A line of each event."""
        return json_lines([to_ocsf(recorded) for recorded in events])

    def end(self) -> bytes:
        """Nothing."""
        return b""


def to_ocsf(recorded: Recorded) -> Json:
    """The event as OCSF has it."""
    event = recorded.event
    kind = kind_of(event.action)
    severity_id, severity, status_id, status = _ENDINGS[event.outcome]
    made = {
        "category_uid": kind.cls.category_uid,
        "category_name": kind.cls.category_name,
        "class_uid": kind.cls.uid,
        "class_name": kind.cls.name,
        "activity_id": kind.activity_id,
        "activity_name": kind.activity_name,
        "type_uid": kind.type_uid,
        "type_name": f"{kind.cls.name}: {kind.activity_name}",
        "time": milliseconds(event.occurred_at),
        "time_dt": time_text(event.occurred_at),
        "severity_id": severity_id,
        "severity": severity,
        "status_id": status_id,
        "status": status,
        "message": _message(event),
        "metadata": _metadata(recorded),
        "actor": {"user": user_of(event.actor)},
        "src_endpoint": endpoint_of(recorded),
        "unmapped": unmapped_of(recorded, with_targets=kind.cls is not API_ACTIVITY),
    }
    if event.outcome_reason:
        made["status_code"] = event.outcome_reason
    if event.outcome is Outcome.DENIED:
        made["status_detail"] = "Denied"
    if event.user_agent:
        made["http_request"] = {"user_agent": event.user_agent}
    return made | _of_class(kind, event)


def _of_class(kind: Kind, event: Event) -> Json:
    """The attributes that one class alone has."""
    service = {"name": event.source or "unknown"}
    if kind.cls is API_ACTIVITY:
        api = {"operation": event.action, "service": service}
        return {"api": api} | ({"resources": resources_of(event.targets)} if event.targets else {})
    user = {"user": user_of(affected_user(event))}
    return user | ({"service": service} if kind.cls is AUTHENTICATION else {})


def _metadata(recorded: Recorded) -> Json:
    event = recorded.event
    made = {
        "version": VERSION,
        "profiles": ["datetime"],
        "product": {"name": NAME, "vendor_name": NAME, "version": product_version()},
        "uid": str(event.id),
        "event_code": event.action,
        "tenant_uid": str(event.organisation_id),
        "logged_time": milliseconds(recorded.recorded_at),
        "logged_time_dt": time_text(recorded.recorded_at),
    }
    if recorded.log_index <= MAX_INTEGER:
        made["sequence"] = recorded.log_index
    if event.source:
        made["log_provider"] = event.source
    return made


def _message(event: Event) -> str:
    reason = f" ({event.outcome_reason})" if event.outcome_reason else ""
    who = event.actor.name or event.actor.id
    return f"{event.action} by {who}: {event.outcome.name.lower()}{reason}"
