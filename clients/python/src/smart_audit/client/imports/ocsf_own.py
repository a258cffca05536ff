"""From the product's own export as OCSF back to the very event."""

from typing import Any, Final

from smart_audit.api.audit.v1 import audit_pb2
from smart_audit.client.imports.own import restored
from smart_audit.client.imports.records import BadRecord, Json, value_at

_PRODUCT: Final = "Smart Audit"


def is_own(record: Json) -> bool:
    """Whether the product has written it."""
    product = value_at(record, ("metadata", "product"))
    return (
        isinstance(product, dict)
        and product.get("name") == product.get("vendor_name") == _PRODUCT
        and isinstance(record.get("unmapped"), dict)
    )


def to_own_event(record: Json) -> audit_pb2.Event:
    """The event again, with where it came from (see `own`). Raises: BadRecord."""
    metadata, unmapped = record["metadata"], record["unmapped"]
    user = value_at(record, ("actor", "user"))
    if not isinstance(user, dict):
        raise BadRecord("no actor.user")
    targets = record.get("resources", unmapped.get("targets", []))
    provenance = {
        "organisation_id": metadata.get("tenant_uid"),
        "log_index": _text(metadata.get("sequence", unmapped.get("log_index"))),
        "recorded_at": metadata.get("logged_time_dt"),
        "recorded_by": unmapped.get("recorded_by"),
        "erased_fields": unmapped.get("erased_fields"),
    }
    fields = {
        "id": metadata.get("uid"),
        "action": metadata.get("event_code"),
        "actor": {
            "id": user.get("uid"),
            "type": user.get("type"),
            "name": user.get("name", ""),
            "email": user.get("email_addr", unmapped.get("actor_email", "")),
        },
        "targets": [_target(one) for one in targets if isinstance(one, dict)],
        "outcome": f"OUTCOME_{unmapped.get('outcome')}",
        "outcome_reason": record.get("status_code", ""),
        "occurred_at": record.get("time_dt"),
        "source": metadata.get("log_provider", ""),
        "source_address": _address(record, unmapped),
        "user_agent": value_at(record, ("http_request", "user_agent")) or "",
        "metadata": unmapped.get("metadata"),
    }
    for name in ("id", "action", "occurred_at"):
        if not fields[name]:
            raise BadRecord(f"no {name}, which Smart Audit writes into each event of OCSF")
    return restored(fields, {name: value for name, value in provenance.items() if value})


def _target(resource: Json) -> dict[str, Any]:
    return {
        "id": resource.get("uid"),
        "type": resource.get("type", ""),
        "name": resource.get("name", ""),
    }


def _address(record: Json, unmapped: Json) -> Any:
    endpoint = record.get("src_endpoint")
    if not isinstance(endpoint, dict):
        return ""
    return endpoint.get("ip", endpoint.get("hostname", unmapped.get("source_address", "")))


def _text(number: Any) -> str:
    return "" if number is None else str(number)
