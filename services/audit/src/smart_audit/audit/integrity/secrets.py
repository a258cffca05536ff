"""What a verification needs to know besides the database."""

from dataclasses import dataclass
from datetime import timedelta

from smart_audit.audit.checkpoints import CheckpointKeys
from smart_audit.audit.wrapping import Wrapping
from smart_audit.core.sealing import Sealer


@dataclass(frozen=True, slots=True)
class Secrets:
    """What opens under the installation's key."""

    wrapping: Wrapping
    checkpoint_keys: CheckpointKeys

    @classmethod
    def of(cls, key_encryption_key: bytes, origin: str) -> "Secrets":
        """The secrets of an installation, by its key (32 bytes) and the origin of its logs."""
        sealer = Sealer(key_encryption_key)
        return cls(Wrapping(sealer), CheckpointKeys(sealer, origin, timedelta(0)))
