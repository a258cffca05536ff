"""Checking what the service claims. Pure: no calls, and nothing is believed that can be computed.

The chain: known keys sign the checkpoint; the checkpoint states the tree's root; a path leads from
the leaf's hash to the root; the leaf states the public facts, and commits by digests to the
disclosures; facts and disclosures together are the event.
"""

from base64 import b64encode
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from smart_audit.api.audit.v1 import audit_pb2
from smart_audit.client.keys import Cosigned, Keys, open_checkpoint, require_all
from smart_audit.client.leaf import event_of, read_leaf
from smart_audit.tlog.checkpoint import Checkpoint, CheckpointError
from smart_audit.tlog.hashing import leaf_hash
from smart_audit.tlog.leaf import LeafError, OpenedLeaf
from smart_audit.tlog.note import NoteError
from smart_audit.tlog.proofs import ProofError, verify_consistency, verify_inclusion


class VerificationError(Exception):
    """A claim that does not hold; the message says which and why."""


@dataclass(frozen=True, slots=True)
class SignedCheckpoint:
    """A log's state, out of a note whose signatures were verified.

    note: the note as it was served. verifier_keys: the log's keys that verified it. cosigned: the
    witnesses that did, of those that are known.
    """

    checkpoint: Checkpoint
    note: str
    verifier_keys: tuple[str, ...]
    cosigned: tuple[Cosigned, ...] = ()

    @property
    def origin(self) -> str:
        """The log's name."""
        return self.checkpoint.origin

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

    def at(self, size: int, root: bytes) -> "SignedCheckpoint":
        """The log at another size, as somebody says it was: no signature vouches for it.

        Raises: VerificationError when no log can be so.
        """
        try:
            return SignedCheckpoint(Checkpoint(self.origin, size, root), "", ())
        except CheckpointError as error:
            raise VerificationError(f"no log can be so: {error}") from error


@dataclass(frozen=True, slots=True)
class VerifiedLeaf:
    """A leaf that is what it should be. hash: 32 bytes; withheld: disclosures not handed out."""

    hash: bytes
    opened: OpenedLeaf

    @property
    def withheld(self) -> int:
        """How many facts the leaf commits to that are not shown."""
        return self.opened.withheld


def read_checkpoint(note: str, *verifier_keys: str) -> SignedCheckpoint:
    """Verify that all of these keys have signed a note, and read the checkpoint in it.

    verifier_keys: at least one of the log's; those of witnesses who must have cosigned it too.

    Raises: VerificationError.
    """
    try:
        keys = Keys.parse(verifier_keys)
        signed = open_checkpoint(note, keys)
        require_all(signed, keys)
    except (NoteError, CheckpointError) as error:
        raise VerificationError(f"the checkpoint is not to be trusted: {error}") from error
    return SignedCheckpoint(signed.checkpoint, note, signed.log_keys, signed.cosigned)


def read_by_any(note: str, verifier_keys: Iterable[str]) -> SignedCheckpoint:
    """Verify that one of the log's keys at least has signed a note, and read the checkpoint in it.

    Raises: VerificationError.
    """
    try:
        signed = open_checkpoint(note, Keys.parse(verifier_keys))
    except (NoteError, CheckpointError) as error:
        raise VerificationError(f"the checkpoint is not to be trusted: {error}") from error
    return SignedCheckpoint(signed.checkpoint, note, signed.log_keys, signed.cosigned)


def check_answer(answer: audit_pb2.GetCheckpointResponse) -> SignedCheckpoint:
    """Verify the note in an answer by the keys in it, and that the fields beside it say the same.

    Raises: VerificationError.
    """
    keys = dict.fromkeys([answer.verifier_key, *answer.verifier_keys])
    signed = read_checkpoint(answer.note, *keys)
    try:
        beside = Checkpoint(answer.origin, answer.tree_size, answer.root_hash)
    except CheckpointError:
        beside = None
    if beside != signed.checkpoint:
        raise VerificationError("the checkpoint's fields are not those of its signed note")
    return signed


def check_event(answer: audit_pb2.GetEventResponse) -> VerifiedLeaf:
    """Verify that an event is what its leaf and disclosures say, field by field.

    That the leaf is in the log is for `check_inclusion` to say.

    Raises: VerificationError.
    """
    leaf = check_shown(answer.event, answer.leaf, answer.disclosures)
    if leaf.hash != answer.leaf_hash:
        raise VerificationError("the leaf's hash is another than the service says")
    return leaf


def check_shown(event: audit_pb2.Event, leaf: bytes, disclosures: Iterable[str]) -> VerifiedLeaf:
    """Verify that an event is what this leaf and these disclosures say.

    Of its fields `log_index` is not in the leaf, and which fields were erased the leaf cannot
    tell: only what contradicts it is refused.

    Raises: VerificationError.
    """
    opened = open_event(leaf, disclosures)
    try:
        stated = event_of(opened, event.log_index, event.erased_fields)
    except LeafError as error:
        raise VerificationError(f"the event is not what its leaf says: {error}") from error
    if stated != event:
        wrong = ", ".join(_differences(stated, event))
        raise VerificationError(f"the event is not what its leaf says: {wrong} differ")
    return VerifiedLeaf(leaf_hash(leaf), opened)


def open_event(leaf: bytes, disclosures: Iterable[str]) -> OpenedLeaf:
    """Read the leaf of an event with disclosures.

    Raises: VerificationError.
    """
    try:
        return read_leaf(leaf, disclosures)
    except LeafError as error:
        raise VerificationError(f"the leaf cannot be believed: {error}") from error


def check_inclusion(
    leaf: VerifiedLeaf, index: int, proof: audit_pb2.InclusionProof, signed: SignedCheckpoint
) -> None:
    """Verify that the leaf is at `index` in the tree of the checkpoint.

    Of the proof only the path counts: hash, index, size and root are our own.

    Raises: VerificationError.
    """
    check_path(leaf.hash, index, proof.hashes, signed)


def check_path(
    computed: bytes, index: int, hashes: Sequence[bytes], signed: SignedCheckpoint
) -> None:
    """Verify that the leaf with this hash, 32 bytes, is at `index` in the checkpoint's tree.

    Raises: VerificationError.
    """
    try:
        verify_inclusion(computed, index, signed.size, hashes, signed.root)
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
    if first.origin != second.origin:
        raise VerificationError("the two checkpoints belong to different logs")
    try:
        verify_consistency(first.size, second.size, proof.hashes, first.root, second.root)
    except ProofError as error:
        raise VerificationError(f"the consistency proof fails: {error}") from error


def _differences(stated: audit_pb2.Event, shown: audit_pb2.Event) -> list[str]:
    return [
        field.name
        for field in audit_pb2.Event.DESCRIPTOR.fields
        if getattr(stated, field.name) != getattr(shown, field.name)
    ]
