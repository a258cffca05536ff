"""From a CloudEvent to an event: its attributes say what happened, a mapping may say more.

Source: CloudEvents 1.0.2, JSON format; the extension authcontext for who did it.
"""

from types import MappingProxyType
from typing import Any, Final

from smart_audit.api.audit.v1 import audit_pb2
from smart_audit.client.imports import own, plain
from smart_audit.client.imports.mapping import FieldMapping
from smart_audit.client.imports.records import BadRecord, object_of

SPEC_VERSION: Final = "1.0"
OWN_SCHEMA: Final = "urn:x-smart-audit:event:v1"
"""The `dataschema` of the product's own exports."""
_REQUIRED: Final = ("id", "source", "type")
USUAL: Final = FieldMapping(
    paths=MappingProxyType(
        {
            "id": "id",
            "source": "source",
            "action": "type",
            "occurred_at": "time",
            "target.id": "subject",
            "actor.id": "authid",
            "actor.type": "authtype",
        }
    ),
    # An event tells of something that has happened, and need not know by whom.
    constants=MappingProxyType(
        {"outcome": "success", "actor.id": "unknown", "actor.type": "unknown"}
    ),
)


def to_event(record: Any, mapping: FieldMapping) -> audit_pb2.Event:
    """The event of one CloudEvent; the mapping goes before what is usual.

    Raises: BadRecord.
    """
    record = object_of(record)
    if record.get("specversion") != SPEC_VERSION:
        raise BadRecord(f"specversion is not {SPEC_VERSION}: {record.get('specversion')!r}")
    for name in _REQUIRED:
        if not isinstance(record.get(name), str) or not record[name]:
            raise BadRecord(f"no {name}: each CloudEvent has one")
    if record.get("dataschema") == OWN_SCHEMA:
        return own.to_event(record.get("data"))
    return plain.to_event(record, USUAL.extended(mapping))
