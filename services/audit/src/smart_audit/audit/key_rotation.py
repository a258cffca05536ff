"""`python -m smart_audit.audit rotate-checkpoint-key`: a new key, which signs from now on."""

import sys

from smart_audit.audit.checkpoints import CheckpointKeys
from smart_audit.audit.opening import open_database
from smart_audit.audit.settings import AuditSettings
from smart_audit.audit.use_cases.checkpoint import Checkpointing, rotate_key
from smart_audit.core.ids import utc_now
from smart_audit.core.sealing import Sealer


async def rotate_checkpoint_key(settings: AuditSettings) -> None:
    """Make the key and say what follows. Running services sign with it at once.

    Raises: SealBroken.
    """
    sealer = Sealer(settings.sealing_key())
    keys = CheckpointKeys(sealer, settings.log_origin, settings.checkpoint_key_overlap)
    async with open_database(settings, sealer) as database:
        number = await rotate_key(database, Checkpointing(utc_now, keys))
    sys.stdout.write(
        f"checkpoint key {number} signs from now on; the one before it signs beside it for "
        f"{settings.checkpoint_key_overlap.days} more days\n"
    )
