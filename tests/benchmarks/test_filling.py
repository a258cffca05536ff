"""Logs that were filled are ones that the service reads, proves and lets grow."""

import base64
import random
from datetime import UTC, datetime
from uuid import UUID

import pytest

from benchmarks.filling import fill
from benchmarks.trail_events import Trail
from benchmarks.trail_filling import fill_with_trail
from smart_audit.api.audit.v1 import audit_pb2
from smart_audit.core.sealing import Sealer
from smart_audit.core.settings import DEVELOPMENT_KEY
from smart_audit.tlog.tiles import TILE_WIDTH
from tests.faults.test_growth import check_tiles, stored
from tests.support.events import event, record, record_batch, settled, verify

SIZE = TILE_WIDTH**2 + 300


@pytest.mark.soak
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


@pytest.mark.soak
async def test_the_trail_that_fills_a_log_can_be_opened(world):
    user = await world.new_user()
    await settled(world, user)
    organisation = UUID(user.organisation_id)
    trail = Trail(organisation, 500, end=datetime(2026, 7, 1, tzinfo=UTC))
    with world.database.connect() as connection:
        fill_with_trail(connection, trail, Sealer(base64.b64decode(DEVELOPMENT_KEY)))
    made = trail.events(0, trail.count)[-1].event
    answer = await world.events.GetEvent(
        audit_pb2.GetEventRequest(event_id=str(made.id), proof=True), metadata=user.metadata
    )
    event = answer.event
    assert (event.actor.name, event.actor.email) == (made.actor.name, made.actor.email)
    assert (event.action, event.source_address) == (made.action, made.source_address)
    assert dict(event.metadata)["request"] == made.metadata["request"]
    assert not event.erased_fields
    page = await world.events.ListEvents(
        audit_pb2.ListEventsRequest(
            actor_id=made.actor.id,
            occurred_before=event.occurred_at,
            page_size=500,
            proof=True,
        ),
        metadata=user.metadata,
    )
    mine = [
        new.event for new in trail.events(0, trail.count) if new.event.actor.id == made.actor.id
    ]
    assert [one.id for one in page.events] == [str(one.id) for one in reversed(mine[:-1])]
