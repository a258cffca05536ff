"""How an event that was verified is shown: its facts, field by field, one a line."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from smart_audit.cli.text import printable
from smart_audit.tlog.leaf import OpenedLeaf

# The fields in an order that reads well; those that an event lacks are left out.
_FIELDS: Final = (
    "id",
    "organisation_id",
    "action",
    "actor",
    "targets",
    "outcome",
    "outcome_reason",
    "occurred_at",
    "recorded_at",
    "recorded_by",
    "source",
    "source_address",
    "user_agent",
    "metadata",
)


def fact_lines(opened: OpenedLeaf) -> Iterator[str]:
    """Field and value; a value that was a disclosure is marked."""
    fields: list[tuple[str, Any, str]] = [
        *((name, value, "") for name, value in _flat("", opened.facts) if name != "version"),
        *((name, value, "  (disclosed)") for name, value in opened.disclosed.items()),
    ]
    fields.sort(key=lambda field: _place(field[0]))
    width = max(len(name) for name, _, _ in fields)
    for name, value, mark in fields:
        yield f"{name:<{width}}  {shown(value)}{mark}"


def shown(value: Any) -> str:
    """A value as JSON on one line."""
    return printable(json.dumps(value, ensure_ascii=False))


def _flat(prefix: str, value: Any) -> Iterator[tuple[str, Any]]:
    """The fields of a leaf by path, as disclosures name them."""
    match value:
        case Mapping():
            for name, one in value.items():
                yield from _flat(f"{prefix}.{name}" if prefix else name, one)
        case list():
            for place, one in enumerate(value):
                yield from _flat(f"{prefix}.{place}", one)
        case _:
            yield prefix, value


def _place(name: str) -> tuple[int, int]:
    first, *rest = name.split(".")
    return _FIELDS.index(first), int(rest[0]) if first == "targets" else 0
