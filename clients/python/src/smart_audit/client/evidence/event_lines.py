"""Comparing `events.jsonl` with what the leaves state."""

from collections.abc import Iterator

from smart_audit.client.evidence.archive import Archive
from smart_audit.client.evidence.entries import Entry
from smart_audit.client.evidence.formats import EVENTS, event_line
from smart_audit.client.evidence.lines import EvidenceError, is_number, read_line


class EventLines:
    """The lines of `events.jsonl`, compared one by one to what the leaves state."""

    def __init__(self, archive: Archive) -> None:
        self.found: list[EvidenceError] = []
        self._lines = enumerate(self._read(archive), 1)
        self._ahead: tuple[int, int, bytes] | None = None

    def compare(self, index: int, entry: Entry) -> None:
        """Compare the event of a leaf to the next line."""
        while (line := self._next()) is not None and line[1] < index:
            self._add(line[0], f"index {line[1]} has no leaf that is shown, or comes twice")
        if line is None or line[1] > index:
            self._ahead = line
            self.found.append(EvidenceError(EVENTS, f"the event of index {index} is missing"))
            return
        number, _, data = line
        if data != event_line(index, entry.event, entry.withheld, entry.unavailable):
            self._add(number, f"the event of index {index} is not what its leaf states")

    def end(self) -> Iterator[EvidenceError]:
        """All faults, those of left over lines included."""
        while (line := self._next()) is not None:
            self._add(line[0], f"index {line[1]} has no leaf that is shown, or comes twice")
        yield from self.found

    def _next(self) -> tuple[int, int, bytes] | None:
        """The next line that can be read: its number, its log index and itself."""
        if self._ahead is not None:
            line, self._ahead = self._ahead, None
            return line
        for number, data in self._lines:
            try:
                index = read_line(data, f"{EVENTS}, line {number}").get("log_index")
            except EvidenceError as error:
                self.found.append(error)
                continue
            if is_number(index):
                return number, int(str(index)), data
            self._add(number, "it has no log index")
        return None

    def _add(self, number: int, why: str) -> None:
        self.found.append(EvidenceError(f"{EVENTS}, line {number}", why))

    def _read(self, archive: Archive) -> Iterator[bytes]:
        try:
            yield from archive.lines(EVENTS)
        except EvidenceError as error:
            self.found.append(error)
