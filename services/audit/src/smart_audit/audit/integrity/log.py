"""Everything that the database holds of one log."""

from collections.abc import AsyncIterator, Sequence
from typing import Any, NamedTuple
from uuid import UUID

from psycopg import AsyncConnection

from smart_audit.audit.integrity.checkpoints import Checkpoints
from smart_audit.audit.integrity.entries import Entries
from smart_audit.audit.integrity.findings import Finding, Watch, log_index
from smart_audit.audit.integrity.kept import KeptCheckpoint
from smart_audit.audit.integrity.restated import Restated
from smart_audit.audit.integrity.secrets import Secrets
from smart_audit.audit.integrity.snapshot import SET_ORGANISATION, Snapshot, holes, transaction
from smart_audit.audit.integrity.subject_keys import check_subject_keys
from smart_audit.tlog.compact import CompactRange
from smart_audit.tlog.hashing import EMPTY_ROOT

HEAD = """
SELECT size, compact_range, checkpoints FROM audit.logs
WHERE organisation_id = %(organisation_id)s
"""

STATE_AT = """
SELECT tree_size, tree_root FROM audit.entries
WHERE organisation_id = %(organisation_id)s AND log_index = %(size)s - 1
"""


class HeadRow(NamedTuple):
    """The head of a log."""

    size: int
    compact_range: bytes
    checkpoints: int


class State(NamedTuple):
    """A tree: its size, and its root of 32 bytes."""

    size: int
    root: bytes


async def verify_log(
    connection: AsyncConnection[Any],
    organisation_id: UUID,
    secrets: Secrets,
    watch: Watch,
    kept: KeptCheckpoint | None = None,
) -> AsyncIterator[Finding]:
    """What is wrong with a log. Its rows are read one after the other and not gathered.

    kept: the log as somebody remembers it.

    Raises: psycopg.Error.
    """
    snapshot = Snapshot(connection, organisation_id, watch)
    check = _LogCheck(snapshot, secrets, watch, kept)
    while check.stages:
        async with transaction(connection):
            await connection.execute(SET_ORGANISATION, [str(organisation_id)])
            try:
                async for _ in check.go_on():
                    for finding in snapshot.findings():
                        yield finding
            finally:
                await snapshot.leave()
    if not snapshot.reported:
        watch.verified(check.kept())


class _LogCheck:
    """Checks one log in stages, each in one transaction or more."""

    def __init__(
        self, snapshot: Snapshot, secrets: Secrets, watch: Watch, kept: KeptCheckpoint | None
    ) -> None:
        self.stages = [self._read_entries, self._read_keys, self._read_checkpoints]
        self._snapshot = snapshot
        self._secrets = secrets
        self._watch = watch
        self._kept = kept
        self._restated = Restated(snapshot)
        self._entries = Entries(snapshot, secrets, self._restated)
        self._checkpoints = Checkpoints(snapshot, secrets)
        self._begun = False

    async def go_on(self) -> AsyncIterator[None]:
        """Go on for a while. It pauses now and then, so that findings can be taken away."""
        async for _ in self.stages[0]():
            yield
        if self._entries.ended:
            self.stages.pop(0)
        yield

    async def _read_entries(self) -> AsyncIterator[None]:
        heads = await self._snapshot.fetch(HeadRow, HEAD)
        if not self._begun:
            self._begun = True
            size = heads[0].size if len(heads) == 1 else 0
            self._watch.log(self._snapshot.organisation_id, size or 0)
        async for _ in self._entries.read(self._watch):
            yield
        if self._entries.ended:
            await self._restated.finish()
            self._check_head(heads)

    async def _read_keys(self) -> AsyncIterator[None]:
        async for _ in check_subject_keys(self._snapshot, self._secrets):
            yield

    async def _read_checkpoints(self) -> AsyncIterator[None]:
        async for _ in self._checkpoints.read():
            yield
        heads = await self._snapshot.fetch(HeadRow, HEAD)
        if len(heads) == 1 and not holes(heads[0]):
            self._check_count(heads[0])
        if self._kept is not None:
            await self._remember(self._kept)

    def kept(self) -> KeptCheckpoint:
        """The log as it was found."""
        size, root = self._entries.state or (0, EMPTY_ROOT)
        return KeptCheckpoint(self._snapshot.organisation_id, size, root, self._checkpoints.count)

    def _check_head(self, heads: Sequence[HeadRow]) -> None:
        if len(heads) != 1:
            self._report("there is more than one head" if heads else "there is no head")
        elif problem := holes(heads[0]):
            self._report(problem)
        else:
            self._check_size(heads[0])

    def _check_size(self, head: HeadRow) -> None:
        entries = self._entries
        if head.size > entries.size:
            entries.missing(head.size - 1)
        # The last entry states the tree, and its MAC holds: the head may not say otherwise.
        size, root = entries.state or (0, EMPTY_ROOT)
        if size > max(entries.size, head.size):
            self._snapshot.report("entries", log_index(entries.size, size - 1), "is missing")
        if not size <= head.size <= max(size, entries.size):
            self._report(f"states {head.size} entries, and the last entry states {size}")
            return
        try:
            tree = CompactRange.from_bytes(head.size, head.compact_range)
        except ValueError as error:
            self._report(f"compact_range: {error}")
            return
        # Where the last entries were changed, nothing tells what the tree is.
        if head.size == size and (tree.root() != root or entries.tree.now not in (None, tree)):
            self._report("compact_range is not that of the entries")

    def _check_count(self, head: HeadRow) -> None:
        checkpoints = self._checkpoints
        if not checkpoints.sure <= head.checkpoints <= checkpoints.count:
            self._report(f"states {head.checkpoints} checkpoints; there are {checkpoints.count}")
        if head.checkpoints > checkpoints.count:
            checkpoints.missing(checkpoints.count, head.checkpoints - 1)

    async def _remember(self, kept: KeptCheckpoint) -> None:
        """Compare with what is remembered: a log only grows, and nothing in it changes."""
        size = self._entries.size
        if size < kept.size:
            self._report(f"rolled back: it had {kept.size} entries, and now has {size}")
            return
        if self._checkpoints.count < kept.checkpoints:
            self._report(
                f"rolled back: it had {kept.checkpoints} checkpoints, and now has "
                f"{self._checkpoints.count}"
            )
        states = await self._snapshot.fetch(State, STATE_AT, {"size": kept.size})
        if kept.size and states != [State(kept.size, kept.root)]:
            self._report(f"forked: it had another root when it had {kept.size} entries")

    def _report(self, problem: str) -> None:
        self._snapshot.report("logs", "", problem)
