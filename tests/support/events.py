"""Events for tests, and checking what comes back as a stranger would."""

import asyncio
from typing import Any
from uuid import uuid4

from smart_audit.api.audit.v1 import audit_pb2
from smart_audit.tlog.hashing import leaf_hash
from smart_audit.tlog.leaf import open_leaf
from smart_audit.tlog.proofs import verify_inclusion
from tests.support.world import User, World


def event(**changes: Any) -> audit_pb2.Event:
    """A valid event with an id of its own."""
    fields: dict[str, Any] = {
        "id": str(uuid4()),
        "action": "document.delete",
        "actor": audit_pb2.Actor(id="u_1", type="user", name="Ada Lovelace", email="ada@a.test"),
        "targets": [audit_pb2.Target(id="d_1", type="document", name="Plans")],
        "outcome": audit_pb2.OUTCOME_SUCCESS,
        "source": "editor",
        "source_address": "192.0.2.7",
        "user_agent": "Editor/1.0",
    }
    message = audit_pb2.Event(**{**fields, **{k: v for k, v in changes.items() if k != "metadata"}})
    message.metadata.update(changes.get("metadata", {"region": "eu", "size": 17, "ratio": 0.5}))
    return message


async def record(world: World, user: User, message: audit_pb2.Event) -> audit_pb2.Receipt:
    """Record one event."""
    answer = await world.events.RecordEvent(
        audit_pb2.RecordEventRequest(event=message), metadata=user.metadata
    )
    receipt: audit_pb2.Receipt = answer.receipt
    return receipt


async def record_batch(
    world: World, user: User, messages: list[audit_pb2.Event]
) -> list[audit_pb2.RecordResult]:
    """Record several events in one call."""
    answer = await world.events.RecordEvents(
        audit_pb2.RecordEventsRequest(events=messages), metadata=user.metadata
    )
    return list(answer.results)


async def get(world: World, user: User, event_id: str) -> audit_pb2.GetEventResponse:
    """Read one event."""
    answer: audit_pb2.GetEventResponse = await world.events.GetEvent(
        audit_pb2.GetEventRequest(event_id=event_id), metadata=user.metadata
    )
    return answer


async def checkpoint(world: World, user: User) -> audit_pb2.GetCheckpointResponse:
    """The log's signed state."""
    answer: audit_pb2.GetCheckpointResponse = await world.log.GetCheckpoint(
        audit_pb2.GetCheckpointRequest(), metadata=user.metadata
    )
    return answer


async def settled(world: World, user: User, size: int = 0) -> audit_pb2.GetCheckpointResponse:
    """Wait until the log has this size, or the user's own events, so that it stands still."""
    size = size or user.entries
    for _ in range(500):
        state = await checkpoint(world, user)
        if state.tree_size >= size:
            return state
        await asyncio.sleep(0.02)
    raise TimeoutError(f"the log did not reach {size} entries")


def leaves_of(world: World, organisation_id: str) -> list[bytes]:
    """All leaves of a log, from the database; also of one that no user can read."""
    with world.database.connect() as connection:
        rows = connection.execute(
            "SELECT leaf FROM audit.payloads WHERE organisation_id = %s ORDER BY log_index",
            [organisation_id],
        ).fetchall()
    return [bytes(row[0]) for row in rows]


def verify(proof: audit_pb2.InclusionProof) -> None:
    """Verify an inclusion proof against the root it names."""
    verify_inclusion(
        proof.leaf_hash, proof.log_index, proof.tree_size, list(proof.hashes), proof.root_hash
    )


def verify_event(answer: audit_pb2.GetEventResponse, proof: audit_pb2.InclusionProof) -> None:
    """Verify that an event is what its leaf says, and that the leaf is in the tree."""
    assert leaf_hash(answer.leaf) == answer.leaf_hash == proof.leaf_hash
    opened = open_leaf(answer.leaf, answer.disclosures)
    assert opened.withheld == 0
    assert opened.facts["id"] == answer.event.id
    assert opened.facts["action"] == answer.event.action
    verify(proof)
