"""From an event as the API, or an export of it, writes it, back to an event.

What the old log said of the event (its place, when and by whom it was recorded, what was erased)
is kept in the metadata as `imported_from`.
"""

from typing import Any, Final

from google.protobuf.json_format import ParseDict, ParseError

from smart_audit.api.audit.v1 import audit_pb2
from smart_audit.client.imports.records import BadRecord, object_of, source_of, texts_checked

IMPORTED_FROM: Final = "imported_from"
_OF_THE_LOG: Final = ("organisation_id", "log_index", "recorded_at", "recorded_by", "erased_fields")
_REQUIRED: Final = ("id", "action", "actor", "outcome", "occurred_at")


def to_event(record: Any) -> audit_pb2.Event:
    """The event of one record; a proof beside it is of the old log, and is left behind.

    Raises: BadRecord.
    """
    fields = {name: value for name, value in object_of(record).items() if name != "proof"}
    for name in _REQUIRED:
        if not fields.get(name):
            raise BadRecord(
                f"no {name}: not an event of the API; say with --map which field is which"
            )
    provenance = {name: fields.pop(name) for name in _OF_THE_LOG if fields.get(name)}
    for name in _OF_THE_LOG:
        fields.pop(name, None)
    return restored(fields, provenance)


def restored(fields: dict[str, Any], provenance: dict[str, Any]) -> audit_pb2.Event:
    """The event of the API's fields, with where it came from. Raises: BadRecord."""
    metadata = fields.get("metadata") or {}
    if not isinstance(metadata, dict):
        raise BadRecord("metadata: not a JSON object")
    if IMPORTED_FROM in metadata:
        provenance = {**provenance, IMPORTED_FROM: metadata[IMPORTED_FROM]}
    kept = {**metadata, IMPORTED_FROM: provenance} if provenance else metadata
    with texts_checked():
        try:
            event: audit_pb2.Event = ParseDict(
                {**fields, "metadata": kept} if kept else fields, audit_pb2.Event()
            )
        except ParseError as error:
            raise BadRecord(str(error)) from error
        event.source = source_of(event.source)
    return event
