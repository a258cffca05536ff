"""Proofs with reads, as files, and of a chosen subset of fields: all verified without us."""

import base64

import grpc
import pytest

from smart_audit.api.audit.v1 import audit_pb2
from smart_audit.tlog.checkpoint import Checkpoint
from smart_audit.tlog.disclosure import Disclosure
from smart_audit.tlog.hashing import leaf_hash
from smart_audit.tlog.leaf import open_leaf
from smart_audit.tlog.note import Verifier, open_note
from smart_audit.tlog.proofs import verify_inclusion
from smart_audit.tlog.tlog_proof import TlogProof
from tests.support.events import checkpoint, event, record, record_batch, settled
from tests.support.world import refusal

ALL = {
    "actor.name",
    "actor.email",
    "targets.0.name",
    "source_address",
    "user_agent",
    "metadata",
}


@pytest.fixture
async def user(world):
    user = await world.signed_up()
    await settled(world, user)
    return user


def verify(leaf, proof, note, key):
    """Verify as a stranger would: size and root come from the signed note alone."""
    signed = Checkpoint.parse(open_note(note, [Verifier.parse(key)]).text)
    verify_inclusion(leaf_hash(leaf), proof.log_index, signed.size, list(proof.hashes), signed.root)


async def test_a_read_comes_with_its_proof(world, user):
    receipt = await record(world, user, event())
    answer = await world.events.GetEvent(
        audit_pb2.GetEventRequest(event_id=receipt.event_id, proof=True), metadata=user.metadata
    )
    key = (await checkpoint(world, user)).verifier_key
    verify(answer.leaf, answer.inclusion_proof, answer.checkpoint, key)
    assert open_leaf(answer.leaf, answer.disclosures).facts["recorded_by"] == user.id


async def test_a_list_comes_with_a_proof_for_each_event(world, user):
    await record_batch(world, user, [event() for _ in range(300)])
    key = (await checkpoint(world, user)).verifier_key
    token, seen = "", 0
    while True:
        page = await world.events.ListEvents(
            audit_pb2.ListEventsRequest(page_size=100, page_token=token, proof=True),
            metadata=user.metadata,
        )
        assert len(page.proofs) == len(page.events)
        for shown, proof in zip(page.events, page.proofs, strict=True):
            verify(proof.leaf, proof.inclusion_proof, page.checkpoint, key)
            opened = open_leaf(proof.leaf, proof.disclosures)
            assert opened.facts["id"] == shown.id
            assert shown.log_index == proof.inclusion_proof.log_index
        seen += len(page.events)
        token = page.next_page_token
        if not token:
            break
    assert seen == 302


@pytest.mark.parametrize("fields", [set(), {"actor.name"}, {"metadata", "source_address"}, ALL])
async def test_a_subset_is_disclosed_and_the_rest_stays_hidden(world, user, fields):
    receipt = await record(world, user, event())
    answer = await world.events.DiscloseEvent(
        audit_pb2.DiscloseEventRequest(event_id=receipt.event_id, fields=sorted(fields)),
        metadata=user.metadata,
    )
    key = (await checkpoint(world, user)).verifier_key
    verify(answer.proof.leaf, answer.proof.inclusion_proof, answer.checkpoint, key)
    opened = open_leaf(answer.proof.leaf, answer.proof.disclosures)
    assert set(opened.disclosed) == fields
    assert opened.withheld == len(ALL - fields)
    assert (answer.event.actor.name == "Ada Lovelace") is ("actor.name" in fields)
    assert answer.event.HasField("metadata") is ("metadata" in fields)
    hidden = {
        "actor.name": "Ada",
        "actor.email": "ada@",
        "source_address": "192.0.2.7",
        "user_agent": "Editor/1.0",
    }
    everything = answer.SerializeToString() + b"".join(
        base64.urlsafe_b64decode(one + "==") for one in answer.proof.disclosures
    )
    for name, text in hidden.items():
        assert (text.encode() in everything) is (name in fields)


