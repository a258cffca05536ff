"""Checking what the service claims. Pure: no calls, and nothing is believed that can be computed.

The chain: a known key signs the checkpoint; the checkpoint states the tree's root; a path leads
from the leaf's hash to the root; the leaf states the public facts, and commits by digests to the
disclosures; facts and disclosures together are the event.
"""

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from smart_audit.api.audit.v1 import audit_pb2
from smart_audit.client.events import struct, timestamp
from smart_audit.tlog.checkpoint import Checkpoint, CheckpointError
from smart_audit.tlog.hashing import leaf_hash
from smart_audit.tlog.leaf import LeafError, OpenedLeaf, open_leaf
from smart_audit.tlog.note import NoteError, Verifier, open_note
from smart_audit.tlog.proofs import ProofError, verify_consistency, verify_inclusion


class VerificationError(Exception):
    """A claim that does not hold; the message says which and why."""


@dataclass(frozen=True, slots=True)
class SignedCheckpoint:
    """A log's state, out of a note whose signature was verified.

    note: the note as it was served. verifier_key: the key that verified it.
    """

    checkpoint: Checkpoint
    note: str
    verifier_key: str

    @property
    def size(self) -> int:
        """The number of leaves."""
        return self.checkpoint.size

    @property
    def root(self) -> bytes:
        """The tree's root, 32 bytes."""
        return self.checkpoint.root

    @property
    def root_text(self) -> str:
        """The root as it stands in the note."""
        return b64encode(self.root).decode()


@dataclass(frozen=True, slots=True)
class VerifiedLeaf:
    """A leaf that is what it should be. hash: 32 bytes; withheld: disclosures not handed out."""

    hash: bytes
    opened: OpenedLeaf

    @property
    def withheld(self) -> int:
        """How many facts the leaf commits to that nobody can read any more."""
        return self.opened.withheld


def read_checkpoint(note: str, verifier_key: str) -> SignedCheckpoint:
    """Verify a note's signature and read the checkpoint in it.

    Raises: VerificationError.
    """
    try:
        verifier = Verifier.parse(verifier_key)
        checkpoint = Checkpoint.parse(open_note(note, [verifier]).text)
    except (NoteError, CheckpointError) as error:
        raise VerificationError(f"the checkpoint is not to be trusted: {error}") from error
    # The key of one log must not vouch for another log of the same installation.
    if checkpoint.origin != verifier.name:
        raise VerificationError(
            f"the key {verifier.name} signed a checkpoint of another log, {checkpoint.origin}"
        )
    return SignedCheckpoint(checkpoint, note, verifier_key)


def check_answer(answer: audit_pb2.GetCheckpointResponse) -> SignedCheckpoint:
    """Verify the note in an answer, and that the fields beside it say the same.

    Raises: VerificationError.
    """
    signed = read_checkpoint(answer.note, answer.verifier_key)
    beside = Checkpoint(answer.origin, answer.tree_size, answer.root_hash)
    if beside != signed.checkpoint:
        raise VerificationError("the checkpoint's fields are not those of its signed note")
    return signed


def check_event(answer: audit_pb2.GetEventResponse) -> VerifiedLeaf:
    """Verify that an event is what its leaf and disclosures say, field by field.

    That the leaf is in the log is for `check_inclusion` to say.

    Raises: VerificationError.
    """
    computed = leaf_hash(answer.leaf)
    if computed != answer.leaf_hash:
        raise VerificationError("the leaf's hash is another than the service says")
    try:
        opened = open_leaf(answer.leaf, answer.disclosures)
        stated = event_of(opened, answer.event.log_index)
    except (LeafError, KeyError, TypeError, ValueError) as error:
        raise VerificationError(f"the leaf cannot be read: {error}") from error
    # The leaf cannot tell which of its digests were erased, only how many have no disclosure.
    stated.erased_fields.extend(answer.event.erased_fields)
    if stated != answer.event:
        wrong = ", ".join(_differences(stated, answer.event))
        raise VerificationError(f"the event is not what its leaf says: {wrong} differ")
    return VerifiedLeaf(computed, opened)


def check_inclusion(
    leaf: VerifiedLeaf, index: int, proof: audit_pb2.InclusionProof, signed: SignedCheckpoint
) -> None:
    """Verify that the leaf is at `index` in the tree of the checkpoint.

    Of the proof only the path counts: hash, index, size and root are our own.

    Raises: VerificationError.
    """
    try:
        verify_inclusion(leaf.hash, index, signed.size, proof.hashes, signed.root)
    except ProofError as error:
        raise VerificationError(f"the inclusion proof fails: {error}") from error


def check_consistency(
    first: SignedCheckpoint,
    second: SignedCheckpoint,
    proof: audit_pb2.GetConsistencyProofResponse,
) -> None:
    """Verify that the second state extends the first: nothing was changed or taken away.

    Raises: VerificationError.
    """
    if first.checkpoint.origin != second.checkpoint.origin:
        raise VerificationError("the two checkpoints belong to different logs")
    try:
        verify_consistency(first.size, second.size, proof.hashes, first.root, second.root)
    except ProofError as error:
        raise VerificationError(f"the consistency proof fails: {error}") from error


def event_of(opened: OpenedLeaf, log_index: int) -> audit_pb2.Event:
    """The event that a leaf states; what is withheld is empty.

    Raises: KeyError, TypeError or ValueError for facts that are not those of an event.
    Source: docs/log-format.md.
    """
    facts, disclosed = opened.facts, opened.disclosed
    event = audit_pb2.Event(
        id=facts["id"],
        organisation_id=facts["organisation_id"],
        action=facts["action"],
        actor=audit_pb2.Actor(
            id=facts["actor"]["id"],
            type=facts["actor"]["type"],
            name=disclosed.get("actor.name", ""),
            email=disclosed.get("actor.email", ""),
        ),
        targets=_targets(facts.get("targets", []), disclosed),
        outcome=audit_pb2.Outcome.Value(f"OUTCOME_{facts['outcome'].upper()}"),
        outcome_reason=facts.get("outcome_reason", ""),
        occurred_at=timestamp(datetime.fromisoformat(facts["occurred_at"])),
        source=facts.get("source", ""),
        source_address=disclosed.get("source_address", ""),
        user_agent=disclosed.get("user_agent", ""),
        recorded_at=timestamp(datetime.fromisoformat(facts["recorded_at"])),
        log_index=log_index,
        recorded_by=facts["recorded_by"],
    )
    if disclosed.get("metadata"):
        event.metadata.CopyFrom(struct(disclosed["metadata"]))
    return event


def _targets(
    facts: list[Mapping[str, str]], disclosed: Mapping[str, Any]
) -> list[audit_pb2.Target]:
    return [
        audit_pb2.Target(
            id=fact["id"],
            type=fact.get("type", ""),
            name=disclosed.get(f"targets.{place}.name", ""),
        )
        for place, fact in enumerate(facts)
    ]


def _differences(stated: audit_pb2.Event, shown: audit_pb2.Event) -> list[str]:
    return [
        field.name
        for field in audit_pb2.Event.DESCRIPTOR.fields
        if getattr(stated, field.name) != getattr(shown, field.name)
    ]
