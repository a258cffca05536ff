"""Events as JSON lines of CloudEvents 1.0: an envelope for routing around the API's own event.

Source: CloudEvents 1.0.2 and its JSON format; the extensions recordedtime, sequence, authcontext.
"""

import re
from collections.abc import Sequence
from typing import Final
from urllib.parse import quote

from smart_audit.audit.domain import PERSON, Event, Recorded
from smart_audit.audit.formats.base import Proofs
from smart_audit.audit.formats.facts import Json, event_json, json_lines, proof_json
from smart_audit.audit.leaves import time_text

DATA_SCHEMA: Final = "urn:x-smart-audit:event:v1"
"""Says that the data is an event of the API; an import knows its own by it."""

# What the type String of CloudEvents forbids: controls, surrogates and noncharacters.
_FORBIDDEN: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff"
    + "".join(f"{chr(plane << 16 | 0xFFFE)}{chr(plane << 16 | 0xFFFF)}" for plane in range(1, 17))
    + "]"
)
_AUTH_TYPES: Final = {
    PERSON: "app_user",
    "iam-user": "user",
    "service": "service_account",
    "service_account": "service_account",
    "aws-service": "system",
    "system": "system",
    "anonymous": "unauthenticated",
}
_DIGITS: Final = 19
"""As many as the greatest place in a log has, so that texts are in the order of numbers."""


class CloudEvents:
    """A line of each event; the API's own event is the data, with its proof if proofs are given."""

    # One event a line; `application/cloudevents-batch+json` would be one array.
    content_type = "application/x-ndjson"
    file_extension = "cloudevents.jsonl"
    takes_proofs = True
    cuttable = True

    def begin(self) -> bytes:
        """Nothing."""
        return b""

    def lines(self, events: Sequence[Recorded], proofs: Proofs | None = None) -> bytes:
        """A line of each event."""
        made = [to_cloudevent(recorded) for recorded in events]
        if proofs is not None:
            for line, recorded, proof in zip(made, events, proofs, strict=True):
                line["data"]["proof"] = proof_json(recorded, proof)
        return json_lines(made)

    def end(self) -> bytes:
        """Nothing."""
        return b""


def to_cloudevent(recorded: Recorded) -> Json:
    """The event in its envelope."""
    event = recorded.event
    made: Json = {
        "specversion": "1.0",
        "id": str(event.id),
        "source": source_of(event),
        "type": event.action,
        "time": time_text(event.occurred_at),
        "datacontenttype": "application/json",
        "dataschema": DATA_SCHEMA,
        "recordedtime": time_text(recorded.recorded_at),
        "sequence": f"{recorded.log_index:0{_DIGITS}}",
        "authtype": _AUTH_TYPES.get(event.actor.type, "unknown"),
    }
    if not _FORBIDDEN.search(event.actor.id):
        made["authid"] = event.actor.id
    if event.targets and not _FORBIDDEN.search(event.targets[0].id):
        made["subject"] = event.targets[0].id
    made["data"] = event_json(recorded)
    return made


def source_of(event: Event) -> str:
    """Where the event comes from, as a URI reference: the organisation, and what reported it."""
    organisation = f"/organisations/{event.organisation_id}"
    return f"{organisation}/{quote(event.source, safe='')}" if event.source else organisation
