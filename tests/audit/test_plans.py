"""What an append or a proof reads does not grow with the log, whatever plans were made before."""

import random

import pytest

from smart_audit.api.audit.v1 import audit_pb2
from tests.support.events import event, record, record_batch, settled
from tests.support.world import running_world

CHANCE = random.Random(31)
ROUNDS = 12
"""In a small log, and in a large one: Postgres may keep a plan after five uses of a statement."""
BATCHES, BATCH = 6, 1000
ROWS_A_CALL = 100
"""What a call may read of a table, on average: a good part of a tile."""

# Rows that scans of any kind have fetched, by table. A backend tells them when it ends, at last.
ROWS_READ = """
SELECT relname, seq_tup_read + coalesce(idx_tup_fetch, 0)
FROM pg_stat_user_tables WHERE schemaname = 'audit'
"""


def questions(world, receipt):
    """Each way to ask for a proof, about the last event of the log and about a random one."""
    last = receipt.proof
    index = CHANCE.randrange(last.log_index)
    inclusion, consistency = world.log.GetInclusionProof, world.log.GetConsistencyProof
    named = {"event_id": receipt.event_id}
    return [
        (inclusion, audit_pb2.GetInclusionProofRequest(log_index=index)),
        (inclusion, audit_pb2.GetInclusionProofRequest(log_index=index, tree_size=index + 1)),
        (inclusion, audit_pb2.GetInclusionProofRequest(**named)),
        (inclusion, audit_pb2.GetInclusionProofRequest(leaf_hash=last.leaf_hash)),
        (consistency, audit_pb2.GetConsistencyProofRequest(first_size=index + 1)),
        (consistency, audit_pb2.GetConsistencyProofRequest(first_event_id=receipt.event_id)),
        (consistency, audit_pb2.GetConsistencyProofRequest(first_leaf_hash=last.leaf_hash)),
        (world.log.GetCheckpoint, audit_pb2.GetCheckpointRequest()),
        (world.events.GetEventProof, audit_pb2.GetEventProofRequest(**named)),
        (world.events.GetEvent, audit_pb2.GetEventRequest(**named, proof=True)),
        (world.events.ListEvents, audit_pb2.ListEventsRequest(page_size=20, proof=True)),
    ]


async def use(world, user):
    """Append and prove in turn; gives the number of calls."""
    calls = 0
    for _ in range(ROUNDS):
        receipt = await record(world, user, event())
        asked = questions(world, receipt)
        for call, request in asked:
            await call(request, metadata=user.metadata)
        calls += 1 + len(asked)
    return calls


@pytest.mark.soak
async def test_calls_read_no_more_of_a_large_log_than_of_a_small_one(cluster):
    database = cluster.new_database()
    async with running_world(database) as world:
        user = await world.signed_up()
        await settled(world, user)
        # The worst moment that autovacuum may choose: a table of one page is scanned as a whole.
        with database.connect() as connection:
            connection.execute("ANALYZE")
        calls = BATCHES + await use(world, user)
        for _ in range(BATCHES):
            await record_batch(world, user, [event(metadata={}) for _ in range(BATCH)])
        calls += await use(world, user)
    with database.connect() as connection:
        rows_read = dict(connection.execute(ROWS_READ).fetchall())
    assert rows_read["entries"] > calls
    assert {table for table, rows in rows_read.items() if rows > calls * ROWS_A_CALL} == set()
