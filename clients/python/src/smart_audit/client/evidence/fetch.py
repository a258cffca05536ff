"""What a bundle is written from, fetched through the API. `bundle` verifies all of it.

First the events that match, page by page, then a checkpoint that covers them, then the hashes of
all leaves between the first and the last of them and of the subtrees beside: out of tiles.
"""

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Final, Self

import grpc

from smart_audit.api.audit.v1 import audit_pb2
from smart_audit.client.connection import Connection
from smart_audit.client.errors import CallError
from smart_audit.client.events import timestamp
from smart_audit.client.evidence.bundle import Material, OpenLeaf
from smart_audit.client.evidence.entries import time_text
from smart_audit.client.evidence.keys import Keys
from smart_audit.client.evidence.manifest import DISCLOSE_ALL
from smart_audit.client.log.files import FileFault, LogFiles, in_order
from smart_audit.client.verification import SignedCheckpoint, VerificationError, check_answer
from smart_audit.tlog.cosignature import CosignatureVerifier
from smart_audit.tlog.hashing import HASH_SIZE
from smart_audit.tlog.note import parse
from smart_audit.tlog.proofs import Element
from smart_audit.tlog.ranges import range_proof_nodes
from smart_audit.tlog.tilereader import required_tiles, resolve
from smart_audit.tlog.tiles import TILE_HEIGHT, TILE_WIDTH, Tile

PAGE_SIZE: Final = 500
TILES_AHEAD: Final = 16
_SPOOLED: Final = 8 * 1024 * 1024  # bytes of events that are kept out of the file system


class NothingFound(Exception):
    """No event matches; there is nothing to give evidence of."""


class NotCosigned(Exception):
    """The witnesses have not seen enough of the log yet; later they may have."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to fetch.

    occurred_from, occurred_before: with zones. Of the others an empty one does not narrow.
    outcome: "success", "failure" or "denied". disclose: as `entries.chosen` takes it.
    witnesses: verifier keys of witnesses whose cosignatures the checkpoint has to carry.
    """

    occurred_from: datetime
    occurred_before: datetime
    actor_id: str = ""
    action: str = ""
    target_id: str = ""
    outcome: str = ""
    disclose: str | Sequence[str] = DISCLOSE_ALL
    witnesses: Sequence[str] = ()

    def filters(self) -> Mapping[str, str]:
        """By name, as the manifest has them."""
        times = {
            "occurred_from": time_text(self.occurred_from),
            "occurred_before": time_text(self.occurred_before),
        }
        others = {
            name: getattr(self, name) for name in ("actor_id", "action", "target_id", "outcome")
        }
        return times | {name: value for name, value in others.items() if value}

    def request(self) -> audit_pb2.ListEventsRequest:
        """The first page of them."""
        outcome = f"OUTCOME_{self.outcome.upper()}" if self.outcome else "OUTCOME_UNSPECIFIED"
        return audit_pb2.ListEventsRequest(
            page_size=PAGE_SIZE,
            actor_id=self.actor_id,
            action=self.action,
            target_id=self.target_id,
            outcome=audit_pb2.Outcome.Value(outcome),
            occurred_from=timestamp(self.occurred_from),
            occurred_before=timestamp(self.occurred_before),
            proof=True,
        )


