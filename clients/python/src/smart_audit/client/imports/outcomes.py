"""How others say how an attempt ended."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from smart_audit.api.audit.v1 import audit_pb2
from smart_audit.client.imports.records import BadRecord

OUTCOMES: Final[Mapping[str, audit_pb2.Outcome.ValueType]] = MappingProxyType(
    {
        "success": audit_pb2.OUTCOME_SUCCESS,
        "failure": audit_pb2.OUTCOME_FAILURE,
        "denied": audit_pb2.OUTCOME_DENIED,
    }
)
_WORDS: Final = {
    word: outcome
    for outcome, words in {
        "success": "success successful succeeded succeed ok okay allow allowed accept accepted "
        "pass passed granted permit permitted true yes completed outcome_success",
        "failure": "failure fail failed error errored false no invalid aborted timeout "
        "outcome_failure",
        "denied": "denied deny forbidden unauthorized unauthorised refused rejected blocked "
        "access_denied accessdenied outcome_denied",
    }.items()
    for word in words.split()
}
# Status codes of HTTP.
_STATUS: Final = range(100, 600)
_FIRST_ERROR: Final = 400
_UNAUTHORISED: Final = (401, 403, 407)


def outcome_of(value: Any, meanings: Mapping[str, str]) -> audit_pb2.Outcome.ValueType:
    """The outcome that a value means: what the caller says it means, or a usual word or status.

    Raises: BadRecord.
    """
    word = str(value).strip().lower()
    name = meanings.get(word) or _WORDS.get(word) or _of_status(word)
    if name is None:
        shown = str(value)[:40]
        raise BadRecord(
            f"outcome {shown!r} is not understood; say what it means with --outcome "
            f"{shown}=success, =failure or =denied"
        )
    return OUTCOMES[name]


def _of_status(word: str) -> str | None:
    if not (word.isascii() and word.isdigit() and len(word) == len("200")):
        return None
    status = int(word)
    if status in _UNAUTHORISED:
        return "denied"
    if status not in _STATUS:
        return None
    return "failure" if status >= _FIRST_ERROR else "success"
