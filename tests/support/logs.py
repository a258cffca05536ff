"""Logs made by SQL, of any size, and a reader who knows nothing but the specification."""

import asyncio
import base64
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from itertools import pairwise
from uuid import uuid4

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from smart_audit.audit.use_cases.project import VERSION
from smart_audit.tlog.append import grow
from smart_audit.tlog.compact import CompactRange
from smart_audit.tlog.hashing import leaf_hash
from smart_audit.tlog.tiles import TILE_WIDTH, completed_tiles, tile_root
from tests.support.database import Database

MEMBERS, PUBLIC = 1, 2


def fill_log(
    database: Database, organisation_id: str, leaves: Sequence[bytes], *, projected: bool = True
) -> None:
    """Write a whole log at once, as the owner; its leaves say what the test likes.

    projected: whether search counts as level with it, so that it does not try to read each leaf.
    """
    hashes = [leaf_hash(leaf) for leaf in leaves]
    growth = grow(CompactRange.empty(), hashes)
    now = datetime.now(UTC)
    size, root = growth.after.size, growth.root
    with database.connect() as connection, connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO audit.logs (organisation_id, size, compact_range) VALUES (%s, %s, %s)",
            [organisation_id, size, growth.after.to_bytes()],
        )
        cursor.execute(
            "INSERT INTO audit.projections (organisation_id, size, version, generation)"
            " VALUES (%s, %s, %s, 0)"
            " ON CONFLICT (organisation_id) DO UPDATE SET size = excluded.size",
            [organisation_id, size if projected else 0, VERSION],
        )
        entries = "organisation_id, log_index, event_id, recorded_at, tree_size, tree_root,"
        with cursor.copy(f"COPY audit.entries ({entries} leaf_hash, mac) FROM STDIN") as copy:
            for index, hashed in enumerate(hashes):
                copy.write_row(
                    (organisation_id, index, uuid4(), now, size, root, hashed, bytes(16))
                )
        payloads = "organisation_id, recorded_at, log_index, occurred_at, action, actor_id,"
        rest = "outcome, permanent, leaf, disclosures"
        with cursor.copy(f"COPY audit.payloads ({payloads} {rest}) FROM STDIN") as copy:
            for index, leaf in enumerate(leaves):
                copy.write_row((organisation_id, now, index, now, "a", "b", 1, False, leaf, b""))
        rows: dict[tuple[int, int], bytes] = {}
        for tile in completed_tiles(0, size):
            if tile.level:
                below = range(tile.index * TILE_WIDTH, (tile.index + 1) * TILE_WIDTH)
                data = b"".join(tile_root(rows[tile.level - 1, number]) for number in below)
            else:
                data = b"".join(hashes[tile.index * TILE_WIDTH :][:TILE_WIDTH])
            rows[tile.level, tile.index] = data
            cursor.execute(
                "INSERT INTO audit.tiles (organisation_id, level, tile_index, hashes, root)"
                " VALUES (%s, %s, %s, %s, %s)",
                [organisation_id, tile.level, tile.index, data, tile_root(data)],
            )


def open_to(database: Database, organisation_id: str, readers: int) -> None:
    """Set by SQL who may read a log."""
    with database.connect() as connection:
        connection.execute(
            "INSERT INTO audit.log_settings (organisation_id, retention_days, readers, event_id)"
            " VALUES (%s, 0, %s, gen_random_uuid()) ON CONFLICT (organisation_id)"
            " DO UPDATE SET readers = excluded.readers",
            [organisation_id, readers],
        )


def record_no_reads(database: Database, organisation_id: str) -> None:
    """Set by SQL that nobody who reads a log leaves an event in it, where events are counted."""
    with database.connect() as connection:
        connection.execute(
            "INSERT INTO audit.log_settings"
            " (organisation_id, retention_days, readers, records_reads, event_id)"
            " VALUES (%s, 0, %s, false, gen_random_uuid())",
            [organisation_id, MEMBERS],
        )


Fetch = Callable[[str], Awaitable[bytes]]
"""Gives the file at a path below the log's prefix."""


@dataclass(frozen=True)
class Log:
    """A log that has been read and checked from its first entry to its last."""

    origin: str
    size: int
    root: bytes
    entries: list[bytes]