class Hits:
    """The events that match, kept in a file, in the order of the log.

    They are listed by time, which need not be the order in which they were recorded.
    """

    def __init__(self) -> None:
        # Closed by __exit__.
        self._file = tempfile.SpooledTemporaryFile(max_size=_SPOOLED)  # noqa: SIM115
        self._places: dict[int, tuple[int, int]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    def __len__(self) -> int:
        return len(self._places)

    def __iter__(self) -> Iterator[OpenLeaf]:
        for index, (begin, size) in sorted(self._places.items()):
            self._file.seek(begin)
            proof = audit_pb2.EventProof.FromString(self._file.read(size))
            yield OpenLeaf(index, proof.leaf, tuple(proof.disclosures))

    @property
    def begin(self) -> int:
        """The first log index."""
        return min(self._places)

    @property
    def end(self) -> int:
        """The log index behind the last."""
        return max(self._places) + 1

    def add(self, proof: audit_pb2.EventProof) -> None:
        """Keep what proves an event. Raises: VerificationError for an index that came before."""
        index = proof.inclusion_proof.log_index
        if index in self._places:
            raise VerificationError(f"log index {index} is listed twice")
        kept = audit_pb2.EventProof(leaf=proof.leaf, disclosures=proof.disclosures)
        data = kept.SerializeToString()
        self._places[index] = (self._file.seek(0, 2), len(data))
        self._file.write(data)


async def fetch_hits(
    connection: Connection, wanted: Wanted, hits: Hits, on_page: Callable[[int], None]
) -> None:
    """Fetch all events that match. on_page: told how many came in a page.

    Raises: NothingFound, VerificationError, CallError.
    """
    request = wanted.request()
    while True:
        page = await connection.call(connection.events.ListEvents, request)
        if len(page.proofs) != len(page.events):
            raise VerificationError("the service has not proven each of the events that it lists")
        for proof in page.proofs:
            hits.add(proof)
        on_page(len(page.proofs))
        if not page.next_page_token:
            break
        request.page_token = page.next_page_token
    if not len(hits):
        raise NothingFound("no event matches")


async def fetch_checkpoint(
    connection: Connection, end: int, witnesses: Sequence[str]
) -> SignedCheckpoint:
    """A checkpoint over at least `end` leaves; the cosigned one when it reaches so far.

    witnesses: verifier keys. With any, only a cosigned checkpoint will do.

    Raises: NotCosigned, VerificationError, CallError.
    """
    call, get = connection.call, connection.log.GetCheckpoint
    seen = 0
    try:
        cosigned = check_answer(await call(get, audit_pb2.GetCheckpointRequest(cosigned=True)))
    except CallError as error:
        if error.code is not grpc.StatusCode.NOT_FOUND:
            raise
    else:
        seen = cosigned.size
        if seen >= end:
            _require_cosigned(cosigned.note, witnesses)
            return cosigned
    if witnesses:
        raise NotCosigned(
            f"the witnesses have seen {seen} entries so far, and {end} are needed: "
            "try again in a while"
        )
    latest = check_answer(await call(get, audit_pb2.GetCheckpointRequest()))
    if latest.size < end:
        raise VerificationError("the checkpoint does not cover events that the service lists")
    return latest


def _require_cosigned(note: str, witnesses: Sequence[str]) -> None:
    """Refuse a note that a witness has not cosigned; how well is for `bundle` to verify.

    Raises: NotCosigned.
    """
    signers = {(one.name, one.key_id) for one in parse(note).signatures}
    for witness in map(CosignatureVerifier.parse, witnesses):
        if (witness.name, witness.key_id) not in signers:
            raise NotCosigned(f"{witness.name} has not cosigned the log yet: try again in a while")


async def fetch_material(
    connection: Connection,
    wanted: Wanted,
    hits: Hits,
    created_at: datetime,
    on_tile: Callable[[int, int], None],
) -> Material:
    """Fetch all that a bundle of these events takes besides. on_tile: told (done, total).

    Raises: NotCosigned, VerificationError, CallError.
    """
    signed = await fetch_checkpoint(connection, hits.end, wanted.witnesses)
    organisation_id = signed.checkpoint.origin.rpartition("/")[2]
    begin, end, size = hits.begin, hits.end, signed.size
    sides = range_proof_nodes(begin, end, size)
    row = [Tile(0, index) for index in range(begin // TILE_WIDTH, -(-end // TILE_WIDTH))]
    # Beside the range some nodes come out of the same tiles.
    beside = required_tiles([node for side in sides for node in side], size) - set(row)
    files = LogFiles(connection, organisation_id)
    tiles = await _fetch_tiles(files, [*row, *sorted(beside)], size, on_tile)
    leaves = b"".join(tiles[tile] for tile in row)
    skipped = (begin - row[0].index * TILE_WIDTH) * HASH_SIZE
    return Material(
        note=signed.note,
        keys=Keys(signed.verifier_keys, tuple(wanted.witnesses)),
        organisation_id=organisation_id,
        begin=begin,
        leaf_hashes=leaves[skipped : skipped + (end - begin) * HASH_SIZE],
        left=_resolved(sides[0], tiles),
        right=_resolved(sides[1], tiles),
        created_at=created_at,
        filters=wanted.filters(),
        disclose=wanted.disclose,
    )


async def _fetch_tiles(
    files: LogFiles, wanted: Sequence[Tile], size: int, on_tile: Callable[[int, int], None]
) -> dict[Tile, bytes]:
    """The tiles as they are in a tree of `size` leaves.

    Raises: VerificationError, CallError.
    """

    async def get(tile: Tile) -> bytes:
        nodes = size >> (TILE_HEIGHT * tile.level)
        width = min(TILE_WIDTH, nodes - tile.index * TILE_WIDTH)
        return await files.tile(tile.level, tile.index, width)

    tiles: dict[Tile, bytes] = {}
    try:
        async for tile, hashes in in_order(wanted, get, TILES_AHEAD):
            tiles[tile] = hashes
            on_tile(len(tiles), len(wanted))
    except FileFault as error:
        raise VerificationError(f"{error.path}: {error}") from error
    return tiles


def _resolved(nodes: Element, tiles: Mapping[Tile, bytes]) -> tuple[bytes, ...]:
    return tuple(resolve(node, tiles) for node in nodes)
