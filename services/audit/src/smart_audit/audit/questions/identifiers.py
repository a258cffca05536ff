"""Finding what names one thing: e-mail addresses, network addresses, ids, fields by name."""

import ipaddress
import re
from collections.abc import Iterator
from typing import Final

from smart_audit.audit.questions.readings import Kind, Option, Reading, any_of, anywhere, equals

_ACTOR_CUES: Final = r"by|user|actor|account|whom"
_CUE: Final = rf"(?:\b(?P<cue>{_ACTOR_CUES}|from|on|to|of|for|at|with|id|target|address|ip)\s+)?"
_FACTS: Final = {
    "id": "id",
    "event": "id",
    "actor": "actor.id",
    "actor.id": "actor.id",
    "actor.type": "actor.type",
    "actor.name": "actor.name",
    "actor.email": "actor.email",
    "target": "target.id",
    "target.id": "target.id",
    "target.type": "target.type",
    "target.name": "target.name",
    "action": "action",
    "outcome": "outcome",
    "reason": "outcome_reason",
    "outcome_reason": "outcome_reason",
    "source": "source",
    "source_address": "source_address",
    "address": "source_address",
    "ip": "source_address",
    "recorded_by": "recorded_by",
}
_OUTCOMES: Final = {
    "success": "SUCCESS", "succeeded": "SUCCESS", "successful": "SUCCESS", "ok": "SUCCESS",
    "failure": "FAILURE", "failed": "FAILURE", "error": "FAILURE",
    "denied": "DENIED", "refused": "DENIED", "forbidden": "DENIED",
}  # fmt: skip
_FIELD: Final = re.compile(
    r"(?<![\w.])(?P<field>[a-z_]+(?:\.[a-z_]+)?)\s?[=:]\s?"
    r'(?:"(?P<quoted>[^"]{1,200})"|(?P<value>[^\s",;()]{1,200}))',
    re.IGNORECASE,
)
_OUTCOME: Final = re.compile(r"\b(?:with\s+)?outcome\s+(?P<value>[a-z]+)\b", re.IGNORECASE)
_EMAIL: Final = re.compile(
    _CUE + r"(?P<value>[\w.!#$%&'*+/=?^`{|}~-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63})+)", re.IGNORECASE
)
_ADDRESS: Final = re.compile(
    _CUE + r"(?<![\w.:/-])(?P<value>(?:\d{1,3}\.){3}\d{1,3}|[0-9a-f]{0,4}:[0-9a-f:.]*:[0-9a-f:.]*)"
    r"(?![\w:/-]|\.\w)",
    re.IGNORECASE,
)
_ID: Final = re.compile(
    _CUE
    + r"""(?<![\w./:@-])(?P<value>
        [0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}
      | arn:[\w-]*:[\w-]*:[\w-]*:\d*:[\w+=,.@/:*-]+
      | A[KS]IA[A-Z0-9]{12,20}
      | (?=[\w-]*\d)[a-z]{1,16}(?:[_-][a-z0-9]+)+      # u_1, i-0abc, us-east-1
      | (?=[0-9a-f]*\d)(?=[0-9a-f]*[a-f])[0-9a-f]{8,64}
      | \d{6,40}
    )(?![\w@/:]|[.-]\w)""",
    re.VERBOSE | re.IGNORECASE,
)
_UUID_LENGTH: Final = 36


def find_identifiers(text: str) -> Iterator[Reading]:
    """What names one thing, in the order of how certain it is; readings may overlap."""
    yield from _emails(text)
    yield from _addresses(text)
    yield from _ids(text)


def find_fields(text: str) -> Iterator[Reading]:
    """Fields by their names, as in "source=editor", "outcome denied"."""
    for match in _FIELD.finditer(text):
        field = _FACTS.get(match["field"].lower())
        value = match["quoted"] or match["value"].rstrip(".?!")
        if field and value:
            yield from _fact(field, value, match)
    for match in _OUTCOME.finditer(text):
        yield from _fact("outcome", match["value"], match)


def _fact(field: str, value: str, match: re.Match[str]) -> Iterator[Reading]:
    if field == "outcome":
        outcome = _OUTCOMES.get(value.lower())
        if outcome:
            yield _certain(Kind.FIELD, match, f"outcome={outcome}")
    else:
        yield _certain(Kind.FIELD, match, equals(field, value))


def _emails(text: str) -> Iterator[Reading]:
    for match in _EMAIL.finditer(text):
        value = match["value"]
        actor = any_of(equals("actor.email", value), equals("actor.id", value))
        yield _certain(Kind.EMAIL, match, actor, *_anywhere(match))


def _addresses(text: str) -> Iterator[Reading]:
    for match in _ADDRESS.finditer(text):
        try:
            ipaddress.ip_address(match["value"])
        except ValueError:
            continue
        address = equals("source_address", match["value"])
        yield _certain(Kind.ADDRESS, match, address, *_anywhere(match))


def _ids(text: str) -> Iterator[Reading]:
    for match in _ID.finditer(text):
        value = match["value"]
        certain = len(value) == _UUID_LENGTH or value.startswith(("arn:", "AKIA", "ASIA"))
        exact = [equals("actor.id", value), equals("target.id", value)]
        cue = (match["cue"] or "").lower()
        if re.fullmatch(_ACTOR_CUES, cue):
            exact = exact[:1]
        elif cue in {"on", "to", "target"}:
            exact = exact[1:]
        elif len(value) == _UUID_LENGTH:
            exact.append(equals("id", value))
        yield _reading(Kind.ID, match, any_of(*exact), *_anywhere(match), certain=certain)


def _anywhere(match: re.Match[str]) -> list[str]:
    """The filter that finds it as a word of any field, unless a cue says which field it is."""
    by_actor = re.fullmatch(_ACTOR_CUES, (match["cue"] or "").lower())
    return [] if by_actor else [anywhere(match["value"])]


def _certain(kind: Kind, match: re.Match[str], *filters: str) -> Reading:
    return _reading(kind, match, *filters, certain=True)


def _reading(kind: Kind, match: re.Match[str], *filters: str, certain: bool) -> Reading:
    options = [Option(match.start(), match.end(), one) for one in filters]
    return Reading(kind, options, certain)
