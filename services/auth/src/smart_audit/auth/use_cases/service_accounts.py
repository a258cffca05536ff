"""Create, read, change, disable and enable service accounts."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from smart_audit.auth.domain import Acting, Outcome
from smart_audit.auth.errors import ScopeForbidden, ServiceAccountNotFound
from smart_audit.auth.machines import ServiceAccount, ServiceAccountId, forbidden_scopes
from smart_audit.auth.repository import Repositories
from smart_audit.auth.use_cases.common import Deps, Work, decision, record
from smart_audit.auth.use_cases.sessions import revoke_user

# What a refusal names travels in a header.
MAX_NAMED = 5


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a service account shall be."""

    name: str
    scopes: tuple[str, ...]


async def create_service_account(
    wanted: Wanted, acting: Acting, work: Work, deps: Deps
) -> ServiceAccount:
    """Create a service account. Raises: ServiceAccountNameTaken, ScopeForbidden."""
    require_scopes(wanted.scopes, acting)
    account = ServiceAccount(
        id=ServiceAccountId(deps.new_id()),
        organisation_id=acting.organisation_id,
        name=wanted.name,
        scopes=tuple(sorted(wanted.scopes)),
        created_at=deps.now(),
    )
    async with work.within(acting.organisation_id, None) as repositories:
        await repositories.service_accounts.add(account)
        await _record(account, acting, repositories, deps)
    return account


async def get_service_account(
    account_id: ServiceAccountId, acting: Acting, work: Work
) -> ServiceAccount:
    """A service account of the caller's organisation. Raises: ServiceAccountNotFound."""
    async with work.within(acting.organisation_id, None) as repositories:
        return await find_account(account_id, acting, repositories)


async def list_service_accounts(
    after: ServiceAccountId | None, limit: int, acting: Acting, work: Work
) -> Sequence[ServiceAccount]:
    """The service accounts of the caller's organisation behind `after`, the oldest first."""
    async with work.within(acting.organisation_id, None) as repositories:
        return await repositories.service_accounts.list(acting.organisation_id, after, limit)


async def update_service_account(
    account_id: ServiceAccountId, wanted: Wanted, acting: Acting, work: Work, deps: Deps
) -> ServiceAccount:
    """Replace name and scopes. Tokens that say more than the new scopes are refused.

    Raises: ServiceAccountNotFound, ServiceAccountNameTaken, ScopeForbidden.
    """
    async with work.within(acting.organisation_id, None) as repositories:
        account = await find_account(account_id, acting, repositories, lock=True)
        require_scopes(set(wanted.scopes) - set(account.scopes), acting)
        changed = replace(account, name=wanted.name, scopes=tuple(sorted(wanted.scopes)))
        await repositories.service_accounts.save(changed)
        if set(account.scopes) - set(changed.scopes):
            await revoke_user(str(account.id), repositories, deps)
        await _record(changed, acting, repositories, deps)
        return changed


async def disable_service_account(
    account_id: ServiceAccountId, acting: Acting, work: Work, deps: Deps
) -> ServiceAccount:
    """Refuse the account's keys and tokens. Raises: ServiceAccountNotFound."""
    async with work.within(acting.organisation_id, None) as repositories:
        account = await find_account(account_id, acting, repositories, lock=True)
        if account.disabled_at is None:
            account = replace(account, disabled_at=deps.now())
            await repositories.service_accounts.save(account)
            await revoke_user(str(account.id), repositories, deps)
        await _record(account, acting, repositories, deps)
        return account


async def enable_service_account(
    account_id: ServiceAccountId, acting: Acting, work: Work, deps: Deps
) -> ServiceAccount:
    """Take the account's keys again. Raises: ServiceAccountNotFound."""
    async with work.within(acting.organisation_id, None) as repositories:
        account = replace(
            await find_account(account_id, acting, repositories, lock=True), disabled_at=None
        )
        await repositories.service_accounts.save(account)
        await _record(account, acting, repositories, deps)
        return account


async def find_account(
    account_id: ServiceAccountId,
    acting: Acting,
    repositories: Repositories,
    *,
    lock: bool = False,
) -> ServiceAccount:
    """A service account of the caller's organisation. Raises: ServiceAccountNotFound."""
    account = await repositories.service_accounts.get(account_id, acting.organisation_id, lock=lock)
    if account is None:
        raise ServiceAccountNotFound(
            "no such service account in your organisation", service_account_id=str(account_id)
        )
    return account


def require_scopes(wanted: Sequence[str] | set[str], acting: Acting) -> None:
    """Refuse to give a machine what the caller lacks. Raises: ScopeForbidden."""
    if forbidden := forbidden_scopes(wanted, acting.scopes):
        named = ", ".join(forbidden[:MAX_NAMED])
        raise ScopeForbidden(
            f"you cannot give a service account {named}: your own token lacks it, or it reaches "
            "beyond an organisation",
            scopes=named,
        )


async def _record(
    account: ServiceAccount, acting: Acting, repositories: Repositories, deps: Deps
) -> None:
    event = decision(
        acting,
        Outcome.SUCCESS,
        account.organisation_id,
        deps,
        targets=(("service_account", str(account.id)),),
        service_account_name=account.name,
        scopes=" ".join(account.scopes),
    )
    await record(event, repositories)
