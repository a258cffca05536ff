"""Receipts, proofs and checkpoints, between protobuf and the domain."""

import base64
from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache

from google.protobuf.timestamp_pb2 import Timestamp

from smart_audit.api.audit.v1 import audit_pb2
from smart_audit.audit import domain
from smart_audit.audit.messages.events import from_recorded
from smart_audit.audit.messages.times import timestamp
from smart_audit.audit.use_cases.checkpoint import Signed
from smart_audit.audit.use_cases.read_events import Proven
from smart_audit.core.errors import DomainError, InvalidArgument
from smart_audit.tlog.tlog_proof import TlogProof


def from_receipt(receipt: domain.Receipt) -> audit_pb2.Receipt:
    """What the caller holds in hand."""
    message = audit_pb2.Receipt()
    _fill_receipt(message, receipt)
    return message


def from_results(
    results: Sequence[domain.Receipt | DomainError],
) -> audit_pb2.RecordEventsResponse:
    """What became of each event of a batch."""
    answer = audit_pb2.RecordEventsResponse()
    for result in results:
        message = answer.results.add()
        if isinstance(result, DomainError):
            fields = result.fields if isinstance(result, InvalidArgument) else {}
            message.refusal.reason = result.reason
            message.refusal.message = result.message
            message.refusal.fields.extend(fields)
        else:
            _fill_receipt(message.receipt, result)
    return answer


def _fill_receipt(message: audit_pb2.Receipt, receipt: domain.Receipt) -> None:
    # In place: a message that is given to another's constructor is copied, and there are many.
    event_id, organisation_id, recorded_at, proof = receipt
    message.event_id = str(event_id)
    message.organisation_id = str(organisation_id)
    seconds, nanos = _parts(recorded_at)
    message.recorded_at.seconds = seconds
    message.recorded_at.nanos = nanos
    filled = message.proof
    filled.log_index, filled.tree_size, filled.leaf_hash, hashes, filled.root_hash = proof
    filled.hashes.extend(hashes)


@lru_cache(maxsize=16)
def _parts(time: datetime) -> tuple[int, int]:
    """Seconds and nanoseconds of a time, which the receipts of a batch share."""
    message = timestamp(time)
    return message.seconds, message.nanos


def from_inclusion(proof: domain.InclusionProof) -> audit_pb2.InclusionProof:
    """An inclusion proof."""
    return audit_pb2.InclusionProof(
        log_index=proof.log_index,
        tree_size=proof.tree_size,
        leaf_hash=proof.leaf_hash,
        hashes=proof.hashes,
        root_hash=proof.root,
    )


def from_consistency(proof: domain.ConsistencyProof) -> audit_pb2.GetConsistencyProofResponse:
    """A consistency proof."""
    return audit_pb2.GetConsistencyProofResponse(
        first_size=proof.first_size,
        second_size=proof.second_size,
        first_root_hash=proof.first_root,
        second_root_hash=proof.second_root,
        hashes=proof.hashes,
    )


def from_read(recorded: domain.Recorded) -> audit_pb2.GetEventResponse:
    """An event with the leaf that states it."""
    return audit_pb2.GetEventResponse(
        event=from_recorded(recorded),
        leaf=recorded.leaf,
        leaf_hash=recorded.leaf_hash,
        disclosures=recorded.disclosures,
    )


def from_proven(proven: Proven) -> audit_pb2.GetEventResponse:
    """An event with all that proves it."""
    (recorded,), (proof,) = proven.events, proven.proofs
    answer = from_read(recorded)
    answer.inclusion_proof.CopyFrom(from_inclusion(proof))
    answer.checkpoint = proven.checkpoint.cosigned_note
    return answer


def from_event_proof(
    recorded: domain.Recorded, proof: domain.InclusionProof
) -> audit_pb2.EventProof:
    """What proves one of several events."""
    return audit_pb2.EventProof(
        leaf=recorded.leaf,
        disclosures=recorded.disclosures,
        inclusion_proof=from_inclusion(proof),
    )


def from_disclosed(proven: Proven) -> audit_pb2.DiscloseEventResponse:
    """An event of which some fields are shown."""
    (recorded,), (proof,) = proven.events, proven.proofs
    return audit_pb2.DiscloseEventResponse(
        event=from_recorded(recorded),
        proof=from_event_proof(recorded, proof),
        checkpoint=proven.checkpoint.cosigned_note,
        proof_file=to_proof_file(proven),
    )


def to_proof_file(proven: Proven) -> str:
    """The C2SP tlog-proof of an event; its extra data is `leaf~disclosure~…~disclosure~`.

    The leaf is in base64url, and each disclosure as it is (docs/log-format.md).
    """
    (recorded,), (proof,) = proven.events, proven.proofs
    leaf = base64.urlsafe_b64encode(recorded.leaf).rstrip(b"=").decode()
    extra = "".join(f"{part}~" for part in (leaf, *recorded.disclosures))
    file = TlogProof(
        proof.log_index, tuple(proof.hashes), proven.checkpoint.cosigned_note, extra.encode()
    )
    return file.text()


def from_signed(signed: Signed, origin: str) -> audit_pb2.GetCheckpointResponse:
    """A signed checkpoint, with the keys that verify it."""
    checkpoint = signed.checkpoint
    return audit_pb2.GetCheckpointResponse(
        origin=origin,
        tree_size=checkpoint.size,
        root_hash=checkpoint.root,
        note=checkpoint.cosigned_note,
        verifier_key=signed.verifier_keys[0],
        signed_at=timestamp(checkpoint.signed_at),
        cosignatures=[_cosignature(line) for line in checkpoint.cosignatures],
        verifier_keys=signed.verifier_keys,
    )


def from_checkpoint(checkpoint: domain.StoredCheckpoint) -> audit_pb2.Checkpoint:
    """A checkpoint of the history."""
    return audit_pb2.Checkpoint(
        tree_size=checkpoint.size,
        root_hash=checkpoint.root,
        note=checkpoint.cosigned_note,
        signed_at=timestamp(checkpoint.signed_at),
        cosignatures=[_cosignature(line) for line in checkpoint.cosignatures],
    )


def _cosignature(line: str) -> audit_pb2.Cosignature:
    """A signature line: the key's id (4 bytes), the time (8 bytes), the signature."""
    _, witness, encoded = line.split(" ")
    seconds = int.from_bytes(base64.b64decode(encoded)[4:12], "big")
    return audit_pb2.Cosignature(witness=witness, cosigned_at=Timestamp(seconds=seconds))
