"""The entries of a log from the first to the last: order, MACs, tree, tiles, content."""

from collections.abc import AsyncIterator

from smart_audit.audit.integrity.content import Contents
from smart_audit.audit.integrity.findings import Watch
from smart_audit.audit.integrity.ranges import Ranges
from smart_audit.audit.integrity.restated import Restated
from smart_audit.audit.integrity.rows import CONTENT, ENTRIES, EntryRow, permanence
from smart_audit.audit.integrity.secrets import Secrets
from smart_audit.audit.integrity.snapshot import Snapshot, holes
from smart_audit.audit.integrity.targets import Targets
from smart_audit.audit.integrity.tree import Tree

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


class Entries:
    """Goes over the entries of a log. What it knows at the end is in its attributes.

    size: one more than the last log index that was seen.
    state: the size of the tree and its root (32 bytes) as the last good entry states them, None
    for a log without any.
    """

    def __init__(self, snapshot: Snapshot, secrets: Secrets, restated: Restated) -> None:
        self.size = 0
        self.state: tuple[int, bytes] | None = None
        self.tree = Tree(snapshot)
        self._snapshot = snapshot
        self._authenticate = secrets.wrapping.authenticate
        self._contents = Contents(snapshot, secrets)
        self._targets = Targets(snapshot)
        self._restated = restated
        self._ranges = Ranges(snapshot)
        self._last: bytes | None = None
        self._unknown = 0
        self._content = 0
        self._roots_hold = True

    async def read(self, watch: Watch) -> AsyncIterator[None]:
        """Go over them. It pauses now and then, so that findings can be taken away."""
        async for page in self._snapshot.pages(EntryRow, ENTRIES):
            await self._contents.begin(page)
            for place, row in enumerate(page):
                await self._entry(place, row)
            await self._targets.end()
            watch.entries(len(page))
            yield
        self._ranges.close()
        await self.tree.finish()
        await self._targets.finish()
        await self._find_stray_content()

    def missing(self, last: int) -> None:
        """Report the entries after those that are there, up to log index `last`."""
        self._ranges.add("entries", self.size, "is missing", last)
        self._ranges.close()

    async def _entry(self, place: int, row: EntryRow) -> None:
        self._content += row.has_content
        again, self._last = self._last == row.ctid, row.ctid
        if row.log_index is None:
            self._snapshot.report("entries", "a row without log index", "is none of the log's")
        elif again:
            self._ranges.add("payloads", row.log_index, "is there more than once")
        elif row.log_index < self.size:
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

    async def _find_stray_content(self) -> None:
        # Only when there is something wrong it is worth reading it all.
        count = await self._snapshot.count(COUNT_CONTENT)
        if count == self._content and not self._snapshot.reported:
            return
        async for page in self._snapshot.pages(int, STRAY_CONTENT):
            for index in page:
                place = "a row without log index" if index is None else f"log index {index}"
                self._snapshot.report("payloads", place, "no entry has this place and time")
