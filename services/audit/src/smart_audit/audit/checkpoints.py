"""Signed checkpoints (C2SP tlog-checkpoint as signed-note)."""

from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from smart_audit.audit.domain import OrganisationId
from smart_audit.audit.repository import Database
from smart_audit.core.ids import utc_now
from smart_audit.core.sealing import Sealer
from smart_audit.tlog.checkpoint import Checkpoint
from smart_audit.tlog.compact import CompactRange
from smart_audit.tlog.note import Signer, sign, verifier_key

PURPOSE = "checkpoint signing key"


@dataclass(frozen=True, slots=True)
class SignedCheckpoint:
    """A checkpoint with its note, and the key that verifies it."""

    checkpoint: Checkpoint
    note: str
    verifier_key: str


class CheckpointSigner:
    """Signs the state of logs; each log's key name is its origin."""

    def __init__(self, key: Ed25519PrivateKey, origin: str) -> None:
        self._key = key
        self._origin = origin

    def sign(self, organisation_id: OrganisationId, head: CompactRange) -> SignedCheckpoint:
        """Sign the state of one organisation's log."""
        origin = f"{self._origin}/{organisation_id}"
        checkpoint = Checkpoint(origin, head.size, head.root())
        note = sign(checkpoint.text(), Signer(origin, self._key)).serialise()
        return SignedCheckpoint(checkpoint, note, verifier_key(origin, self._key.public_key()))


async def load_signer(database: Database, sealer: Sealer, origin: str) -> CheckpointSigner:
    """The signer with the installation's key, which is made on the first start.

    Raises: SealBroken.
    """
    fresh = Ed25519PrivateKey.generate()
    public_key = fresh.public_key().public_bytes_raw()
    sealed = sealer.seal(fresh.private_bytes_raw(), PURPOSE)
    stored = await database.checkpoint_key((public_key, sealed), utc_now())
    key = Ed25519PrivateKey.from_private_bytes(sealer.open(stored, PURPOSE))
    return CheckpointSigner(key, origin)
