"""`python -m smart_audit.auth check`: what `smart-audit doctor` asks auth."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

from smart_audit.auth.keys import PURPOSE
from smart_audit.auth.repository import CONNECTION_OPTIONS, Work
from smart_audit.auth.settings import AuthSettings
from smart_audit.core.checking import Finding, database_findings, settings_findings, tell
from smart_audit.core.database import open_engine
from smart_audit.core.ids import utc_now
from smart_audit.core.sealing import SealBroken, Sealer

# A schedule looks every few seconds: a key that is so much too old is not looked after.
OVERDUE = timedelta(days=1)


async def check(settings: AuthSettings) -> None:
    """Write what there is to see; nothing is changed."""
    await tell(_findings(settings))


async def _findings(settings: AuthSettings) -> AsyncIterator[Finding]:
    for finding in settings_findings(settings):
        yield finding
    reached = True
    async for finding in database_findings(settings, "auth", Path(__file__).parent / "migrations"):
        yield finding
        reached = reached and finding.state != "failed"
    if reached:
        yield await _signing_keys(settings)


async def _signing_keys(settings: AuthSettings) -> Finding:
    async with open_engine(
        settings.database_url.get_secret_value(),
        pool_size=1,
        application="smart-audit-auth-check",
        options=CONNECTION_OPTIONS,
    ) as engine:
        now = utc_now()
        try:
            async with Work(engine).everywhere() as repositories:
                rows = await repositories.signing_keys.published(now)
        except SQLAlchemyError as error:
            return Finding("keys.signing", "failed", type(error).__name__, "run `migrate`")
    if not rows:
        return Finding("keys.signing", "ok", "there is no key yet; the first start makes one")
    try:
        for row in rows:
            Sealer(settings.sealing_key()).open(row.sealed_private_key, PURPOSE)
    except SealBroken:
        return Finding(
            "keys.signing",
            "failed",
            "AUTH_KEY_ENCRYPTION_KEY is not the key that sealed this database",
            "put back the key that belongs to this database",
        )
    age, every = now - rows[0].created_at, settings.signing_key_rotate_every
    found = f"{len(rows)} published, the newest is {age.days} days old"
    if every and age > every + OVERDUE:
        remedy = "see why auth does not rotate them: its log tells of keys.not_kept"
        return Finding("keys.signing", "failed", found, remedy)
    return Finding("keys.signing", "ok", found)
