"""Entries next to each other that have the same fault, told as one."""

from smart_audit.audit.integrity.findings import log_index
from smart_audit.audit.integrity.snapshot import Snapshot


class Ranges:
    """Gathers faults by their place in the log, in its order; a range is reported at its end."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._open: dict[tuple[str, str], tuple[int, int]] = {}

    def add(self, table: str, first: int, problem: str, last: int | None = None) -> None:
        """Note a fault of one entry, or of those from `first` to `last`."""
        start, end = self._open.get((table, problem), (first, first - 1))
        if first != end + 1:
            self._snapshot.report(table, log_index(start, end), problem)
            start = first
        self._open[table, problem] = start, first if last is None else last

    def close(self) -> None:
        """Report what is still open."""
        for (table, problem), (start, end) in self._open.items():
            self._snapshot.report(table, log_index(start, end), problem)
        self._open.clear()
