"""Where a change of the database has to show, in words."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

from smart_audit.audit.integrity.findings import Finding
from tests.integrity.mutations import Done

_NUMBERS = re.compile(r"-?\d+")


def located(done: Done, found: list[Finding]) -> bool:
    """Whether some finding names the table and a row that was changed, or where else it shows."""
    return any(_names(finding, done, row) for finding in found for row in done.rows)


def _names(finding: Finding, done: Done, row: dict[str, Any]) -> bool:
    if row.get("organisation_id", ...) is None:
        return finding.table == done.table and finding.problem.endswith("of no organisation")
    if finding.organisation_id != row.get("organisation_id", finding.organisation_id):
        return False
    if finding.table == done.table and _NAMED[done.table](finding.place, row):
        return True
    return _cannot_tell(finding, done, row)


def _cannot_tell(finding: Finding, done: Done, row: dict[str, Any]) -> bool:
    """What shows, but not as the row that was changed."""
    match done.table, done.column:
        case "payloads", "":
            # Retention has been at content of this age: only the count tells that this is gone.
            old = row["recorded_at"] < datetime.now(UTC) - timedelta(days=90)
            return old and finding.place.startswith("recorded before")
        case "payloads", "disclosures":
            # The id of a key was changed: it looks as if the key were missing.
            return f"{_index(row)} is sealed under it" in finding.problem
        case "checkpoint_keys", "":
            # The number of a key is not in its signatures; their id is made from the key itself.
            return finding.place.startswith("key id")
    return False


def _index(row: dict[str, Any]) -> str:
    return f"log index {row['log_index']}"


def _log_index(place: str, row: dict[str, Any]) -> bool:
    if row["log_index"] is None:
        return "without log index" in place
    first, *rest = [int(number) for number in _NUMBERS.findall(place.partition(",")[0])] or [-1]
    return place.startswith("log index") and first <= row["log_index"] <= (rest or [first])[0]


_NAMED = {
    "logs": lambda place, _: place == "",
    "entries": _log_index,
    "payloads": _log_index,
    "entry_targets": lambda place, row: (
        _log_index(place, row) and place.endswith(f"target {row['target_id']!r}")
    ),
    "tiles": lambda place, row: place == f"level {row['level']}, tile {row['tile_index']}",
    "checkpoints": lambda place, row: (
        place == f"number {row['number']}"
        or (
            place.startswith("numbers")
            and int(_NUMBERS.findall(place)[0]) <= row["number"] <= int(_NUMBERS.findall(place)[1])
        )
    ),
    "checkpoint_keys": lambda place, row: place in ("", f"number {row['number']}"),
    "subject_keys": lambda place, row: (
        place.startswith(f"key {row['key_id']}")
        or place == f"subject {row['subject_type']} {row['subject_id']!r}"
    ),
    "log_settings": lambda place, _: place == "",
    "holds": lambda place, row: place == f"hold {row['hold_id']}",
}
