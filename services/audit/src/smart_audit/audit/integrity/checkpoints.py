"""The checkpoints of a log, and the keys that sign them."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from psycopg import AsyncConnection
from psycopg.rows import args_row

from smart_audit.audit.domain import OrganisationId, StoredCheckpoint, StoredCheckpointKey
from smart_audit.audit.integrity.findings import Finding
from smart_audit.audit.integrity.secrets import Secrets
from smart_audit.audit.integrity.snapshot import Snapshot, adapt, holes, transaction
from smart_audit.core.sealing import SealBroken
from smart_audit.tlog.checkpoint import Checkpoint, CheckpointError
from smart_audit.tlog.note import Note, NoteError, NoteSignature, Verifier, open_note

# A size that no log has must not make the query fail.
CHECKPOINTS = """
SELECT checkpoint.number, checkpoint.size, checkpoint.root, checkpoint.note, checkpoint.signed_at,
    checkpoint.cosignatures, checkpoint.mac, entry.tree_size, entry.tree_root
FROM audit.checkpoints AS checkpoint
LEFT JOIN audit.entries AS entry
    ON entry.organisation_id = %(organisation_id)s
    AND entry.log_index = CASE WHEN checkpoint.size > 0 THEN checkpoint.size - 1 END
WHERE checkpoint.organisation_id = %(organisation_id)s
ORDER BY checkpoint.number
"""

KEYS = """
SELECT number, public_key, sealed_private_key, created_at FROM audit.checkpoint_keys
ORDER BY number
"""

TABLE = "checkpoints"


class CheckpointRow(NamedTuple):
    """A checkpoint, and the tree as the last entry that it covers states it."""

    number: int
    size: int
    root: bytes
    note: str
    signed_at: datetime
    cosignatures: Sequence[str]
    mac: bytes
    tree_size: int | None
    tree_root: bytes | None


class KeyRow(NamedTuple):
    """A key that signs checkpoints."""

    number: int
    public_key: bytes
    sealed_private_key: bytes
    created_at: datetime


class Checkpoints:
    """Checks the checkpoints of one log.

    count: one more than the last number that was seen; `sure` leaves out rows that were changed.
    """

    def __init__(self, snapshot: Snapshot, secrets: Secrets) -> None:
        self.count = 0
        self.sure = 0
        self._snapshot = snapshot
        self._secrets = secrets
        self._keys = secrets.checkpoint_keys
        self._organisation_id = OrganisationId(snapshot.organisation_id)
        self._origin = self._keys.origin(self._organisation_id)
        self._verifiers: list[Verifier] = []
        self._size = 0
        self._unknown: set[str] = set()

    async def read(self) -> AsyncIterator[None]:
        """Go over them. It pauses now and then, so that findings can be taken away."""
        # In the same moment, since a new key signs at once.
        for key in await self._snapshot.fetch(KeyRow, KEYS):
            verifier = None if _broken(key, self._secrets) else self._verifier(key)
            if verifier and verifier not in self._verifiers:
                self._verifiers.append(verifier)
        async for page in self._snapshot.pages(CheckpointRow, CHECKPOINTS):
            for row in page:
                self._checkpoint(row)
            yield

    def _verifier(self, key: KeyRow) -> Verifier:
        return Verifier(self._origin, key.public_key)

    def missing(self, first: int, last: int) -> None:
        """Report checkpoints that should be there."""
        place = f"number {first}" if first == last else f"numbers {first} to {last}"
        self._snapshot.report(TABLE, place, "is missing")

    def _checkpoint(self, row: CheckpointRow) -> None:
        problem = holes(row, "tree_size", "tree_root") or self._changed(row)
        if row.number is not None and row.number < self.count:
            problem = "is there more than once"
        elif row.number == self.count:
            self.count += 1
        elif not problem:
            self.missing(self.count, row.number - 1)
            self.count = row.number + 1
        if not problem:
            self.sure = self.count
            problem = self._untrue(row)
            self._size = row.size
        if problem:
            self._snapshot.report(TABLE, f"number {row.number}", problem)

    def _changed(self, row: CheckpointRow) -> str:
        stored = StoredCheckpoint(
            self._organisation_id,
            row.number,
            row.size,
            row.root,
            row.note,
            row.signed_at,
            tuple(row.cosignatures),
            row.mac,
        )
        return "" if self._keys.mac(stored) == row.mac else "the row was changed: its MAC is wrong"

    def _untrue(self, row: CheckpointRow) -> str:
        """What is wrong with a checkpoint that was stored as it is."""
        try:
            note = open_note(row.note, self._verifiers)
            said = Checkpoint.parse(note.text)
            for line in row.cosignatures:
                NoteSignature.parse(line)
            self._require_keys(note)
        except (NoteError, CheckpointError) as error:
            return str(error)
        if said != Checkpoint(self._origin, row.size, row.root):
            return "its note tells of another state"
        if row.size < self._size:
            return "is smaller than the one before it"
        if (row.size, row.root) != (row.tree_size, row.tree_root):
            return "its root is not that of the log at this size"
        return ""

    def _require_keys(self, note: Note) -> None:
        """Report the keys that have signed and are not there: a note may have another signature."""
        known = {verifier.key_id for verifier in self._verifiers}
        for signature in note.signatures:
            if signature.name == self._origin and signature.key_id not in known:
                place = f"key id {signature.key_id.hex()}"
                if place not in self._unknown:
                    self._unknown.add(place)
                    self._snapshot.report("checkpoint_keys", place, "is missing, and has signed")


async def check_keys(connection: AsyncConnection[Any], secrets: Secrets) -> list[Finding]:
    """What is wrong with the keys that sign checkpoints."""
    async with (
        transaction(connection),
        connection.cursor(binary=True, row_factory=args_row(KeyRow)) as cursor,
    ):
        adapt(cursor.adapters)
        await cursor.execute(KEYS)
        rows = await cursor.fetchall()
    found: list[Finding] = []
    expected = 0
    for row in rows:
        problem = _broken(row, secrets)
        if not problem and row.number < expected:
            problem = "is there more than once"
        elif not problem:
            found += [_of_key(number, "is missing") for number in range(expected, row.number)]
            expected = row.number + 1
        if problem:
            found.append(_of_key(row.number, problem))
    if not rows:
        found.append(Finding("checkpoint_keys", None, "", "there is none"))
    return found


def _broken(row: KeyRow, secrets: Secrets) -> str:
    if problem := holes(row):
        return problem
    try:
        secrets.checkpoint_keys.open(StoredCheckpointKey(*row))
    except (SealBroken, ValueError):
        return "the sealed key was changed, or is not that of the public key"
    return ""


def _of_key(number: int | None, problem: str) -> Finding:
    return Finding("checkpoint_keys", None, f"number {number}", problem)
