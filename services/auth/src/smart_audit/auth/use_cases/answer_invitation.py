"""Show, accept and decline an invitation, by the token that was mailed."""

from dataclasses import dataclass

from smart_audit.auth.domain import Acting, Organisation, Outcome, canonical, token_hash
from smart_audit.auth.errors import (
    InvitationExpired,
    InvitationForAnother,
    InvitationNotFound,
    MemberExists,
)
from smart_audit.auth.members import Invitation, Settlement
from smart_audit.auth.repository import Repositories
from smart_audit.auth.use_cases.common import Deps, Work, decision, record


@dataclass(frozen=True, slots=True)
class Shown:
    """What a person is invited to."""

    invitation: Invitation
    organisation: Organisation


async def show_invitation(token: str, work: Work, deps: Deps) -> Shown:
    """What an invitation is about. Raises: InvitationNotFound, InvitationExpired."""
    async with work.everywhere() as repositories:
        invitation = await _find(token, repositories, deps)
        organisation = await repositories.organisations.get(invitation.organisation_id)
    if organisation is None:
        raise _unknown()
    return Shown(invitation, organisation)


async def accept_invitation(token: str, acting: Acting, work: Work, deps: Deps) -> Invitation:
    """Make the caller a member.

    Raises: InvitationNotFound, InvitationExpired, InvitationForAnother, MemberExists.
    """
    invitation, me = await _look_up(token, work, deps), acting.me
    async with work.within(invitation.organisation_id, me.user_id) as repositories:
        await _lock(invitation, repositories)
        user = await repositories.users.get(me.user_id)
        if user is None or canonical(user.email) != canonical(invitation.email):
            raise InvitationForAnother("the invitation is for another address; log in with that")
        added = await repositories.members.add(
            invitation.organisation_id, me.user_id, invitation.role, deps.now()
        )
        if not added:
            raise MemberExists("you are a member of this organisation")
        # The token was mailed to this address, and nowhere else.
        await repositories.users.verify_email(me.user_id, deps.now())
        await _settle(invitation, Settlement.ACCEPTED, acting, repositories, deps)
    return invitation


async def decline_invitation(token: str, acting: Acting, work: Work, deps: Deps) -> None:
    """Make an invitation's token useless. Raises: InvitationNotFound, InvitationExpired."""
    invitation = await _look_up(token, work, deps)
    async with work.within(invitation.organisation_id, None) as repositories:
        await _lock(invitation, repositories)
        await _settle(invitation, Settlement.DECLINED, acting, repositories, deps)


async def _look_up(token: str, work: Work, deps: Deps) -> Invitation:
    """What the token is for: before it is known, all organisations have to be seen."""
    async with work.everywhere() as repositories:
        return await _find(token, repositories, deps)


async def _find(token: str, repositories: Repositories, deps: Deps) -> Invitation:
    invitation = await repositories.invitations.find(token_hash(token))
    if invitation is None:
        raise _unknown()
    if invitation.has_expired(deps.now()):
        raise InvitationExpired("the invitation has expired; ask for it to be sent anew")
    return invitation


async def _lock(invitation: Invitation, repositories: Repositories) -> None:
    found = await repositories.invitations.get(invitation.organisation_id, invitation.id)
    # Sent anew meanwhile, it has another token, and another expiry.
    if found != invitation:
        raise _unknown()


async def _settle(
    invitation: Invitation,
    settlement: Settlement,
    acting: Acting,
    repositories: Repositories,
    deps: Deps,
) -> None:
    await repositories.invitations.settle(invitation, settlement, deps.now())
    event = decision(
        acting,
        Outcome.SUCCESS,
        invitation.organisation_id,
        deps,
        targets=(("invitation", str(invitation.id)),),
        role=invitation.role,
    )
    await record(event, repositories)


def _unknown() -> InvitationNotFound:
    return InvitationNotFound("there is no such open invitation; ask for it to be sent anew")
