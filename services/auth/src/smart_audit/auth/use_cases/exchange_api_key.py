"""Exchange an API key for an access token."""

from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TypeVar

from smart_audit.auth.clients import Credentials, client_invalid, find_machine
from smart_audit.auth.domain import INSTALLATION, Acting, Outcome
from smart_audit.auth.errors import ClientInvalid, ScopeInvalid
from smart_audit.auth.keys import AccessClaims
from smart_audit.auth.machines import Machine
from smart_audit.auth.repository import Repositories
from smart_audit.auth.use_cases.common import Deps, Work, decision, record
from smart_audit.auth.use_cases.throttling import check_limits
from smart_audit.core.errors import DomainError

R = TypeVar("R", bound=DomainError)


@dataclass(frozen=True, slots=True)
class MachineToken:
    """The access token of a machine."""

    access_token: str = field(repr=False)
    scopes: tuple[str, ...]
    expires_in: timedelta


async def exchange_api_key(
    credentials: Credentials, wanted: tuple[str, ...], acting: Acting, work: Work, deps: Deps
) -> MachineToken | ClientInvalid | ScopeInvalid:
    """A token that may do what the service account may, or the wanted part of it.

    It never outlives its key. Source: RFC 6749, section 4.4.

    Raises: TooManyAttempts for an address that sends many unknown keys.
    """
    async with work.everywhere() as repositories:
        machine = await find_machine(credentials, deps.now, repositories)
        if machine is not None:
            return await _exchange(machine, wanted, acting, repositories, deps)
    # Nobody guesses a key; but a flood of tries would be one of events.
    await check_limits("client", acting, work, deps, account="")
    async with work.everywhere() as repositories:
        return await _refuse(client_invalid(), None, acting, repositories, deps)


async def _exchange(
    machine: Machine,
    wanted: tuple[str, ...],
    acting: Acting,
    repositories: Repositories,
    deps: Deps,
) -> MachineToken | ClientInvalid | ScopeInvalid:
    if not machine.may_act(deps.now()):
        return await _refuse(client_invalid(), machine, acting, repositories, deps)
    if lacking := sorted(set(wanted) - set(machine.account.scopes)):
        named = " ".join(lacking)
        refusal = ScopeInvalid(f"the service account lacks {named}", scope=named)
        return await _refuse(refusal, machine, acting, repositories, deps)
    return await _issue(machine, wanted, acting, repositories, deps)


async def _issue(
    machine: Machine,
    wanted: tuple[str, ...],
    acting: Acting,
    repositories: Repositories,
    deps: Deps,
) -> MachineToken:
    account, key = machine.account, machine.key
    now = deps.now()
    lifetime = deps.lifetimes.access_token
    if key.expires_at is not None:
        lifetime = min(lifetime, key.expires_at - now)
    scopes = tuple(sorted(set(wanted))) or account.scopes
    claims = AccessClaims(
        subject=str(account.id),
        organisation_id=account.organisation_id,
        scopes=scopes,
        session_id=key.id,
        client_id=str(account.id),
    )
    event = decision(
        replace(acting, machine_id=str(account.id)),
        Outcome.SUCCESS,
        account.organisation_id,
        deps,
        targets=_targets(machine),
        scopes=" ".join(scopes),
    )
    await record(event, repositories)
    return MachineToken(await deps.issuer.issue(claims, lifetime), scopes, lifetime)


async def _refuse(
    refusal: R,
    machine: Machine | None,
    acting: Acting,
    repositories: Repositories,
    deps: Deps,
) -> R:
    known = replace(acting, machine_id=str(machine.account.id)) if machine else acting
    event = decision(
        known,
        Outcome.DENIED,
        machine.account.organisation_id if machine else INSTALLATION,
        deps,
        reason=refusal.reason,
        targets=_targets(machine) if machine else (),
    )
    await record(event, repositories)
    return refusal


def _targets(machine: Machine) -> tuple[tuple[str, str], ...]:
    return (("api_key", str(machine.key.id)), ("service_account", str(machine.account.id)))
