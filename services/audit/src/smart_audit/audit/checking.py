"""`python -m smart_audit.audit check`: what `smart-audit doctor` asks audit."""

from collections.abc import AsyncIterator
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

from smart_audit.audit.checkpoints import CheckpointKeys
from smart_audit.audit.repository.checkpoints import stored_keys
from smart_audit.audit.settings import AuditSettings
from smart_audit.core.checking import Finding, database_findings, settings_findings, tell
from smart_audit.core.database import open_engine, transaction
from smart_audit.core.ids import utc_now
from smart_audit.core.sealing import SealBroken, Sealer


async def check(settings: AuditSettings) -> None:
    """Write what there is to see; nothing is changed."""
    await tell(_findings(settings))


async def _findings(settings: AuditSettings) -> AsyncIterator[Finding]:
    for finding in settings_findings(settings):
        yield finding
    yield _witnesses(settings)
    reached = True
    async for finding in database_findings(settings, "audit", Path(__file__).parent / "migrations"):
        yield finding
        reached = reached and finding.state != "failed"
    if reached:
        yield await _checkpoint_keys(settings)


def _witnesses(settings: AuditSettings) -> Finding:
    if settings.witness_policy_file is None:
        return Finding(
            "log.witnessed",
            "warning",
            "no witness is asked to cosign the logs",
            "name some in AUDIT_WITNESS_POLICY_FILE, or let somebody else keep checkpoints",
        )
    return Finding("log.witnessed", "ok", f"witnesses as {settings.witness_policy_file} says")


async def _checkpoint_keys(settings: AuditSettings) -> Finding:
    keys = CheckpointKeys(
        Sealer(settings.sealing_key()), settings.log_origin, settings.checkpoint_key_overlap
    )
    async with open_engine(
        settings.database_url.get_secret_value(),
        pool_size=1,
        application="smart-audit-audit-check",
    ) as engine:
        try:
            async with transaction(engine) as connection:
                stored = await stored_keys(connection)
        except SQLAlchemyError as error:
            return Finding("keys.checkpoint", "failed", type(error).__name__, "run `migrate`")
    if not stored:
        return Finding("keys.checkpoint", "ok", "there is no key yet; the first start makes one")
    try:
        signing = keys.signing(stored, utc_now())
    except SealBroken:
        return Finding(
            "keys.checkpoint",
            "failed",
            "AUDIT_KEY_ENCRYPTION_KEY is not the key that sealed this database",
            "put back the key that belongs to this database",
        )
    numbers = " and ".join(str(key.number) for key in signing)
    return Finding("keys.checkpoint", "ok", f"number {numbers} of {len(stored)} signs")
