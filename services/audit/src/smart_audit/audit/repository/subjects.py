"""The keys of data subjects, as rows."""

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import select, tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from smart_audit.audit.domain import KeyId, OrganisationId, Subject, WrappedKey
from smart_audit.audit.tables import subject_keys

KEYS = select(
    subject_keys.c.key_id,
    subject_keys.c.subject_type,
    subject_keys.c.subject_id,
    subject_keys.c.wrapped_key,
)
# Each event that is read asks for keys: as text, since to compile it would take as long as to run
# it, and with one parameter, so that it is the same statement for any number of keys.
KEYS_BY_ID = """
SELECT key_id, subject_type, subject_id, wrapped_key FROM audit.subject_keys
WHERE organisation_id = %s AND key_id = ANY (%s)
"""


async def wrapped_keys(
    connection: AsyncConnection, organisation_id: OrganisationId, key_ids: Collection[KeyId]
) -> dict[KeyId, WrappedKey | None]:
    """The keys with these ids that there are; None for those that have been destroyed."""
    if not key_ids:
        return {}
    rows: Any = await connection.exec_driver_sql(KEYS_BY_ID, (organisation_id, list(key_ids)))
    found: dict[KeyId, WrappedKey | None] = {}
    for key_id, subject_type, subject_id, wrapped in rows:
        key = None if wrapped is None else _key(key_id, subject_type, subject_id, wrapped)
        found[key_id] = key
    return found


async def live_keys(
    connection: AsyncConnection, organisation_id: OrganisationId, new: Sequence[WrappedKey]
) -> list[WrappedKey]:
    """The live keys of the subjects of `new`; a subject without one gets the one of `new`."""
    # In one order everywhere, so that two calls cannot wait for each other.
    rows = [
        {
            "organisation_id": organisation_id,
            "key_id": key.id,
            "subject_type": key.subject.type,
            "subject_id": key.subject.id,
            "wrapped_key": key.wrapped,
        }
        for key in sorted(new, key=lambda key: (key.subject.type, key.subject.id))
    ]
    subject = tuple_(subject_keys.c.subject_type, subject_keys.c.subject_id)
    statement = KEYS.where(
        subject_keys.c.organisation_id == organisation_id,
        subject_keys.c.wrapped_key.is_not(None),
        subject.in_([(key.subject.type, key.subject.id) for key in new]),
    )
    found: list[WrappedKey] = []
    # A key that was there may be destroyed before it is read: then its subject gets a new one.
    while len(found) < len(new):
        await connection.execute(insert(subject_keys).values(rows).on_conflict_do_nothing())
        found = [_key(*row) for row in await connection.execute(statement)]
    return found


def _key(key_id: KeyId, subject_type: str, subject_id: str, wrapped: bytes) -> WrappedKey:
    return WrappedKey(key_id, Subject(subject_type, subject_id), wrapped)
