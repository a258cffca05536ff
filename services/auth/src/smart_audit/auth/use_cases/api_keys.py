"""Make, list, rotate and revoke the API keys of service accounts."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from smart_audit.auth.domain import Acting, Outcome, token_hash
from smart_audit.auth.errors import ApiKeyEnded, ApiKeyNotFound
from smart_audit.auth.machines import (
    ApiKey,
    ApiKeyId,
    ServiceAccount,
    ServiceAccountId,
    make_api_key,
)
from smart_audit.auth.repository import Repositories
from smart_audit.auth.use_cases.common import Deps, Work, decision, record
from smart_audit.auth.use_cases.service_accounts import find_account, require_scopes
from smart_audit.auth.use_cases.sessions import revoke
from smart_audit.core.revocations import session_key


@dataclass(frozen=True, slots=True)
class NewApiKey:
    """A key that was made; the secret is nowhere else."""

    secret: str = field(repr=False)
    key: ApiKey


@dataclass(frozen=True, slots=True)
class Rotation:
    """Which key to replace, and how."""

    account_id: ServiceAccountId
    key_id: ApiKeyId
    overlap: timedelta
    expires_at: datetime | None


async def create_api_key(
    account_id: ServiceAccountId,
    name: str,
    expires_at: datetime | None,
    acting: Acting,
    work: Work,
    deps: Deps,
) -> NewApiKey:
    """Make a key for a service account. Raises: ServiceAccountNotFound, ScopeForbidden."""
    async with work.within(acting.organisation_id, None) as repositories:
        account = await find_account(account_id, acting, repositories)
        require_scopes(account.scopes, acting)
        made = await _make(account, name, expires_at, repositories, deps)
        await _record([made.key], acting, repositories, deps)
        return made


async def list_api_keys(
    account_id: ServiceAccountId, after: ApiKeyId | None, limit: int, acting: Acting, work: Work
) -> Sequence[ApiKey]:
    """The keys of a service account behind `after`, the oldest first.

    Raises: ServiceAccountNotFound.
    """
    async with work.within(acting.organisation_id, None) as repositories:
        account = await find_account(account_id, acting, repositories)
        return await repositories.api_keys.list(account.id, after, limit)


async def rotate_api_key(
    rotation: Rotation, acting: Acting, work: Work, deps: Deps
) -> tuple[NewApiKey, ApiKey]:
    """Make a key that follows another one; gives it, and the old one with its end.

    Raises: ServiceAccountNotFound, ApiKeyNotFound, ApiKeyEnded, ScopeForbidden.
    """
    async with work.within(acting.organisation_id, None) as repositories:
        account = await find_account(rotation.account_id, acting, repositories)
        require_scopes(account.scopes, acting)
        old = await _find_key(rotation.key_id, account, repositories)
        now = deps.now()
        if not old.is_live(now):
            raise ApiKeyEnded(
                "the API key has been revoked or has expired; create a new one",
                api_key_id=str(old.id),
            )
        expires_at = rotation.expires_at or old.end_of_successor(now)
        made = await _make(account, old.name, expires_at, repositories, deps)
        old = await _end_after(old, rotation.overlap, repositories, deps)
        await _record([made.key, old], acting, repositories, deps)
        return made, old


async def revoke_api_key(
    account_id: ServiceAccountId, key_id: ApiKeyId, acting: Acting, work: Work, deps: Deps
) -> ApiKey:
    """Refuse a key and its tokens; revoking it again changes nothing.

    Raises: ServiceAccountNotFound, ApiKeyNotFound.
    """
    async with work.within(acting.organisation_id, None) as repositories:
        account = await find_account(account_id, acting, repositories)
        key = await _find_key(key_id, account, repositories)
        if key.revoked_at is None:
            key = await _revoke(key, repositories, deps)
        await _record([key], acting, repositories, deps)
        return key


async def _make(
    account: ServiceAccount,
    name: str,
    expires_at: datetime | None,
    repositories: Repositories,
    deps: Deps,
) -> NewApiKey:
    secret, prefix = make_api_key(deps.new_secret(), deps.new_secret())
    key = ApiKey(
        id=ApiKeyId(deps.new_id()),
        organisation_id=account.organisation_id,
        service_account_id=account.id,
        name=name,
        prefix=prefix,
        created_at=deps.now(),
        expires_at=expires_at,
    )
    await repositories.api_keys.add(key, token_hash(secret))
    return NewApiKey(secret, key)


async def _find_key(
    key_id: ApiKeyId, account: ServiceAccount, repositories: Repositories
) -> ApiKey:
    key = await repositories.api_keys.get(key_id, account.id)
    if key is None:
        raise ApiKeyNotFound("the service account has no such API key", api_key_id=str(key_id))
    return key


async def _end_after(
    key: ApiKey, overlap: timedelta, repositories: Repositories, deps: Deps
) -> ApiKey:
    if not overlap:
        return await _revoke(key, repositories, deps)
    ended = key.replaced(deps.now() + overlap)
    await repositories.api_keys.save(ended)
    return ended


async def _revoke(key: ApiKey, repositories: Repositories, deps: Deps) -> ApiKey:
    revoked = replace(key, revoked_at=deps.now())
    await repositories.api_keys.save(revoked)
    await revoke([session_key(key.id)], repositories, deps)
    return revoked


async def _record(
    keys: Sequence[ApiKey], acting: Acting, repositories: Repositories, deps: Deps
) -> None:
    """The event of a change, with each key and their account as targets."""
    account = ("service_account", str(keys[0].service_account_id))
    event = decision(
        acting,
        Outcome.SUCCESS,
        keys[0].organisation_id,
        deps,
        targets=(*(("api_key", str(key.id)) for key in keys), account),
        prefix=keys[0].prefix,
    )
    await record(event, repositories)
