"""Signed checkpoints (C2SP tlog-checkpoint as signed-note), and the keys that sign them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise

import orjson
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from smart_audit.audit.domain import (
    OrganisationId,
    StoredCheckpoint,
    StoredCheckpointKey,
)
from smart_audit.core.sealing import SealBroken, Sealer
from smart_audit.tlog.checkpoint import Checkpoint
from smart_audit.tlog.compact import CompactRange
from smart_audit.tlog.note import Signer, sign, verifier_key


@dataclass(frozen=True, slots=True)
class CheckpointKey:
    """A key that signs, or has signed, the checkpoints of all logs of the installation."""

    number: int
    private_key: Ed25519PrivateKey
    created_at: datetime


class CheckpointKeys:
    """Makes and opens checkpoint keys, and knows which of them sign.

    overlap: for how long a key signs beside its successor, so that who verifies can take over the
    new key while still holding the old one.
    """

    def __init__(self, sealer: Sealer, origin: str, overlap: timedelta) -> None:
        self._sealer = sealer
        self._origin = origin
        self._overlap = overlap
        self._opened: dict[StoredCheckpointKey, Ed25519PrivateKey] = {}

    def new(self, number: int, at: datetime) -> StoredCheckpointKey:
        """Make a key."""
        key = Ed25519PrivateKey.generate()
        public = key.public_key().public_bytes_raw()
        sealed = self._sealer.seal(key.private_bytes_raw(), _purpose(number, public, at))
        return StoredCheckpointKey(number, public, sealed, at)

    def open(self, stored: StoredCheckpointKey) -> CheckpointKey:
        """Raises: SealBroken, also when the private key belongs to another public one."""
        key = self._opened.get(stored)
        if key is None:
            purpose = _purpose(stored.number, stored.public_key, stored.created_at)
            raw = self._sealer.open(stored.sealed_private_key, purpose)
            key = Ed25519PrivateKey.from_private_bytes(raw)
            if key.public_key().public_bytes_raw() != stored.public_key:
                raise SealBroken(f"checkpoint key {stored.number} has another public key")
            self._opened[stored] = key
        return CheckpointKey(stored.number, key, stored.created_at)

    def signing(self, stored: Sequence[StoredCheckpointKey], at: datetime) -> list[CheckpointKey]:
        """The keys that sign at a time, the newest first. Raises: SealBroken."""
        newest_first = sorted(stored, key=lambda key: key.number, reverse=True)
        signing = newest_first[:1]
        for newer, older in pairwise(newest_first):
            if newer.created_at + self._overlap <= at:
                break
            signing.append(older)
        return [self.open(key) for key in signing]

    def origin(self, organisation_id: OrganisationId) -> str:
        """The name of a log, and of the keys that sign its checkpoints."""
        return f"{self._origin}/{organisation_id}"

    def verifier_keys(
        self, organisation_id: OrganisationId, keys: Sequence[CheckpointKey]
    ) -> list[str]:
        """The keys as those who verify need them, in their order."""
        origin = self.origin(organisation_id)
        return [verifier_key(origin, key.private_key.public_key()) for key in keys]

    def sign(
        self,
        organisation_id: OrganisationId,
        number: int,
        head: CompactRange,
        keys: Sequence[CheckpointKey],
        at: datetime,
    ) -> StoredCheckpoint:
        """Sign the state of one log with all keys."""
        origin = self.origin(organisation_id)
        checkpoint = Checkpoint(origin, head.size, head.root())
        note = sign(checkpoint.text(), *[Signer(origin, key.private_key) for key in keys])
        unsealed = StoredCheckpoint(
            organisation_id, number, head.size, checkpoint.root, note.serialise(), at, (), b""
        )
        return replace(unsealed, mac=self.mac(unsealed))

    def mac(self, checkpoint: StoredCheckpoint) -> bytes:
        """What authenticates a stored checkpoint with its cosignatures, 32 bytes."""
        row = (
            str(checkpoint.organisation_id),
            checkpoint.number,
            checkpoint.size,
            checkpoint.root.hex(),
            checkpoint.note,
            checkpoint.signed_at.timestamp(),
            checkpoint.cosignatures,
        )
        return self._sealer.authenticate(orjson.dumps(row))


def _purpose(number: int, public_key: bytes, created_at: datetime) -> str:
    return f"checkpoint signing key {number} {public_key.hex()} {created_at.timestamp()}"
