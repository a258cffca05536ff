"""What a person may do with what is held about the person: correct it, see it, end it."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from smart_audit.auth.administration import is_last
from smart_audit.auth.domain import (
    INSTALLATION,
    Acting,
    Client,
    OrganisationId,
    Outcome,
    User,
    canonical,
)
from smart_audit.auth.errors import ConfirmationWrong, LastAdministrator, LastOwner
from smart_audit.auth.repository import Repositories
from smart_audit.auth.repository.persons import Standing
from smart_audit.auth.use_cases.accounts import record_own, the_user
from smart_audit.auth.use_cases.common import Deps, Work, decision, record
from smart_audit.auth.use_cases.notices import notify
from smart_audit.auth.use_cases.sessions import revoke_user

# By then, no transaction is left that began before the deletion and might tell of the person.
ERASED_AGAIN_AFTER = timedelta(minutes=10)

HOW_TO_GET_EVENTS = (
    "Each organisation's audit log has the events that you caused. Get them with a token for that"
    " organisation: GET /v1/events?actor_id={user_id}"
)


async def update_profile(
    first_name: str, last_name: str, acting: Acting, work: Work, deps: Deps
) -> User:
    """Change the caller's names; an empty one stays."""
    me = acting.me
    async with work.within(acting.organisation_id, me.user_id) as repositories:
        user = await the_user(me.user_id, repositories)
        names = (first_name or user.first_name, last_name or user.last_name)
        user = replace(user, first_name=names[0], last_name=names[1])
        await repositories.users.set_names(user.id, user.first_name, user.last_name)
        await record_own(user, acting, repositories, deps)
        return user


async def export_my_data(acting: Acting, work: Work, deps: Deps) -> dict[str, Any]:
    """All that is held about the caller, but for secrets; plain values."""
    async with work.everywhere() as repositories:
        user = await the_user(acting.me.user_id, repositories)
        held = await repositories.persons.held(user.id, user.email)
        organisation_ids = await repositories.erasures.concerned(user.id)
        await record_own(user, acting, repositories, deps)
    audit = {
        "organisation_ids": [str(one) for one in organisation_ids],
        "how": HOW_TO_GET_EVENTS.format(user_id=user.id),
    }
    return {
        "exported_at": deps.now().isoformat(),
        "profile": _profile(user),
        **held,
        "audit": audit,
    }


async def delete_my_account(confirm_email: str, acting: Acting, work: Work, deps: Deps) -> None:
    """Delete the caller's account, and have the person erased in all logs concerned.

    The erasures are queued in the same transaction: audit may be away. The event of the deletion
    holds no personal data, so that it outlives them.

    Raises: ConfirmationWrong, LastOwner, LastAdministrator.
    """
    async with work.everywhere() as repositories:
        user = await the_user(acting.me.user_id, repositories)
        if canonical(confirm_email) != canonical(user.email):
            raise ConfirmationWrong("confirm_email is not the e-mail address of the account")
        standings = await repositories.persons.standings(user.id)
        _check_owners(standings)
        if is_last(user.id, await repositories.administration.active_administrators()):
            raise LastAdministrator("make somebody else an administrator of the installation first")
        concerned = {INSTALLATION, *await repositories.erasures.concerned(user.id)}
        await notify(user, "account.deleted", acting, repositories, deps)
        await _end(user, standings, repositories, deps)
        for due in (deps.now(), deps.now() + ERASED_AGAIN_AFTER):
            await repositories.erasures.add(user.id, sorted(concerned), due)
        for organisation_id in {
            acting.organisation_id,
            *(one.organisation_id for one in standings),
        }:
            await _record_deletion(user, organisation_id, acting, repositories, deps)


def _check_owners(standings: list[Standing]) -> None:
    for one in standings:
        if one.others and not one.other_owners:
            raise LastOwner(
                f"you are the only owner of {one.name}: make another member an owner first",
                organisation_id=str(one.organisation_id),
            )


async def _end(
    user: User, standings: list[Standing], repositories: Repositories, deps: Deps
) -> None:
    """Delete the user, and what nobody else has."""
    alone = [
        one.organisation_id
        for one in standings
        if not one.others and one.organisation_id != INSTALLATION
    ]
    for machine in await repositories.persons.machines(alone):
        await revoke_user(str(machine), repositories, deps)
    await revoke_user(user.id, repositories, deps)
    await repositories.persons.forget(user.id, user.email)
    await repositories.persons.delete_organisations(alone)
    await repositories.users.delete(user.id)


async def _record_deletion(
    user: User,
    organisation_id: OrganisationId,
    acting: Acting,
    repositories: Repositories,
    deps: Deps,
) -> None:
    nameless = replace(acting, client=Client())
    targets = (("user", str(user.id)),)
    event = decision(nameless, Outcome.SUCCESS, organisation_id, deps, targets=targets)
    await record(event, repositories)


def _profile(user: User) -> dict[str, Any]:
    return {
        "id": str(user.id),
        "email": user.email,
        "first_name": user.first_name,
        "last_name": user.last_name,
        "created_at": user.created_at.isoformat(),
        "email_verified_at": user.email_verified_at and user.email_verified_at.isoformat(),
        "has_password": user.password_hash is not None,
    }
