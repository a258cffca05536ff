"""JSON lines are the API's own events."""

import json

from google.protobuf.json_format import MessageToDict, Parse
from hypothesis import given
from hypothesis import strategies as st

from smart_audit.api.audit.v1 import audit_pb2
from smart_audit.audit.formats import FormatName, open_format
from smart_audit.audit.messages.events import from_recorded
from smart_audit.audit.messages.proofs import from_event_proof
from tests.formats.making import RECORDED, new_event, proof_of, recorded


def lines(*events, proofs=None):
    format_ = open_format(FormatName.JSONL)
    data = format_.begin() + format_.lines(events, proofs) + format_.end()
    assert data.endswith(b"\n")
    return data.decode().split("\n")[:-1]


@given(st.lists(RECORDED, min_size=1, max_size=3))
def test_a_line_is_the_event_of_the_api(events):
    found = lines(*events)
    for line, one in zip(found, events, strict=True):
        message = from_recorded(one)
        assert Parse(line, audit_pb2.Event()) == message
        ours = json.loads(line)
        theirs = MessageToDict(
            message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
        )
        assert [ours.keys(), ours["actor"].keys()] == [theirs.keys(), theirs["actor"].keys()]
        assert ours["targets"] == theirs["targets"]


def test_times_have_one_width():
    (line,) = lines(recorded(new_event(occurred_at=new_event().occurred_at.replace(microsecond=0))))
    assert json.loads(line)["occurred_at"] == "2026-03-01T12:30:15.000000Z"


def test_erased_fields_are_named():
    (line,) = lines(recorded(erased=["actor.name", "metadata"]))
    assert json.loads(line)["erased_fields"] == ["actor.name", "metadata"]


def test_a_line_carries_the_proof_of_its_event():
    one, two = recorded(), recorded(log_index=8)
    for line, event in zip(
        lines(one, two, proofs=[proof_of(one), proof_of(two)]), (one, two), strict=True
    ):
        proof = json.dumps(json.loads(line)["proof"])
        assert Parse(proof, audit_pb2.EventProof()) == from_event_proof(event, proof_of(event))
