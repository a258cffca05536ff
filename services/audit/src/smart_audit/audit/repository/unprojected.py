"""Entries of the log as the projector reads them: by the thousand, and only once.

Raw SQL and no check of hashes, for speed; whoever is shown an event reads it by `log_reader.py`,
which checks all. What is sealed was authenticated when it was opened.
"""

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

import orjson
from psycopg import AsyncConnection

from smart_audit.audit.domain import KeyId, OrganisationId, Subject, WrappedKey
from smart_audit.audit.leaves import event_of
from smart_audit.audit.recent import ReadableEvent
from smart_audit.audit.repository.subjects import KEYS_BY_ID
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
    ) -> Mapping[KeyId, SubjectKey | None]:
        """Keys by id, among others; None for those that have been destroyed.

        Those that are damaged are not there.
        """
        missing = [key_id for key_id in wanted if key_id not in self._known]
        if missing:
            if len(self._known) + len(missing) > REMEMBERED_KEYS:
                self._known.clear()
                missing = list(wanted)
            cursor = await connection.execute(KEYS_BY_ID, [organisation_id, missing])
            async for key_id, subject_type, subject_id, wrapped in cursor:
                key = WrappedKey(key_id, Subject(subject_type, subject_id), wrapped or b"")
                with suppress(SealBroken):
                    opened = self._wrapping.unwrap(organisation_id, key) if wrapped else None
                    self._known[key_id] = opened
        return self._known


class Unprojected(NamedTuple):
    """Some entries of a log."""

    events: Sequence[ReadableEvent]
    """Those that have content, as far as they can be read."""
    damaged: Sequence[int]
    """The places of those that cannot be read, since they are damaged."""


async def unprojected(
    indexes: Sequence[int],
    organisation_id: OrganisationId,
    connection: "AsyncConnection[Any]",
    keys: OpenKeys,
) -> Unprojected:
    """The entries at these places."""
    cursor = connection.cursor(binary=True)
    await cursor.execute(ENTRIES, [organisation_id, list(indexes)])
    closed: list[tuple[tuple[Any, ...], list[Box]]] = []
    damaged: list[int] = []
    for row in await cursor.fetchall():
        try:
            closed.append((row, list(unpack(row[-1]))))
        except SealedError:
            damaged.append(row[0])
    wanted = {key_id for _, boxes in closed for box in boxes for key_id in box.key_ids}
    known = await keys.of(wanted, organisation_id, connection)
    events = []
    for row, boxes in closed:
        try:
            events.append(_readable(row, organisation_id, boxes, known))
        except (SealedError, KeyError, TypeError, ValueError):
            damaged.append(row[0])
    return Unprojected(events, damaged)


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
