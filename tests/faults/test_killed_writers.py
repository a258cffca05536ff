"""Many writers on one log in several processes, while one process after another is killed."""

import asyncio
import random
from contextlib import AsyncExitStack
from itertools import combinations, cycle, pairwise

import grpc
import grpc.aio
import psycopg
import pytest

from smart_audit.api.audit.v1 import audit_pb2
from smart_audit.audit.integrity.database import verify_database
from smart_audit.audit.integrity.findings import Watch
from smart_audit.tlog.hashing import fold, node_hash
from smart_audit.tlog.proofs import Element, consistency_nodes, perfect_nodes, verify_consistency
from tests.faults.test_growth import check_tiles, stored
from tests.faults.test_killed_services import channel_to, stored_log, world_of
from tests.integrity.making import SECRETS
from tests.support.events import checkpoint, event, record, record_batch, settled, verify
from tests.support.logs import read_checkpoint
from tests.support.processes import running_processes

SIZES = (1, 1, 1, 7, 40)
"""Of batches: a single event goes by RecordEvent."""
LOST = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}
ANSWER_LIMIT_S = 60.0
LOOK_EVERY_S = 0.1
PAGE = 500


async def write(worlds, user, chance, over, receipts):
    """Send batch after batch until it is over; `receipts` takes what was acknowledged."""
    while not over.is_set():
        batch = [event(metadata={}) for _ in range(chance.choice(SIZES))]
        answer = await persistently(worlds, user, batch, chance)
        assert [receipt.event_id for receipt in answer] == [one.id for one in batch]
        receipts += answer


async def persistently(worlds, user, batch, chance):
    """Send a batch until a process acknowledges it, to another one each time."""
    async with asyncio.timeout(ANSWER_LIMIT_S):
        while True:
            try:
                return await send(chance.choice(worlds), user, batch)
            except grpc.aio.AioRpcError as error:
                if error.code() not in LOST:
                    raise
                await asyncio.sleep(0.05)


async def send(world, user, batch):
    if len(batch) == 1:
        return [await record(world, user, batch[0])]
    return [result.receipt for result in await record_batch(world, user, batch)]


async def look(worlds, user, chance, over, receipts):
    """Ask for checkpoints until it is over: each covers all that was acknowledged before."""
    while not over.is_set():
        acknowledged = len(receipts)
        try:
            state = await checkpoint(chance.choice(worlds), user)
        except grpc.aio.AioRpcError as error:
            if error.code() not in LOST:
                raise
        else:
            assert state.tree_size >= acknowledged
        await asyncio.sleep(LOOK_EVERY_S)


async def kill_in_turn(audits, kills, every_s):
    """SIGKILL one process after the other, each of which starts again; gives those starts."""
    starts = {}
    for _, (number, audit) in zip(range(kills), cycle(enumerate(audits)), strict=False):
        await asyncio.sleep(every_s)
        if number in starts:
            await starts[number]
        await audit.kill()
        starts[number] = asyncio.create_task(audit.start())
    return starts.values()


async def history(world, user):
    """The whole history of checkpoints, the earliest first, and the keys that verify them."""
    found, token = [], ""
    while not found or token:
        request = audit_pb2.ListCheckpointsRequest(page_size=PAGE, page_token=token)
        page = await world.log.ListCheckpoints(request, metadata=user.metadata)
        found += page.checkpoints
        token = page.next_page_token
    return found[::-1], list((await checkpoint(world, user)).verifier_keys)


class Tree:
    """The tree over leaf hashes, computed anew."""

    def __init__(self, leaves: list[bytes]) -> None:
        self._rows = [leaves]
        while len(row := self._rows[-1]) > 1:
            pairs = zip(row[::2], row[1::2], strict=False)
            self._rows.append([node_hash(left, right) for left, right in pairs])

    def root(self, size: int) -> bytes:
        return self._hash(perfect_nodes(0, size))

    def consistency(self, first: int, second: int) -> list[bytes]:
        return [self._hash(element) for element in consistency_nodes(first, second)]

    def _hash(self, element: Element) -> bytes:
        return fold([self._rows[node.level][node.index] for node in element])