async def test_the_proof_file_verifies_with_nothing_but_the_key(world, user):
    receipt = await record(world, user, event())
    body = await world.events.GetEventProof(
        audit_pb2.GetEventProofRequest(event_id=receipt.event_id), metadata=user.metadata
    )
    assert body.content_type == "text/plain; charset=utf-8"
    file = TlogProof.parse(body.data)
    leaf, *disclosures, end = file.extra.decode().split("~")
    assert end == ""
    raw = base64.urlsafe_b64decode(leaf + "=" * (-len(leaf) % 4))
    key = (await checkpoint(world, user)).verifier_key
    open_note(file.note, [Verifier.parse(key)])
    file.verify(leaf_hash(raw))
    assert {Disclosure.parse(one).name for one in disclosures} == ALL
    assert open_leaf(raw, disclosures).facts["id"] == receipt.event_id


async def test_a_leaf_is_found_by_its_hash(world, user):
    receipt = await record(world, user, event())
    wanted = receipt.proof.leaf_hash
    answer = await world.log.GetInclusionProof(
        audit_pb2.GetInclusionProofRequest(leaf_hash=wanted), metadata=user.metadata
    )
    assert answer.proof.log_index == receipt.proof.log_index
    other = await world.signed_up()
    call = world.log.GetInclusionProof(
        audit_pb2.GetInclusionProofRequest(leaf_hash=wanted), metadata=other.metadata
    )
    refused = await refusal(call)
    assert refused.code is grpc.StatusCode.NOT_FOUND
    assert refused.reason == "LEAF_NOT_FOUND"


async def test_an_earlier_tree_is_named_by_its_last_event(world, user):
    receipt = await record(world, user, event())
    await record(world, user, event())
    by_id, by_hash, by_size = [
        await world.log.GetConsistencyProof(
            audit_pb2.GetConsistencyProofRequest(**first), metadata=user.metadata
        )
        for first in (
            {"first_event_id": receipt.event_id},
            {"first_leaf_hash": receipt.proof.leaf_hash},
            {"first_size": receipt.proof.log_index + 1},
        )
    ]
    assert by_id == by_hash == by_size


@pytest.mark.parametrize(
    ("rpc", "message", "field"),
    [
        ("GetInclusionProof", {"leaf_hash": b"short"}, "leaf_hash"),
        ("GetInclusionProof", {"event_id": "no-uuid"}, "event_id"),
        ("GetConsistencyProof", {"first_size": 1, "first_leaf_hash": b"x" * 32}, "first_size"),
        ("GetConsistencyProof", {}, "first_size"),
        ("GetConsistencyProof", {"first_leaf_hash": b"x" * 31}, "first_leaf_hash"),
        ("GetConsistencyProof", {"first_event_id": "?"}, "first_event_id"),
    ],
)
async def test_a_malformed_request_names_its_field(world, user, rpc, message, field):
    request = getattr(audit_pb2, f"{rpc}Request")(**message)
    refused = await refusal(getattr(world.log, rpc)(request, metadata=user.metadata))
    assert refused.code is grpc.StatusCode.INVALID_ARGUMENT
    assert field in refused.fields


async def test_an_unknown_field_is_refused_by_name(world, user):
    receipt = await record(world, user, event())
    call = world.events.DiscloseEvent(
        audit_pb2.DiscloseEventRequest(event_id=receipt.event_id, fields=["actor.shoe_size"]),
        metadata=user.metadata,
    )
    refused = await refusal(call)
    assert refused.reason == "FIELD_UNKNOWN"
    assert "actor.shoe_size" in refused.message
    assert "actor.name" in refused.fields["fields"]


async def test_another_organisations_event_does_not_exist(world, user):
    receipt = await record(world, user, event())
    other = await world.signed_up()
    for call in (
        world.events.DiscloseEvent(
            audit_pb2.DiscloseEventRequest(event_id=receipt.event_id), metadata=other.metadata
        ),
        world.events.GetEventProof(
            audit_pb2.GetEventProofRequest(event_id=receipt.event_id), metadata=other.metadata
        ),
        world.events.GetEvent(
            audit_pb2.GetEventRequest(event_id=receipt.event_id, proof=True),
            metadata=other.metadata,
        ),
    ):
        assert (await refusal(call)).reason == "EVENT_NOT_FOUND"
