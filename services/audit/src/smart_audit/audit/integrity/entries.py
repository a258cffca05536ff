"""The entries of a log from the first to the last: order, MACs, tree, tiles, content."""

import time
from collections.abc import AsyncIterator
from typing import NamedTuple

from smart_audit.audit.integrity.content import Contents
from smart_audit.audit.integrity.findings import Watch, log_index
from smart_audit.audit.integrity.ranges import Ranges
from smart_audit.audit.integrity.restated import Restated
from smart_audit.audit.integrity.rows import CONTENT, ENTRIES, FIRST, EntryRow, permanence
from smart_audit.audit.integrity.secrets import Secrets
from smart_audit.audit.integrity.snapshot import Snapshot, holes
from smart_audit.audit.integrity.targets import Targets
from smart_audit.audit.integrity.tree import Tree

AT_ONCE_S = 5.0
"""For about so long a transaction is open."""

COUNT = """
SELECT count(*), count(log_index) FROM audit.entries WHERE organisation_id = %(organisation_id)s
"""

COUNT_CONTENT = """
SELECT count(*) FROM audit.payloads WHERE organisation_id = %(organisation_id)s
"""

STRAY_CONTENT = """
SELECT payload.log_index FROM audit.payloads AS payload
WHERE payload.organisation_id = %(organisation_id)s AND NOT EXISTS (
    SELECT FROM audit.entries AS entry
    WHERE entry.organisation_id = %(organisation_id)s AND entry.log_index = payload.log_index
        AND entry.recorded_at = payload.recorded_at
)
"""


class Counted(NamedTuple):
    """How many rows of entries there are, and how many of them have a log index."""

    rows: int
    with_index: int


class StrayRow(NamedTuple):
    """Content that is of no entry."""

    log_index: int | None


class Entries:
    """Goes over the entries of a log. What it knows is in its attributes.

    size: one more than the last log index that was seen.
    state: the size of the tree and its root (32 bytes) as the last good entry states them, None
    for a log without any.
    ended: whether it has come to the end of the log.
    """

    def __init__(self, snapshot: Snapshot, secrets: Secrets, restated: Restated) -> None:
        self.size = 0
        self.state: tuple[int, bytes] | None = None
        self.ended = False
        self.tree = Tree(snapshot)
        self._snapshot = snapshot
        self._authenticate = secrets.wrapping.authenticate
        self._contents = Contents(snapshot, secrets)
        self._targets = Targets(snapshot)
        self._restated = restated
        self._ranges = Ranges(snapshot)
        self._first = FIRST
        self._last: bytes | None = None
        self._rows = 0
        self._unknown = 0
        self._roots_hold = True

    async def read(self, watch: Watch) -> AsyncIterator[None]:
        """Go on for a while. It pauses now and then, so that findings can be taken away.

        A log is not read in one transaction: that one would hold up the making of partitions, and
        with it all appends, and keep the database from cleaning up.
        """
        until = time.monotonic() + AT_ONCE_S
        self.tree.resume()
        await self._restated.resume()
        async for page in self._snapshot.pages(EntryRow, ENTRIES, {"first": self._first}):
            await self._contents.begin(page)
            for place, row in enumerate(page):
                await self._entry(place, row)
            await self._targets.end()
            self._first = page[-1].log_index + 1
            watch.entries(len(page))
            yield
            if time.monotonic() > until:
                return
        self.ended = True
        self._ranges.close()
        await self._check_count()
        await self.tree.finish()
        async for _ in self._targets.finish():
            yield
        async for _ in self._check_content_count():
            yield

    def missing(self, last: int) -> None:
        """Report the entries after those that are there, up to log index `last`."""
        self._ranges.add("entries", self.size, "is missing", last)
        self._ranges.close()

    async def _entry(self, place: int, row: EntryRow) -> None:
        again, self._last = self._last == row.ctid, row.ctid
        self._rows += not again
        if again:
            self._restated.unsure()
            self._ranges.add("payloads", row.log_index, "is there more than once")
        elif row.log_index < self.size:
            self._restated.unsure()
            self._ranges.add("entries", row.log_index, "is there more than once")
        elif (permanent := self._permanence(row)) is None:
            self._restated.unsure()
            self._pass_over(row)
        else:
            await self._take(row)
            await self._check_content(place, row, permanent=permanent)

    def _permanence(self, row: EntryRow) -> bool | None:
        """Whether retention leaves the content alone; None, and a finding, for a changed row."""
        problem = holes(row, *CONTENT)
        permanent = None
        if not problem:
            permanent = permanence(row, self._snapshot.organisation_id, self._authenticate)
            problem = "the row was changed: its MAC does not fit" if permanent is None else ""
        if problem:
            self._ranges.add("entries", row.log_index, problem)
        return permanent

    def _pass_over(self, row: EntryRow) -> None:
        """Leave out a row that was changed. Only where one is expected it may be one of ours."""
        if row.log_index == self.size:
            self.size += 1
            self._unknown += 1

    async def _take(self, row: EntryRow) -> None:
        """Let the tree grow by an entry that is right, and by those before it that are not."""
        if row.log_index > self.size:
            self._ranges.add("entries", self.size, "is missing", row.log_index - 1)
            self._restated.unsure()
            self._unknown += row.log_index - self.size
        for _ in range(self._unknown):
            await self.tree.add(None)
        self._unknown = 0
        self.size = row.log_index + 1
        await self.tree.add(row.leaf_hash)
        self._check_batch(row)

    def _check_batch(self, row: EntryRow) -> None:
        """An entry states the tree after its batch: all of a batch do alike, and truly."""
        stated = row.tree_size, row.tree_root
        if self.state is not None and row.log_index < self.state[0] and stated != self.state:
            self._ranges.add("entries", row.log_index, "its batch ends elsewhere")
        self.state = stated
        now = self.tree.now
        if now is not None and now.size == row.tree_size and now.root() != row.tree_root:
            # All that follow would tell the same.
            if self._roots_hold:
                self._ranges.add("entries", row.log_index, "tree_root is not the root of the tree")
            self._roots_hold = False

    async def _check_content(self, place: int, row: EntryRow, *, permanent: bool) -> None:
        if not row.has_content:
            if problem := self._restated.missing(row.recorded_at, permanent=permanent):
                self._ranges.add("payloads", row.log_index, problem)
            return
        if row.permanent is not permanent:
            self._ranges.add("payloads", row.log_index, "permanent is not what the MAC says")
        content = self._contents.check(place, row)
        if content is not None:
            self._targets.want(row, content.event)
        if permanent:
            await self._restated.tell(row.event_id, content)

    async def _check_count(self) -> None:
        (counted,) = await self._snapshot.fetch(Counted, COUNT)
        if counted.rows > counted.with_index:
            self._restated.unsure()
            problem = f"{counted.rows - counted.with_index} rows have none"
            self._snapshot.report("entries", "without log index", problem)
        if counted.with_index != self._rows:
            self._restated.unsure()
            problem = f"{counted.with_index} rows are there, and {self._rows} were read"
            self._snapshot.report("entries", "", problem)

    async def _check_content_count(self) -> AsyncIterator[None]:
        missing = self._rows - await self._snapshot.count(COUNT_CONTENT)
        # Only when there is something wrong it is worth reading it all.
        if not self._snapshot.reported and self._restated.removed(missing):
            return
        async for page in self._snapshot.pages(StrayRow, STRAY_CONTENT):
            missing += len(page)
            for (index,) in page:
                place = "without log index" if index is None else log_index(index)
                self._snapshot.report("payloads", place, "no entry has this place and time")
            yield
        self._restated.check_removed(missing)
