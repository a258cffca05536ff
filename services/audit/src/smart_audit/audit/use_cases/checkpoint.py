"""Sign the state of a log, and keep what was signed."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from smart_audit.audit.checkpoints import CheckpointKeys
from smart_audit.audit.domain import OrganisationId, StoredCheckpoint
from smart_audit.audit.repository import Database
from smart_audit.audit.repository.checkpoints import (
    CheckpointStore,
    add_key,
    lock_keys,
    stored_keys,
)
from smart_audit.tlog.note import Verifier, parse
from smart_audit.tlog.policy import Policy


@dataclass(frozen=True, slots=True)
class Checkpointing:
    """What signing needs besides the database.

    policy: the witnesses that are asked to cosign, and how many of them satisfy the installation.
    """

    now: Callable[[], datetime]
    keys: CheckpointKeys
    policy: Policy | None = None


@dataclass(frozen=True, slots=True)
class Signed:
    """A checkpoint, and the keys that verify it, the newest first."""

    checkpoint: StoredCheckpoint
    verifier_keys: list[str]


async def get_checkpoint(
    organisation_id: OrganisationId,
    database: Database,
    deps: Checkpointing,
    *,
    fresh: bool = True,
) -> Signed:
    """The signed state of a log. It covers every event whose receipt has been given.

    Each state that was signed is kept, so that a log that was rolled back can be shown to be one.

    fresh: whether it must be the state of now, or the one that was signed last will do.
    """
    at = deps.now()
    async with database.transaction(organisation_id) as connection:
        store = CheckpointStore(connection, organisation_id)
        keys = deps.keys.signing(await store.keys(), at)
        verifier_keys = deps.keys.verifier_keys(organisation_id, keys)
        for lock in (False, True):
            # Others sign too: only the locked head tells for sure that nobody has done it.
            head, count = await store.head(lock=lock)
            latest = await store.get(count - 1)
            wanted = head.size if fresh else 0
            if latest and latest.size >= wanted and _signed_by(latest, verifier_keys):
                return Signed(latest, verifier_keys)
        signed = deps.keys.sign(organisation_id, count, head, keys, at)
        # A log without entries has no row that could count; there is nothing to roll back.
        if head.size:
            await store.add(signed)
        return Signed(signed, verifier_keys)


async def signing_keys(
    organisation_id: OrganisationId, database: Database, deps: Checkpointing
) -> list[str]:
    """The verifier keys of those that sign a log's checkpoints now, the newest first."""
    async with database.everywhere() as connection:
        keys = deps.keys.signing(await stored_keys(connection), deps.now())
    return deps.keys.verifier_keys(organisation_id, keys)


async def list_checkpoints(
    organisation_id: OrganisationId, before: int | None, limit: int, database: Database
) -> tuple[list[StoredCheckpoint], int | None]:
    """A page of checkpoints, the latest first, and the number it ends at if there are more."""
    async with database.transaction(organisation_id) as connection:
        found = await CheckpointStore(connection, organisation_id).page(before, limit + 1)
    page = found[:limit]
    return page, page[-1].number if len(found) > limit else None


async def rotate_key(database: Database, deps: Checkpointing) -> int:
    """Make a new key, which signs from now on; gives its number. Raises: SealBroken."""
    async with database.everywhere() as connection:
        keys = await lock_keys(connection)
        for key in keys:
            deps.keys.open(key)
        await add_key(connection, deps.keys.new(len(keys), deps.now()))
        return len(keys)


async def ensure_key(database: Database, deps: Checkpointing) -> None:
    """Make the first key if there is none. Raises: SealBroken."""
    async with database.everywhere() as connection:
        keys = await lock_keys(connection)
        for key in keys:
            deps.keys.open(key)
        if not keys:
            await add_key(connection, deps.keys.new(0, deps.now()))


def _signed_by(checkpoint: StoredCheckpoint, verifier_keys: list[str]) -> bool:
    """Whether the newest key has signed: after a rotation an old state is signed once more."""
    newest = Verifier.parse(verifier_keys[0]).key_id
    return any(signature.key_id == newest for signature in parse(checkpoint.note).signatures)