def check_log(world, user, receipts):
    """Each acknowledged event is in the log once, at the place that its receipt names."""
    log = stored_log(world, user)
    assert [index for index, _, _ in log] == list(range(len(log)))
    places = {event_id: index for index, event_id, _ in log}
    assert len(places) == len(log)
    acknowledged = {receipt.event_id: receipt.proof.log_index for receipt in receipts}
    assert len(acknowledged) == len(receipts)
    # The user's own login came in by itself.
    assert len(log) == len(receipts) + user.entries
    assert acknowledged.items() <= places.items()


def check_receipts(tree, receipts):
    for receipt in receipts:
        verify(receipt.proof)
    roots = {(receipt.proof.tree_size, receipt.proof.root_hash) for receipt in receipts}
    assert all(tree.root(size) == root for size, root in roots)


async def check_history(world, user, tree):
    """All checkpoints are signed, of this tree, and consistent in pairs."""
    states, keys = await history(world, user)
    for state in states:
        _, size, root = read_checkpoint(state.note, keys)
        assert (size, root) == (state.tree_size, state.root_hash)
        assert root == tree.root(size)
    for first, second in combinations(states, 2):
        verify_consistency(
            first.tree_size,
            second.tree_size,
            tree.consistency(first.tree_size, second.tree_size),
            first.root_hash,
            second.root_hash,
        )
    for first, second in pairwise(state.tree_size for state in states):
        request = audit_pb2.GetConsistencyProofRequest(first_size=first, second_size=second)
        proof = await world.log.GetConsistencyProof(request, metadata=user.metadata)
        assert list(proof.hashes) == tree.consistency(first, second)
    return len(states)


async def check_database(database):
    async with await psycopg.AsyncConnection.connect(
        database.owner_url, autocommit=True
    ) as connection:
        assert [one async for one in verify_database(connection, SECRETS, Watch())] == []


async def run(cluster, folder, chance, *, processes, writers, kills, every_s):
    """Let writers write while processes are killed; then all of the log must be right."""
    database = cluster.new_database()
    async with (
        running_processes(database, folder, processes) as (auth, audits),
        AsyncExitStack() as channels,
    ):
        auth_channel = await channels.enter_async_context(channel_to(auth.port))
        worlds = []
        for audit in audits:
            channel = await channels.enter_async_context(channel_to(audit.port))
            worlds.append(world_of(database, auth, audit, auth_channel, channel))
        user = await worlds[0].new_user()
        await settled(worlds[0], user)
        over, receipts = asyncio.Event(), []
        async with asyncio.TaskGroup() as group:
            for task in [*[write] * writers, look]:
                own_chance = random.Random(chance.random())
                group.create_task(task(worlds, user, own_chance, over, receipts))
            starts = await kill_in_turn(audits, kills, every_s)
            over.set()
        await asyncio.gather(*starts)
        states = [await checkpoint(world, user) for world in worlds]
        assert all(state == states[0] for state in states)
        check_log(worlds[0], user, receipts)
        leaves, tiles = stored(worlds[0], user)
        assert states[0].tree_size == len(leaves)
        check_tiles(leaves, tiles)
        tree = Tree(leaves)
        check_receipts(tree, receipts)
        checkpoints = await check_history(worlds[0], user, tree)
    await check_database(database)
    print(f"{len(receipts)} events acknowledged, {checkpoints} checkpoints, {kills} kills")


@pytest.mark.soak
async def test_killing_processes_of_a_busy_log_loses_and_doubles_nothing(cluster, tmp_path):
    # Starting a process costs more than a second, so that they are fewer here.
    size = {"processes": 3, "writers": 8, "kills": 3, "every_s": 0.5}
    await run(cluster, tmp_path, random.Random(20), **size)


@pytest.mark.soak
async def test_a_minute_of_kills_loses_and_doubles_nothing(cluster, tmp_path):
    size = {"processes": 4, "writers": 20, "kills": 60, "every_s": 1.0}
    await run(cluster, tmp_path, random.Random(21), **size)
