"""Serve a log as files: its checkpoint, its tiles, its entry bundles (C2SP tlog-tiles)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from smart_audit.audit.domain import OrganisationId
from smart_audit.audit.errors import EventExpired, LogDamaged, LogForbidden, TileNotFound
from smart_audit.audit.governance import LogSettings, Readers
from smart_audit.audit.repository import Database, LogReader
from smart_audit.audit.use_cases.checkpoint import (
    Checkpointing,
    get_checkpoint,
    signing_keys,
)
from smart_audit.audit.use_cases.cosign import get_cosigned_checkpoint
from smart_audit.audit.use_cases.log_settings import get_log_settings
from smart_audit.core.rpc.access import require_scope
from smart_audit.core.tokens import Caller, TokenMissing
from smart_audit.tlog.entrybundle import pack
from smart_audit.tlog.hashing import HASH_SIZE, leaf_hash, split_hashes
from smart_audit.tlog.tiles import TILE_HEIGHT, TILE_WIDTH, Tile, TilePath

MEMBERS_SCOPE = "log.read"

STATE_LIFETIME = timedelta(seconds=5)
KEY_LIFETIME = timedelta(minutes=1)
TILE_LIFETIME = timedelta(days=365)
# What retention is going to remove must not live on for long in others' caches.
EXPIRING_LIFETIME = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class File:
    """A file of a log, and for how long others may keep it."""

    data: bytes
    public: bool
    """Whether anybody may read it."""
    lifetime: timedelta
    immutable: bool = False


async def get_log_checkpoint(
    organisation_id: OrganisationId,
    caller: Caller | None,
    database: Database,
    deps: Checkpointing,
    *,
    cosigned: bool,
) -> File:
    """The latest checkpoint of a log.

    For members that is the state of now. Others get the one that was signed last: who may only
    read has nothing written on his behalf. Neither waits for witnesses, so that none of them can
    hold up what is seen of a log; who wants the latest that satisfies the policy asks for it.

    Raises: TokenMissing, LogForbidden, ScopeMissing, CheckpointNotFound.
    """
    settings = await _readable(organisation_id, caller, database)
    if cosigned:
        signed = await get_cosigned_checkpoint(organisation_id, database, deps)
    else:
        fresh = caller is not None and caller.organisation_id == organisation_id
        signed = await get_checkpoint(organisation_id, database, deps, fresh=fresh)
    return File(signed.checkpoint.cosigned_note.encode(), _is_public(settings), STATE_LIFETIME)


async def get_log_key(
    organisation_id: OrganisationId, database: Database, deps: Checkpointing
) -> File:
    """The keys that sign a log's checkpoints, one a line; a log without entries has them too."""
    keys = await signing_keys(organisation_id, database, deps)
    return File("".join(f"{key}\n" for key in keys).encode(), public=True, lifetime=KEY_LIFETIME)


async def get_tile(
    path: TilePath, organisation_id: OrganisationId, caller: Caller | None, database: Database
) -> File:
    """A tile or an entry bundle, as wide as asked for. It never changes.

    Raises: TokenMissing, LogForbidden, ScopeMissing, TileNotFound, EventExpired, LogDamaged.
    """
    settings = await _readable(organisation_id, caller, database)
    async with database.begin(organisation_id) as log:
        size = (await log.head()).size
        width = _width(path, size)
        if path.width > width:
            raise TileNotFound(
                f"the log has {width} of its {path.width} hashes or entries yet"
                if width
                else "the log does not reach this tile yet",
                log_size=str(size),
            )
        if path.level is None:
            data = await _bundle(path, size, log)
        else:
            data = await _hashes(Tile(path.level, path.index), path.width, size, log)
    expires = path.level is None and settings.retention_days > 0
    lifetime = EXPIRING_LIFETIME if expires else TILE_LIFETIME
    return File(data, _is_public(settings), lifetime, immutable=True)


async def _readable(
    organisation_id: OrganisationId, caller: Caller | None, database: Database
) -> LogSettings:
    """The settings of a log that the caller may read.

    A log that does not exist is refused as one that does.

    Raises: TokenMissing, LogForbidden, ScopeMissing.
    """
    settings = await get_log_settings(organisation_id, database)
    if _is_public(settings):
        return settings
    if caller is None:
        raise TokenMissing("this log is open to members only: send `authorization: Bearer …`")
    if caller.organisation_id != organisation_id:
        raise LogForbidden(
            "this log is open to the members of its organisation only",
            organisation_id=str(organisation_id),
        )
    require_scope(caller, MEMBERS_SCOPE)
    return settings


def _is_public(settings: LogSettings) -> bool:
    return settings.readers is Readers.PUBLIC


def _width(path: TilePath, size: int) -> int:
    """How wide the tile or bundle is in the log's tree of `size` leaves; 0 if it has none.

    A hash above level 0 is there once the tile below it is full.
    """
    nodes = size >> (TILE_HEIGHT * (path.level or 0))
    return min(max(nodes - path.index * TILE_WIDTH, 0), TILE_WIDTH)


async def _hashes(tile: Tile, width: int, size: int, log: LogReader) -> bytes:
    """The first hashes of a tile. Raises: LogDamaged."""
    hashes = (await log.tile_hashes([tile], size)).get(tile, b"")[: width * HASH_SIZE]
    if len(hashes) != width * HASH_SIZE:
        raise LogDamaged(f"rows of the log are missing in tile {tile.index} of level {tile.level}")
    return hashes


async def _bundle(path: TilePath, size: int, log: LogReader) -> bytes:
    """The first entries of a bundle, each held against its hash: others keep them for long.

    Raises: EventExpired, LogDamaged.
    """
    first = path.index * TILE_WIDTH
    hashes = await _hashes(Tile(0, path.index), path.width, size, log)
    found = await log.leaves(first, path.width)
    if len(found) != path.width:
        raise LogDamaged(f"rows of the log are missing from entry {first} on")
    leaves = [leaf for leaf in found if leaf is not None]
    if len(leaves) != len(found):
        index = first + found.index(None)
        raise EventExpired(
            f"retention has removed the content of entry {index}", log_index=str(index)
        )
    _require_intact(first, leaves, split_hashes(hashes))
    return pack(leaves)


def _require_intact(first: int, leaves: Sequence[bytes], hashes: Sequence[bytes]) -> None:
    """Raises: LogDamaged."""
    for index, (leaf, expected) in enumerate(zip(leaves, hashes, strict=True), start=first):
        if leaf_hash(leaf) != expected:
            raise LogDamaged(
                f"entry {index} of the log is damaged: the leaf does not match its hash",
                log_index=str(index),
            )
