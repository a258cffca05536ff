"""Requests are checked against the rules in the protos (protovalidate)."""

import protovalidate
from google.protobuf.message import Message

from smart_audit.core.errors import InvalidArgument

REQUIRED = {"required", "enum.not_in", "oneof.required"}
PATTERNS = {
    r"`^\P{Cc}*$`": "must not hold control characters",
    r"`^[^\x00]*$`": "must not hold a zero byte",
}


def violations_of(message: Message) -> dict[str, str]:
    """What is wrong with a message, by path of the field, e.g. `targets[0].id`."""
    found: dict[str, str] = {}
    for violation in protovalidate.collect_violations(message):
        proto = violation.proto
        steps = proto.field.elements if proto.field else []
        # A rule about a whole message has no path: its id names the field that it is about.
        path = "".join(map(_step, steps)).removeprefix(".") or proto.rule_id
        found.setdefault(path, _sentence(proto.message, proto.rule_id))
    return found


def validate(message: Message) -> None:
    """Raises: InvalidArgument that names each wrong field and says what it needs."""
    if fields := violations_of(message):
        sentence = "; ".join(f"{field} {what}" for field, what in fields.items())
        raise InvalidArgument(sentence, fields=fields)


def _step(element: protovalidate.FieldPathElementPb) -> str:
    subscript = element.subscript
    return f".{element.field_name}" + (f"[{subscript.value}]" if subscript else "")


def _sentence(message: str, rule_id: str) -> str:
    """A remedy in words, where the rule's own message is about a regular expression or a list."""
    if rule_id in REQUIRED or (rule_id == "string.min_len" and " 1 " in message):
        return "is required"
    return next((words for pattern, words in PATTERNS.items() if pattern in message), message)
