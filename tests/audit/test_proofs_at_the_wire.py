"""Checkpoints and proofs: what a stranger can check with `smart_audit.tlog` alone."""

import random

import grpc
import pytest

from smart_audit.api.audit.v1 import audit_pb2
from smart_audit.tlog.checkpoint import Checkpoint
from smart_audit.tlog.note import NoteError, Verifier, open_note
from smart_audit.tlog.proofs import ProofError, verify_consistency
from tests.support.events import (
    checkpoint,
    event,
    get,
    record,
    record_batch,
    settled,
    verify,
    verify_event,
)
from tests.support.world import refusal

RANDOM = random.Random(20231107)


async def inclusion(world, user, **request):
    answer = await world.log.GetInclusionProof(
        audit_pb2.GetInclusionProofRequest(**request), metadata=user.metadata
    )
    return answer.proof


async def consistency(world, user, first, second):
    return await world.log.GetConsistencyProof(
        audit_pb2.GetConsistencyProofRequest(first_size=first, second_size=second),
        metadata=user.metadata,
    )


async def test_a_checkpoint_is_a_signed_note_that_others_can_open(world):
    user = await world.new_user()
    state = await settled(world, user)
    note = open_note(state.note, [Verifier.parse(state.verifier_key)])
    signed = Checkpoint.parse(note.text)
    assert signed.origin == state.origin == f"localhost/smart-audit/{user.organisation_id}"
    assert (signed.size, signed.root) == (state.tree_size, state.root_hash)
    with pytest.raises(NoteError):
        open_note(state.note.replace(f"\n{signed.size}\n", "\n9\n"), note_keys(state))


def note_keys(state):
    return [Verifier.parse(state.verifier_key)]


async def test_a_checkpoint_covers_every_receipt(world):
    user = await world.new_user()
    for _ in range(5):
        receipt = await record(world, user, event())
        state = await checkpoint(world, user)
        assert state.tree_size >= receipt.proof.tree_size
        proof = await inclusion(world, user, event_id=receipt.event_id)
        verify(proof)
        assert proof.log_index == receipt.proof.log_index


@pytest.mark.soak
async def test_every_event_is_proven_in_every_later_tree(world):
    user = await world.new_user()
    await settled(world, user)
    sizes = [1, 3, 250, 3, 255, 1, 257, 300]  # across the borders of tiles, and onto them
    states = [await checkpoint(world, user)]
    ids = []
    for size in sizes:
        results = await record_batch(world, user, [event() for _ in range(size)])
        ids += [result.receipt.event_id for result in results]
        states.append(await checkpoint(world, user))
    final = states[-1]
    assert final.tree_size == states[0].tree_size + sum(sizes)
    for index in RANDOM.sample(range(final.tree_size), 60):
        for state in states:
            if index < state.tree_size:
                proof = await inclusion(world, user, log_index=index, tree_size=state.tree_size)
                assert proof.root_hash == state.root_hash
                verify(proof)
    for event_id in RANDOM.sample(ids, 20):
        verify_event(
            await get(world, user, event_id), await inclusion(world, user, event_id=event_id)
        )
    for first in states:
        for second in states:
            if first.tree_size <= second.tree_size:
                proof = await consistency(world, user, first.tree_size, second.tree_size)
                assert proof.first_root_hash == first.root_hash
                assert proof.second_root_hash == second.root_hash
                verify_consistency(
                    first.tree_size,
                    second.tree_size,
                    list(proof.hashes),
                    first.root_hash,
                    second.root_hash,
                )


async def test_a_proof_of_another_tree_does_not_verify(world):
    user = await world.new_user()
    await settled(world, user)
    await record_batch(world, user, [event() for _ in range(20)])
    proof = await inclusion(world, user, log_index=4)
    proof.log_index = 5
    with pytest.raises(ProofError):
        verify(proof)


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        ({"log_index": 1_000_000}, "LOG_RANGE_INVALID"),
        ({"log_index": 0, "tree_size": 1_000_000}, "LOG_RANGE_INVALID"),
        ({"log_index": 1, "tree_size": 1}, "LOG_RANGE_INVALID"),
        ({"event_id": "00000000-0000-7000-8000-000000000001"}, "EVENT_NOT_FOUND"),
        ({}, "INVALID_ARGUMENT"),
        ({"log_index": -1}, "INVALID_ARGUMENT"),
    ],
)
async def test_an_inclusion_proof_out_of_range_is_refused(world, request_, reason):
    user = await world.new_user()
    await settled(world, user)
    call = world.log.GetInclusionProof(
        audit_pb2.GetInclusionProofRequest(**request_), metadata=user.metadata
    )
    assert (await refusal(call)).reason == reason


@pytest.mark.parametrize(("first", "second"), [(3, 2), (2, 1_000_000), (0, 1), (1_000_000, 0)])
async def test_a_consistency_proof_out_of_range_is_refused(world, first, second):
    user = await world.new_user()
    await settled(world, user)
    call = world.log.GetConsistencyProof(
        audit_pb2.GetConsistencyProofRequest(first_size=first, second_size=second),
        metadata=user.metadata,
    )
    refused = await refusal(call)
    assert refused.code is grpc.StatusCode.INVALID_ARGUMENT
    assert refused.fields


async def test_an_empty_log_has_a_checkpoint(world, installation_token):
    organisation = installation_token("00000000-0000-7000-8000-0000000000aa")
    state = await world.log.GetCheckpoint(audit_pb2.GetCheckpointRequest(), metadata=organisation)
    assert state.tree_size == 0
    assert open_note(state.note, note_keys(state))
    call = world.log.GetInclusionProof(
        audit_pb2.GetInclusionProofRequest(log_index=0), metadata=organisation
    )
    assert (await refusal(call)).reason == "LOG_RANGE_INVALID"
