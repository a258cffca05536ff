"""Entries of the log as the projector reads them: by the thousand, and only once.

Raw SQL and no check of hashes, for speed; whoever is shown an event reads it by `log_reader.py`,
which checks all. What is sealed was authenticated when it was opened.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import orjson
from psycopg import AsyncConnection

from smart_audit.audit.domain import KeyId, OrganisationId, Subject, WrappedKey
from smart_audit.audit.errors import LogDamaged
from smart_audit.audit.leaves import event_of
from smart_audit.audit.recent import ReadableEvent
from smart_audit.audit.sealed import Box, SealedError, SubjectKey, unpack
from smart_audit.audit.wrapping import Wrapping
from smart_audit.core.sealing import SealBroken
from smart_audit.tlog.disclosure import decode_disclosure
from smart_audit.tlog.leaf import OpenedLeaf

ENTRIES = """
SELECT entry.log_index, entry.event_id, entry.recorded_at, payload.occurred_at, payload.leaf,
    payload.disclosures
FROM audit.entries AS entry
JOIN audit.payloads AS payload ON payload.organisation_id = entry.organisation_id
    AND payload.recorded_at = entry.recorded_at AND payload.log_index = entry.log_index
WHERE entry.organisation_id = %s AND entry.log_index = ANY (%s)
ORDER BY entry.log_index
"""
KEYS = """
SELECT key_id, subject_type, subject_id, wrapped_key FROM audit.subject_keys
WHERE organisation_id = %s AND key_id = ANY (%s)
"""
REMEMBERED_KEYS = 20_000


class OpenKeys:
    """Subject keys that were opened before; they serve for nothing but projecting.

    A key may be destroyed meanwhile. The projector comes to the event that tells of it, and then
    takes back what it has projected of the person (see `use_cases/project.py`).
    """

    def __init__(self, wrapping: Wrapping) -> None:
        self._wrapping = wrapping
        self._known: dict[KeyId, SubjectKey | None] = {}

    async def of(
        self,
        wanted: Collection[KeyId],
        organisation_id: OrganisationId,
        connection: "AsyncConnection[Any]",
    ) -> dict[KeyId, SubjectKey | None]:
        """Keys by id; None for those that have been destroyed. Raises: LogDamaged."""
        missing = [key_id for key_id in wanted if key_id not in self._known]
        if missing:
            if len(self._known) + len(missing) > REMEMBERED_KEYS:
                self._known.clear()
                missing = list(wanted)
            cursor = await connection.execute(KEYS, [organisation_id, missing])
            async for key_id, subject_type, subject_id, wrapped in cursor:
                key = WrappedKey(key_id, Subject(subject_type, subject_id), wrapped or b"")
                try:
                    opened = self._wrapping.unwrap(organisation_id, key) if wrapped else None
                except SealBroken as error:
                    raise LogDamaged(f"a subject's key is damaged: {error}") from error
                self._known[key_id] = opened
        return self._known


async def unprojected(
    indexes: Sequence[int],
    organisation_id: OrganisationId,
    connection: "AsyncConnection[Any]",
    keys: OpenKeys,
) -> list[ReadableEvent]:
    """The events at these places that have content, as far as they can be read.

    Raises: LogDamaged.
    """
    cursor = connection.cursor(binary=True)
    await cursor.execute(ENTRIES, [organisation_id, list(indexes)])
    rows = await cursor.fetchall()
    try:
        boxes = [list(unpack(row[-1])) for row in rows]
        wanted = {key_id for some in boxes for box in some for key_id in box.key_ids}
        known = await keys.of(wanted, organisation_id, connection)
        return [
            _readable(row, organisation_id, some, known)
            for row, some in zip(rows, boxes, strict=True)
        ]
    except (SealedError, KeyError, TypeError, ValueError) as error:
        raise LogDamaged("an entry of the log is damaged") from error


def _readable(
    row: tuple[Any, ...],
    organisation_id: OrganisationId,
    boxes: Sequence[Box],
    keys: Mapping[KeyId, SubjectKey | None],
) -> ReadableEvent:
    """Raises: SealedError, KeyError, TypeError, ValueError."""
    index, event_id, recorded_at, occurred_at, leaf, _ = row
    disclosed: dict[str, Any] = {}
    for box in boxes:
        for text in box.open(organisation_id, event_id, keys) or ():
            _, name, value = decode_disclosure(text)
            disclosed[name] = value
    opened = OpenedLeaf(orjson.loads(leaf), disclosed, withheld=0)
    event = event_of(opened, event_id, organisation_id, occurred_at)
    return ReadableEvent(index, recorded_at, opened.facts["recorded_by"], event)