async def read_log(fetch: Fetch) -> Log:
    """Read all of a log, and compute its tree anew: once from the entries, once from the tiles.

    Source: C2SP tlog-checkpoint, signed-note, tlog-tiles; RFC 6962. Nothing here is ours.
    """
    keys = (await fetch("key")).decode().splitlines()
    origin, size, root = read_checkpoint((await fetch("checkpoint")).decode(), keys)
    bundles, rows = await asyncio.gather(
        _all(fetch, "tile/entries/", size), _hash_rows(fetch, size)
    )
    entries = [entry for bundle in bundles for entry in _unpacked(bundle)]
    assert len(entries) == size
    hashes = [sha256(b"\x00" + entry).digest() for entry in entries]
    assert _tree(hashes) == root
    if rows:
        assert rows[0] == hashes
    for below, row in pairwise(rows):
        full = [below[first : first + 256] for first in range(0, len(below) // 256 * 256, 256)]
        assert [_tree(tile) for tile in full] == row
    assert _root_of_tiles(rows, size) == root
    return Log(origin, size, root, entries)


def read_checkpoint(note: str, keys: Sequence[str]) -> tuple[str, int, bytes]:
    """(origin, size, root) of a checkpoint that one of the keys has signed."""
    text, _, below = note.rpartition("\n\n")
    text += "\n"
    origin, size, root, *extensions = text.splitlines()
    assert not extensions
    known = {}
    for vkey in keys:
        name, key_id, encoded = vkey.split("+", 2)
        material = base64.b64decode(encoded)
        assert name == origin
        assert sha256(name.encode() + b"\n" + material).hexdigest()[:8] == key_id
        assert material[:1] == b"\x01"
        known[key_id] = Ed25519PublicKey.from_public_bytes(material[1:])
    verified = 0
    for line in below.splitlines():
        dash, name, encoded = line.split(" ")
        signature = base64.b64decode(encoded)
        key = known.get(signature[:4].hex())
        if dash == "\N{EM DASH}" and name == origin and key is not None:
            key.verify(signature[4:], text.encode())
            verified += 1
    assert verified
    return origin, int(size), base64.b64decode(root)


def path_of(prefix: str, index: int, width: int = 256) -> str:
    """The path of a tile, from the specification's own words."""
    groups = [f"{index % 1000:03}"]
    while index := index // 1000:
        groups.insert(0, f"x{index % 1000:03}")
    return prefix + "/".join(groups) + ("" if width == 256 else f".p/{width}")


async def _all(fetch: Fetch, prefix: str, count: int) -> list[bytes]:
    full, rest = divmod(count, 256)
    paths = [path_of(prefix, index) for index in range(full)]
    if rest:
        paths.append(path_of(prefix, full, rest))
    files: list[bytes] = []
    for first in range(0, len(paths), 32):
        files += await asyncio.gather(*(fetch(path) for path in paths[first : first + 32]))
    return files


async def _hash_rows(fetch: Fetch, size: int) -> list[list[bytes]]:
    """The hashes of each level of tiles, from level 0 up."""
    rows = []
    level = 0
    while count := size >> 8 * level:
        tiles = await _all(fetch, f"tile/{level}/", count)
        data = b"".join(tiles)
        assert len(data) == 32 * count
        rows.append([data[first : first + 32] for first in range(0, len(data), 32)])
        level += 1
    return rows


def _unpacked(bundle: bytes) -> list[bytes]:
    entries = []
    while bundle:
        length = int.from_bytes(bundle[:2], "big")
        assert len(bundle) >= 2 + length
        entries.append(bundle[2 : 2 + length])
        bundle = bundle[2 + length :]
    return entries


def _tree(hashes: list[bytes]) -> bytes:
    """RFC 6962, section 2.1, over leaf hashes."""
    if not hashes:
        return sha256(b"").digest()
    if len(hashes) == 1:
        return hashes[0]
    k = 1 << (len(hashes) - 1).bit_length() - 1
    return sha256(b"\x01" + _tree(hashes[:k]) + _tree(hashes[k:])).digest()


def _root_of_tiles(rows: list[list[bytes]], size: int) -> bytes:
    """The root out of the highest full subtrees that the tiles show."""
    if not size:
        return sha256(b"").digest()
    subtrees = []
    done = 0
    for level in range(len(rows) - 1, -1, -1):
        width = 1 << 8 * level
        first, last = done // width, size // width
        while first < last:
            # The greatest perfect subtree that begins here and fits.
            height = (last - first).bit_length() - 1
            while first % (1 << height):
                height -= 1
            subtrees.append(_tree(rows[level][first : first + (1 << height)]))
            first += 1 << height
        done = last * width
    root = subtrees.pop()
    while subtrees:
        root = sha256(b"\x01" + subtrees.pop() + root).digest()
    return root
