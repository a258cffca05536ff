"""A log that was filled is one that the service reads, proves and lets grow."""

import base64
import random
from uuid import UUID

from benchmarks.filling import fill
from smart_audit.api.audit.v1 import audit_pb2
from smart_audit.core.sealing import Sealer
from smart_audit.core.settings import DEVELOPMENT_KEY
from smart_audit.tlog.tiles import TILE_WIDTH
from tests.faults.test_growth import check_tiles, stored
from tests.support.events import event, record, record_batch, settled, verify

SIZE = TILE_WIDTH**2 + 300


async def test_a_filled_log_is_proven_and_grows(world):
    user = await world.new_user()
    await settled(world, user)
    await record(world, user, event())
    authenticate = Sealer(base64.b64decode(DEVELOPMENT_KEY)).authenticate
    with world.database.connect() as connection:
        fill(connection, UUID(user.organisation_id), SIZE, authenticate)
    results = await record_batch(world, user, [event() for _ in range(300)])
    assert [result.receipt.proof.log_index for result in results] == [*range(SIZE, SIZE + 300)]
    check_tiles(*stored(world, user))
    for index in [0, SIZE - 1, SIZE, *random.Random(3).sample(range(SIZE), 20)]:
        answer = await world.log.GetInclusionProof(
            audit_pb2.GetInclusionProofRequest(log_index=index), metadata=user.metadata
        )
        assert answer.proof.tree_size == SIZE + 300
        verify(answer.proof)
