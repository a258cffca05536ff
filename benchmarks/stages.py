"""Where an append's Python goes: CPU per event and stage, `python -m benchmarks.stages`.

The stages of RecordEvents run one after the other in this process, on the code of the service, with
batches as `batch ingest` sends them, but without gRPC, loop and database. The minimum over several
rounds counts, since others' work on the machine only adds.
"""

import asyncio
import os
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast
from uuid import uuid4

from psycopg import AsyncCursor

from benchmarks.events import EventMaker
from benchmarks.ingest import BATCH, encode_batch
from smart_audit.api.audit.v1 import audit_pb2
from smart_audit.audit import append as appending
from smart_audit.audit.append import Appended
from smart_audit.audit.domain import KeyId, OrganisationId, Subject
from smart_audit.audit.leaves import Leaf, to_leaves
from smart_audit.audit.messages.events import to_new_event
from smart_audit.audit.messages.proofs import from_results
from smart_audit.audit.sealed import SubjectKey
from smart_audit.audit.sequencer import Slot
from smart_audit.audit.use_cases import record_events, sealing
from smart_audit.audit.use_cases.sealing import Prepared
from smart_audit.core.ids import new_id, utc_now
from smart_audit.core.rpc.validation import validate
from smart_audit.core.sealing import Sealer
from smart_audit.core.tokens import Caller
from smart_audit.tlog.append import grow
from smart_audit.tlog.compact import CompactRange
from smart_audit.tlog.disclosure import new_salts

ROUNDS = 40
SIZE = 1_000_001  # of the log before the batch


class NoCursor:
    """Takes an insert's parameters, and reads back the beginning of a tile."""

    async def execute(self, _query: object, _parameters: object = None) -> None:
        """Do nothing."""

    async def fetchall(self) -> list[tuple[bytes]]:
        """The hashes of a tile."""
        return [(bytes(32),)] * 256


class Clock:
    """The least CPU of each stage, in nanoseconds per batch."""

    def __init__(self) -> None:
        self.least: dict[str, int] = defaultdict(lambda: 1 << 62)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time what is done inside."""
        started = time.process_time_ns()
        yield
        self.least[name] = min(self.least[name], time.process_time_ns() - started)


async def main() -> None:
    """Run all rounds and print the table."""
    clock, maker, sealer = Clock(), EventMaker(), Sealer(os.urandom(32))
    organisation_id = OrganisationId(uuid4())
    head = CompactRange(SIZE, (bytes(32),) * SIZE.bit_count())
    caller = Caller(str(uuid4()), organisation_id, None, frozenset())
    keys: dict[Subject, SubjectKey] = {}
    for _ in range(ROUNDS):
        await _round(clock, encode_batch(maker), caller, head, keys, sealer)
    for name, least in clock.least.items():
        print(f"{name:<42}{least / BATCH / 1000:6.1f} µs")
    print(f"{'together':<42}{sum(clock.least.values()) / BATCH / 1000:6.1f} µs")


async def _round(
    clock: Clock,
    request: bytes,
    caller: Caller,
    head: CompactRange,
    keys: dict[Subject, SubjectKey],
    sealer: Sealer,
) -> None:
    organisation_id = OrganisationId(caller.organisation_id)
    with clock.stage("parse protobuf"):
        events = audit_pb2.RecordEventsRequest.FromString(request).events
    with clock.stage("validate (protovalidate)"):
        for event in events:
            validate(event)
    with clock.stage("to the domain, metadata included"):
        news = [to_new_event(event, caller) for event in events]
    at = utc_now()
    with clock.stage("disclosures, leaf, leaf hash"):
        leaves = to_leaves(news, at, new_salts)
    made = [Prepared(new, at, cast("Leaf", leaf)) for new, leaf in zip(news, leaves, strict=True)]
    for owner in (
        one for prepared in made for owners in prepared.leaf.disclosures for one in owners
    ):
        keys.setdefault(owner, SubjectKey.of(KeyId(new_id()), os.urandom(32)))
    with clock.stage("seal"):
        entries = sealing._entries(organisation_id, made, keys)  # noqa: SLF001
    with clock.stage("grow the tree"):
        growth = grow(head, [entry.leaf_hash for entry in entries])
    fresh = dict(enumerate(entries, start=head.size))
    cursor = cast("AsyncCursor[Any]", NoCursor())
    with clock.stage("MACs, tiles, columns of the statement"):
        await appending._insert(cursor, organisation_id, fresh, growth, sealer.authenticate)  # noqa: SLF001
    slot = Slot(Appended(growth, list(fresh), fresh), 0)
    with clock.stage("receipts with inclusion paths"):
        receipts = [record_events._receipt(entry, index, slot) for index, entry in fresh.items()]  # noqa: SLF001
    with clock.stage("answer as protobuf"):
        from_results(receipts).SerializeToString()


if __name__ == "__main__":
    asyncio.run(main())
