"""The last line of an export, `{"end": {…}}`: it says that all is there (docs/exports.md)."""

import hashlib
from typing import Any, Final

_END: Final = "end"


def ending_of(value: Any) -> dict[str, Any] | None:
    """What the last line of an export tells, if a line is that; no record looks like it."""
    if not isinstance(value, dict) or list(value) != [_END]:
        return None
    told = value[_END]
    return told if isinstance(told, dict) and {"complete", "sha256"} <= told.keys() else None


class Endings:
    """Holds the lines of an export against what its last line tells of them.

    A file may hold several exports, one after the other, as when one broke off and went on.
    """

    def __init__(self) -> None:
        self._seen = hashlib.sha256()
        self.broken_off = ""
        """Why the last export broke off; empty when it was whole."""

    def add(self, line: bytes) -> None:
        """A line in front of the ending, as it stands in the file."""
        self._seen.update(line)

    def close(self, told: dict[str, Any]) -> str:
        """Compare, and begin anew behind the ending; gives what is wrong, or ""."""
        seen, self._seen = self._seen.hexdigest(), hashlib.sha256()
        self.broken_off = "" if told["complete"] else f"{told.get('reason') or 'no reason given'}"
        if told["sha256"] == seen:
            return ""
        return "the lines in front are not those of the export: their SHA-256 differs"
