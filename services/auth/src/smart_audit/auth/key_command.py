"""`python -m smart_audit.auth rotate-signing-key`."""

import sys

from smart_audit.auth.key_rotation import KeyRotation, Schedule
from smart_audit.auth.keys import KeyRing
from smart_audit.auth.repository import CONNECTION_OPTIONS, Work
from smart_audit.auth.settings import AuthSettings
from smart_audit.core.database import open_engine
from smart_audit.core.sealing import Sealer


async def rotate_signing_key(settings: AuthSettings) -> None:
    """Publish a new signing key, and tell when it signs.

    Raises: SealBroken when the key-encryption key is not the one of this database.
    """
    async with open_engine(
        settings.database_url.get_secret_value(),
        pool_size=1,
        application="smart-audit-auth-rotate",
        options=CONNECTION_OPTIONS,
    ) as engine:
        work = Work(engine)
        keys = KeyRing(work, Sealer(settings.sealing_key()))
        await keys.signing_key()  # under another key-encryption key it would sign for nobody
        row = await KeyRotation(keys, Schedule.of(settings), work).rotate()
    sys.stdout.write(f"key {row.id} is published, and signs from {row.activates_at:%F %T} UTC\n")
