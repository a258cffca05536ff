"""List, change and remove the members of an organisation.

Whoever changes what members may do locks the organisation's row, then the live sessions that are
concerned; whoever gives tokens out holds one of these locks when the membership is read. So no
token of the old role is made after the old ones were revoked, and the last owner stays.
"""

from typing import Any

from smart_audit.auth.domain import (
    OWNER,
    Acting,
    Organisation,
    OrganisationId,
    Outcome,
    UserId,
)
from smart_audit.auth.errors import LastOwner, MemberNotFound, OwnerRequired
from smart_audit.auth.members import ADMIN, MANAGE_MEMBERS, Member, may_manage
from smart_audit.auth.repository import Repositories
from smart_audit.auth.use_cases.common import Deps, Work, decision, record
from smart_audit.auth.use_cases.sessions import end_sessions, revoke_member
from smart_audit.core.rpc.access import ScopeMissing


async def list_members(
    after: UserId | None, limit: int, acting: Acting, work: Work
) -> tuple[list[Member], UserId | None]:
    """A page of the members of the token's organisation, and where it ends if there are more."""
    async with work.within(acting.organisation_id, None) as repositories:
        found = await repositories.members.page(acting.organisation_id, after, limit + 1)
    page = found[:limit]
    return page, page[-1].user_id if len(found) > limit else None


async def update_member(
    user_id: UserId, role: str, acting: Acting, work: Work, deps: Deps
) -> Member:
    """Change a member's role. Raises: MemberNotFound, OwnerRequired, LastOwner, ScopeMissing."""
    async with work.within(acting.organisation_id, acting.me.user_id) as repositories:
        member = await _locked(user_id, acting, repositories)
        await check_manages(acting, repositories, member.role, role)
        if role != OWNER:
            await _check_not_last(member, acting.organisation_id, repositories)
        await _set_role(member, role, acting.organisation_id, repositories, deps)
        await _record(acting, member, repositories, deps, role=role, previous_role=member.role)
        return await _get(user_id, acting.organisation_id, repositories)


async def remove_member(user_id: UserId, acting: Acting, work: Work, deps: Deps) -> None:
    """Remove a member. Raises: MemberNotFound, OwnerRequired, LastOwner, ScopeMissing."""
    async with work.within(acting.organisation_id, user_id) as repositories:
        member = await _locked(user_id, acting, repositories)
        await check_manages(acting, repositories, member.role)
        await _remove(member, acting, repositories, deps)


async def leave_organisation(acting: Acting, work: Work, deps: Deps) -> None:
    """End the caller's own membership. Raises: MemberNotFound, LastOwner."""
    async with work.within(acting.organisation_id, acting.me.user_id) as repositories:
        member = await _locked(acting.me.user_id, acting, repositories)
        await _remove(member, acting, repositories, deps)


async def transfer_ownership(user_id: UserId, acting: Acting, work: Work, deps: Deps) -> Member:
    """Make another member the owner in the caller's place. Raises: MemberNotFound, OwnerRequired.

    To oneself it changes nothing.
    """
    organisation_id, me = acting.organisation_id, acting.me.user_id
    async with work.within(organisation_id, me) as repositories:
        member = await _locked(user_id, acting, repositories)
        await check_manages(acting, repositories, OWNER)
        if user_id != me:
            owner = await _get(me, organisation_id, repositories)
            await _set_role(member, OWNER, organisation_id, repositories, deps)
            await _set_role(owner, ADMIN, organisation_id, repositories, deps)
        await _record(acting, member, repositories, deps, previous_role=member.role)
        return await _get(user_id, organisation_id, repositories)


async def end_member_sessions(user_id: UserId, acting: Acting, work: Work, deps: Deps) -> int:
    """End a member's sessions in the token's organisation; gives how many.

    Raises: MemberNotFound, OwnerRequired, ScopeMissing.
    """
    async with work.within(acting.organisation_id, acting.me.user_id) as repositories:
        member = await _locked(user_id, acting, repositories)
        await check_manages(acting, repositories, member.role)
        ended = await _end_sessions(member, acting.organisation_id, repositories, deps)
        await _record(acting, member, repositories, deps)
        return ended


async def check_manages(acting: Acting, repositories: Repositories, *roles: str) -> None:
    """Check by what the caller is now: the token may be of a moment ago.

    Raises: OwnerRequired, ScopeMissing.
    """
    me = await repositories.members.get(acting.organisation_id, acting.me.user_id)
    if me is None or not may_manage(me.role):
        raise ScopeMissing("your role does not permit this any more", scope=MANAGE_MEMBERS)
    if not may_manage(me.role, *roles):
        raise OwnerRequired("only an owner can do this to an owner, or make one")


async def _locked(user_id: UserId, acting: Acting, repositories: Repositories) -> Member:
    await repositories.organisations.get(acting.organisation_id, lock=True)
    return await _get(user_id, acting.organisation_id, repositories)


async def _get(
    user_id: UserId, organisation_id: OrganisationId, repositories: Repositories
) -> Member:
    member = await repositories.members.get(organisation_id, user_id)
    if member is None:
        raise MemberNotFound("the organisation has no such member", user_id=str(user_id))
    return member


async def _check_not_last(
    member: Member, organisation_id: OrganisationId, repositories: Repositories
) -> None:
    if member.role == OWNER and await repositories.members.owners(organisation_id) == 1:
        raise LastOwner("an organisation needs an owner; make somebody else an owner first")


async def _set_role(
    member: Member,
    role: str,
    organisation_id: OrganisationId,
    repositories: Repositories,
    deps: Deps,
) -> None:
    await repositories.sessions.live(member.user_id, deps.now(), organisation_id=organisation_id)
    await repositories.members.set_role(organisation_id, member.user_id, role)
    await revoke_member(member.user_id, organisation_id, repositories, deps)


async def _remove(member: Member, acting: Acting, repositories: Repositories, deps: Deps) -> None:
    organisation_id = acting.organisation_id
    await _check_not_last(member, organisation_id, repositories)
    await _end_sessions(member, organisation_id, repositories, deps)
    await repositories.members.remove(organisation_id, member.user_id)
    await _give_a_home(member, repositories, deps)
    await _record(acting, member, repositories, deps, previous_role=member.role)


async def _give_a_home(member: Member, repositories: Repositories, deps: Deps) -> None:
    """A personal organisation for who is in none any more: a login has to lead somewhere."""
    if not await repositories.organisations.memberships(member.user_id, None, 1):
        home = Organisation(OrganisationId(deps.new_id()), member.name)
        await repositories.organisations.add(home, member.user_id, OWNER, deps.now())


async def _end_sessions(
    member: Member, organisation_id: OrganisationId, repositories: Repositories, deps: Deps
) -> int:
    live = await repositories.sessions.live(
        member.user_id, deps.now(), organisation_id=organisation_id
    )
    await end_sessions(live, repositories, deps)
    await revoke_member(member.user_id, organisation_id, repositories, deps)
    return len(live)


async def _record(
    acting: Acting, member: Member, repositories: Repositories, deps: Deps, **metadata: Any
) -> None:
    targets = (("user", str(member.user_id)),)
    event = decision(
        acting, Outcome.SUCCESS, acting.organisation_id, deps, targets=targets, **metadata
    )
    await record(event, repositories)
