"""What a client has verified."""

from collections.abc import Sequence
from dataclasses import dataclass

from smart_audit.api.audit.v1 import audit_pb2
from smart_audit.client.log.findings import Findings
from smart_audit.client.log.trust import Opened, Trust
from smart_audit.client.verification import SignedCheckpoint, VerificationError
from smart_audit.tlog.proofs import ProofError, verify_inclusion


@dataclass(frozen=True, slots=True)
class VerifiedEvent:
    """An event that is what its leaf says, and whose leaf is in the signed tree.

    trust: why the key that signed is believed. withheld: fields that the leaf commits to and the
    service did not show.
    """

    event: audit_pb2.Event
    checkpoint: SignedCheckpoint
    trust: Trust
    withheld: int


@dataclass(frozen=True, slots=True)
class VerifiedLog:
    """A log whose tree was computed anew from its entries, and is the one that was signed.

    extends: sizes of earlier states that it was held against.
    """

    opened: Opened
    findings: Findings
    extends: Sequence[int]

    @property
    def checkpoint(self) -> SignedCheckpoint:
        """The state that was verified."""
        return self.opened.signed


def check_receipt(receipt: audit_pb2.Receipt, event_id: str) -> None:
    """Verify that a receipt is of this event, and that its path leads to the root that it names.

    That the root is the log's, `client.log.check_receipt` finds out.
    Raises: VerificationError.
    """
    proof = receipt.proof
    if receipt.event_id != event_id:
        raise VerificationError(f"the receipt for {event_id} is of {receipt.event_id}")
    try:
        verify_inclusion(
            proof.leaf_hash, proof.log_index, proof.tree_size, proof.hashes, proof.root_hash
        )
    except ProofError as error:
        raise VerificationError(f"the receipt for {event_id} proves nothing: {error}") from error
