"""Events as lines of the Common Event Format, for collectors of logs.

Source: ArcSight, "Implementing ArcSight Common Event Format", version 25 (CEF:0), with the lengths
of its extension dictionary.
"""

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, ip_address
from typing import Final, NamedTuple

from smart_audit.audit.domain import PERSON, Event, Outcome, Recorded
from smart_audit.audit.formats.base import Proofs
from smart_audit.audit.formats.facts import json_text, targets_json
from smart_audit.audit.formats.product import NAME, product_version

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)

# Severities from 0 to 10: 0-3 are low, 4-6 medium, 7-8 high.
_SEVERITIES: Final = {Outcome.SUCCESS: 3, Outcome.FAILURE: 5, Outcome.DENIED: 7}

_HEADER_ESCAPES: Final = str.maketrans({"\\": "\\\\", "|": "\\|", "\n": " ", "\r": " "})
_VALUE_ESCAPES: Final = str.maketrans({"\\": "\\\\", "=": "\\=", "\n": "\\n", "\r": "\\r"})
# Other controls have no escape in CEF, and would reach the terminal of who reads the file.
_CONTROLS: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
# Most values have none of these, and a search is faster than a translation.
_SPECIAL: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\\=|]")
_REPLACEMENT: Final = "\ufffd"

_SEPARATORS: Final = re.compile(r"[._:/-]+")

_LONGEST: Final = {
    "externalId": 40,
    "suid": 1023,
    "suser": 1023,
    "spriv": 1023,
    "shost": 1023,
    "requestClientApplication": 1023,
    "outcome": 63,
    "reason": 1023,
    "sourceServiceName": 1023,
    "duid": 1023,
    "duser": 1023,
}
_LONGEST_CUSTOM: Final = 4000


class Field(NamedTuple):
    """A value, and what a field without a meaning of its own is used for."""

    key: str
    value: str
    label: str = ""

    @property
    def fits(self) -> bool:
        """Whether the dictionary allows its length."""
        return len(self.value) <= _LONGEST.get(self.key, _LONGEST_CUSTOM)


class Cef:
    """A line of each event. Values that are longer than CEF allows are left out, and named."""

    content_type = "text/plain; charset=utf-8"
    file_extension = "cef"
    takes_proofs = False
    cuttable = True

    def begin(self) -> bytes:
        """Nothing."""
        return b""

    def lines(self, events: Sequence[Recorded], proofs: Proofs | None = None) -> bytes:
        """A line of each event."""
        return b"".join([to_cef(recorded).encode() + b"\n" for recorded in events])

    def end(self) -> bytes:
        """Nothing."""
        return b""


def to_cef(recorded: Recorded) -> str:
    """The event as one line, without its line break."""
    event = recorded.event
    name = _SEPARATORS.sub(" ", event.action).strip()
    header = (NAME, NAME, product_version(), event.action, name, str(_SEVERITIES[event.outcome]))
    fields = [field for field in _fields(recorded) if field.value]
    dropped = " ".join([field.label or field.key for field in fields if not field.fits])
    if dropped:
        fields.append(Field("cs5", dropped, "tooLongForCef"))
    written = "".join([_written(field) for field in fields if field.fits])
    return f"CEF:0|{'|'.join(map(_header, header))}|{written[:-1]}"


def _fields(recorded: Recorded) -> Iterator[Field]:
    event = recorded.event
    occurred = _milliseconds(event.occurred_at)
    yield Field("rt", _milliseconds(recorded.recorded_at))
    yield Field("start", occurred)
    yield Field("end", occurred)
    yield Field("externalId", str(event.id))
    yield Field("outcome", event.outcome.name.lower())
    yield Field("reason", event.outcome_reason)
    yield Field("suid", event.actor.id)
    yield Field("suser", event.actor.email or event.actor.name)
    yield Field("spriv", event.actor.type)
    yield _address(event.source_address)
    yield Field("requestClientApplication", event.user_agent)
    yield Field("sourceServiceName", event.source)
    yield from _destination(event)
    yield Field("cs1", json_text(targets_json(event)), "targets")
    yield Field("cs2", json_text(event.metadata), "metadata")
    yield Field("cs3", str(event.organisation_id), "organisationId")
    yield Field("cs4", " ".join(recorded.erased), "erasedFields")
    yield Field("cn1", str(recorded.log_index), "logIndex")


def _address(address: str) -> Field:
    """`src` holds IPv4 alone; IPv6 has a field of its own, and all else is the name of a host."""
    try:
        is_four = isinstance(ip_address(address), IPv4Address)
    except ValueError:
        return Field("shost", address)
    return Field("src", address) if is_four else Field("c6a2", address, "Source IPv6 Address")


def _destination(event: Event) -> Iterator[Field]:
    """The person that it was done to, if it was one."""
    for target in event.targets:
        if target.type == PERSON:
            yield Field("duid", target.id)
            yield Field("duser", target.name)
            return


def _written(field: Field) -> str:
    label = f"{field.key}Label={_value(field.label)} " if field.label else ""
    return f"{label}{field.key}={_value(field.value)} "


def _header(text: str) -> str:
    if not _SPECIAL.search(text):
        return text
    return _CONTROLS.sub(_REPLACEMENT, text).translate(_HEADER_ESCAPES)


def _value(text: str) -> str:
    if not _SPECIAL.search(text):
        return text
    return _CONTROLS.sub(_REPLACEMENT, text).translate(_VALUE_ESCAPES)


def _milliseconds(time: datetime) -> str:
    return str((time - _EPOCH) // _MILLISECOND)
