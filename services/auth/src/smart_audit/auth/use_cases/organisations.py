"""Create, read, change and list organisations."""

from dataclasses import dataclass, replace
from typing import Any

from smart_audit.auth.domain import (
    MULTIPLE_FACTORS,
    OWNER,
    Acting,
    Membership,
    Organisation,
    OrganisationId,
    Outcome,
    SignInPolicy,
)
from smart_audit.auth.errors import OrganisationNotFound, SecondFactorUnused
from smart_audit.auth.repository import Repositories
from smart_audit.auth.use_cases.common import Deps, Work, decision, record
from smart_audit.auth.use_cases.sessions import revoke
from smart_audit.core.revocations import member_key


@dataclass(frozen=True, slots=True)
class Changes:
    """What to change of an organisation; None leaves it as it is."""

    name: str | None = None
    sign_in_policy: SignInPolicy | None = None
    login_codes: bool | None = None

    def apply(self, organisation: Organisation) -> Organisation:
        """The organisation after the changes."""
        return replace(organisation, **self.given())

    def given(self) -> dict[str, Any]:
        """The changes that there are, by field."""
        fields = {name: getattr(self, name) for name in self.__slots__}
        return {name: value for name, value in fields.items() if value is not None}


async def create_organisation(name: str, acting: Acting, work: Work, deps: Deps) -> Organisation:
    """Create an organisation; who calls is its owner."""
    organisation = Organisation(OrganisationId(deps.new_id()), name)
    me = acting.me
    async with work.within(organisation.id, me.user_id) as repositories:
        await repositories.organisations.add(organisation, me.user_id, OWNER, deps.now())
        await _record(acting, organisation, repositories, deps)
    return organisation


async def get_organisation(acting: Acting, work: Work) -> Organisation:
    """The token's organisation. Raises: OrganisationNotFound."""
    async with work.within(acting.organisation_id, None) as repositories:
        organisation = await repositories.organisations.get(acting.organisation_id)
    if organisation is None:
        raise OrganisationNotFound("the organisation of this token is gone")
    return organisation


async def update_organisation(
    changes: Changes, acting: Acting, work: Work, deps: Deps
) -> Organisation:
    """Change the token's organisation. Raises: OrganisationNotFound, SecondFactorUnused."""
    async with work.within(acting.organisation_id, acting.me.user_id) as repositories:
        before = await repositories.organisations.get(acting.organisation_id, lock=True)
        if before is None:
            raise OrganisationNotFound("the organisation of this token is gone")
        after = changes.apply(before)
        if after.sign_in_policy is not before.sign_in_policy:
            await _change_policy(after, acting, repositories, deps)
        await repositories.organisations.save(after)
        await _record(acting, after, repositories, deps, changed=sorted(changes.given()))
    return after


async def _change_policy(
    after: Organisation, acting: Acting, repositories: Repositories, deps: Deps
) -> None:
    """Refuse the tokens that were given by the policy before; a refresh goes by the new one."""
    required = after.sign_in_policy is SignInPolicy.SECOND_FACTOR_REQUIRED
    if required and MULTIPLE_FACTORS not in acting.amr:
        raise SecondFactorUnused(
            "you have logged in without a second factor, and would lock yourself out; set one up "
            "and log in with it first"
        )
    live = await repositories.sessions.live_in(after.id, deps.now())
    keys = {member_key(session.user_id, after.id) for session in live}
    await revoke(sorted(keys), repositories, deps)


async def list_organisations(
    after: OrganisationId | None, limit: int, acting: Acting, work: Work
) -> tuple[list[Membership], OrganisationId | None]:
    """A page of what the caller is where, and where it ends if there are more."""
    user_id = acting.me.user_id
    async with work.within(None, user_id) as repositories:
        found = await repositories.organisations.memberships(user_id, after, limit + 1)
    page = found[:limit]
    return page, page[-1].organisation.id if len(found) > limit else None


async def _record(
    acting: Acting,
    organisation: Organisation,
    repositories: Repositories,
    deps: Deps,
    **metadata: Any,
) -> None:
    targets = (("organisation", str(organisation.id)),)
    event = decision(acting, Outcome.SUCCESS, organisation.id, deps, targets=targets, **metadata)
    await record(event, repositories)
