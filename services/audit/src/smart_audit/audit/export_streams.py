"""How many exports one process streams at the same time for one organisation."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from smart_audit.audit.domain import OrganisationId
from smart_audit.audit.errors import ExportLimitReached


class Streams:
    """Counts the streams of this process."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._running: Counter[OrganisationId] = Counter()

    @contextmanager
    def one_of(self, organisation_id: OrganisationId) -> Iterator[None]:
        """One stream more, until the context is left. Raises: ExportLimitReached."""
        if self._running[organisation_id] >= self._most:
            raise ExportLimitReached(
                f"{self._most} exports are being streamed to this organisation; wait for one to"
                " end, or order this one by POST /v1/exports",
                limit=str(self._most),
            )
        self._running[organisation_id] += 1
        try:
            yield
        finally:
            self._running[organisation_id] -= 1
            if not self._running[organisation_id]:
                del self._running[organisation_id]
