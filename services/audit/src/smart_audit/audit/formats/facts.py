"""An event as the API writes it in JSON: what several formats are made of."""

from base64 import b64encode
from collections.abc import Mapping
from typing import Any

import orjson

from smart_audit.audit.domain import Event, InclusionProof, Outcome, Recorded
from smart_audit.audit.leaves import time_text

Json = dict[str, Any]

# Read by the thousand: a dictionary is faster than the class.
OUTCOMES: Mapping[Outcome, str] = {outcome: f"OUTCOME_{outcome.name}" for outcome in Outcome}


def event_json(recorded: Recorded) -> Json:
    """The event of the API (`smart_audit.api.audit.v1.Event`) in protobuf's JSON.

    Names in snake_case, all fields but `metadata` even when empty, 64-bit integers as text, times
    in RFC 3339 with six digits of a second. Tests hold it against protobuf's own writer.
    """
    event = recorded.event
    made: Json = {
        "id": str(event.id),
        "organisation_id": str(event.organisation_id),
        "action": event.action,
        "actor": {
            "id": event.actor.id,
            "type": event.actor.type,
            "name": event.actor.name,
            "email": event.actor.email,
        },
        # Whether a target is a data subject is only known while recording: here it is false.
        "targets": [{**target, "data_subject": False} for target in targets_json(event)],
        "outcome": OUTCOMES[event.outcome],
        "outcome_reason": event.outcome_reason,
        "occurred_at": time_text(event.occurred_at),
        "source": event.source,
        "source_address": event.source_address,
        "user_agent": event.user_agent,
        "recorded_at": time_text(recorded.recorded_at),
        "log_index": str(recorded.log_index),
        "recorded_by": recorded.recorded_by,
        "erased_fields": list(recorded.erased),
    }
    if event.metadata:
        made["metadata"] = event.metadata
    return made


def targets_json(event: Event) -> list[Json]:
    """The targets with their ids, types and names."""
    return [{"id": target.id, "type": target.type, "name": target.name} for target in event.targets]


def proof_json(recorded: Recorded, proof: InclusionProof) -> Json:
    """What proves the event (`smart_audit.api.audit.v1.EventProof`), beside a checkpoint."""
    return {
        "leaf": _base64(recorded.leaf),
        "disclosures": list(recorded.disclosures),
        "inclusion_proof": {
            "log_index": str(proof.log_index),
            "tree_size": str(proof.tree_size),
            "leaf_hash": _base64(proof.leaf_hash),
            "hashes": [_base64(one) for one in proof.hashes],
            "root_hash": _base64(proof.root),
        },
    }


def json_text(value: Any) -> str:
    """Compact JSON for a field that holds text; "" of what is empty."""
    return orjson.dumps(value).decode() if value else ""


def json_lines(values: list[Json]) -> bytes:
    """Each value on a line of its own. No line break can stand in one: JSON escapes them."""
    return b"".join([orjson.dumps(value, option=orjson.OPT_APPEND_NEWLINE) for value in values])


def _base64(data: bytes) -> str:
    return b64encode(data).decode()
