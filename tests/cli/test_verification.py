"""What the client believes: only what it has computed itself."""

import copy

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from smart_audit.api.audit.v1 import audit_pb2
from smart_audit.client.verification import (
    VerificationError,
    check_answer,
    check_consistency,
    check_event,
    check_inclusion,
    read_checkpoint,
)
from smart_audit.tlog.checkpoint import Checkpoint
from smart_audit.tlog.note import Signer, sign, verifier_key
from tests.support.events import checkpoint, event, get, record, settled


@pytest.fixture(scope="module")
async def recorded(world):
    user = await world.new_user()
    await settled(world, user)
    receipt = await record(world, user, event(metadata={"a": {"b": [1, None, True, 0.5, "x"]}}))
    # In this order: to read is an event of the log as well.
    state = await checkpoint(world, user)
    answer = await get(world, user, receipt.event_id)
    return answer, receipt.proof, state


@pytest.fixture
def claim(recorded):
    """One recorded event: the event with its leaf, a proof, and the checkpoint it is for."""
    return tuple(copy.deepcopy(one) for one in recorded)


def test_a_good_chain_is_believed(claim):
    answer, proof, state = claim
    signed = check_answer(state)
    leaf = check_event(answer)
    check_inclusion(leaf, answer.event.log_index, proof, signed)
    assert leaf.withheld == 0


CHANGES = {
    "id": "11111111-1111-4111-8111-111111111111",
    "organisation_id": "11111111-1111-4111-8111-111111111111",
    "action": "document.read",
    "outcome": audit_pb2.OUTCOME_DENIED,
    "outcome_reason": "Forged",
    "source": "other",
    "source_address": "192.0.2.8",
    "user_agent": "Other/1.0",
}


@pytest.mark.parametrize("field", CHANGES)
def test_an_event_that_is_not_its_leaf_is_refused(claim, field):
    answer, _, _ = claim
    setattr(answer.event, field, CHANGES[field])
    with pytest.raises(VerificationError, match=f": {field} differ"):
        check_event(answer)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (lambda shown: setattr(shown.actor, "name", "Eve"), "actor"),
        (lambda shown: setattr(shown.targets[0], "name", "Other"), "targets"),
        (lambda shown: shown.targets.add(id="d_2"), "targets"),
        (lambda shown: shown.metadata.update({"c": 1}), "metadata"),
        (lambda shown: shown.ClearField("metadata"), "metadata"),
        (lambda shown: setattr(shown.occurred_at, "nanos", 1000), "occurred_at"),
        (lambda shown: setattr(shown.recorded_at, "seconds", 1), "recorded_at"),
    ],
)
def test_an_event_that_differs_inside_is_refused(claim, change, field):
    answer, _, _ = claim
    change(answer.event)
    with pytest.raises(VerificationError, match=f": {field} differ"):
        check_event(answer)


def test_a_leaf_of_another_hash_is_refused(claim):
    answer, _, _ = claim
    answer.leaf_hash = bytes(32)
    with pytest.raises(VerificationError, match="hash"):
        check_event(answer)


def test_a_foreign_disclosure_is_refused(claim):
    answer, _, _ = claim
    answer.disclosures[0] = "WyJzYWx0IiwgIm5hbWUiLCAxXQ"
    with pytest.raises(VerificationError, match="not of this leaf"):
        check_event(answer)


def test_a_withheld_disclosure_is_counted(claim):
    answer, _, _ = claim
    names = {"user_agent", "source_address", "actor_name", "actor_email", "target_names"}
    answer.disclosures[:] = []
    for name in names & {field.name for field in answer.event.DESCRIPTOR.fields}:
        answer.event.ClearField(name)
    answer.event.ClearField("metadata")
    answer.event.actor.ClearField("name")
    answer.event.actor.ClearField("email")
    answer.event.targets[0].ClearField("name")
    assert check_event(answer).withheld == 6


@pytest.mark.parametrize("what", ["path", "index", "root"])
def test_a_wrong_inclusion_proof_is_refused(claim, what):
    answer, proof, state = claim
    index, signed = answer.event.log_index, check_answer(state)
    if what == "path":
        proof.hashes[0] = bytes(32)
    elif what == "index":
        index -= 1
    else:
        key = Ed25519PrivateKey.generate()
        text = Checkpoint(state.origin, state.tree_size, bytes(32)).text()
        note = sign(text, Signer(state.origin, key)).serialise()
        signed = read_checkpoint(note, verifier_key(state.origin, key.public_key()))
    with pytest.raises(VerificationError, match="inclusion"):
        check_inclusion(check_event(answer), index, proof, signed)


@pytest.mark.parametrize("field", ["origin", "tree_size", "root_hash"])
def test_fields_beside_the_note_must_say_the_same(claim, field):
    state = claim[2]
    setattr(state, field, {"origin": "x", "tree_size": 9, "root_hash": bytes(32)}[field])
    with pytest.raises(VerificationError, match="fields"):
        check_answer(state)


def test_a_note_signed_by_nobody_known_is_refused(claim):
    state = claim[2]
    stranger = verifier_key(state.origin, Ed25519PrivateKey.generate().public_key())
    with pytest.raises(VerificationError, match="not to be trusted"):
        read_checkpoint(state.note, stranger)


def test_a_key_does_not_vouch_for_another_log(claim):
    state = claim[2]
    key = Ed25519PrivateKey.generate()
    note = sign(Checkpoint("other/log", 1, bytes(32)).text(), Signer("this/log", key)).serialise()
    with pytest.raises(VerificationError, match="another log"):
        read_checkpoint(note, verifier_key("this/log", key.public_key()))
    assert state.tree_size


def test_a_rewritten_history_is_refused(claim):
    second = check_answer(claim[2])
    key = Ed25519PrivateKey.generate()
    origin = second.checkpoint.origin
    note = sign(Checkpoint(origin, 2, bytes(32)).text(), Signer(origin, key)).serialise()
    first = read_checkpoint(note, verifier_key(origin, key.public_key()))
    proof = audit_pb2.GetConsistencyProofResponse(hashes=[bytes(32)])
    with pytest.raises(VerificationError, match="consistency"):
        check_consistency(first, second, proof)
