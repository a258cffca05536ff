"""Invite people into an organisation."""

from dataclasses import replace

from smart_audit.auth.domain import Acting, Outcome, canonical, token_hash
from smart_audit.auth.errors import (
    EmailUnverified,
    InvitationExists,
    InvitationNotFound,
    MemberExists,
    MemberNotFound,
)
from smart_audit.auth.mail import letters
from smart_audit.auth.members import Invitation, InvitationId, Settlement
from smart_audit.auth.repository import Repositories
from smart_audit.auth.use_cases.common import Deps, Work, decision, record
from smart_audit.auth.use_cases.mails import send
from smart_audit.auth.use_cases.members import check_manages
from smart_audit.auth.use_cases.throttling import check_limits


async def create_invitation(
    email: str, role: str, acting: Acting, work: Work, deps: Deps
) -> Invitation:
    """Invite a person; whether the address has an account is not looked at.

    Raises: OwnerRequired, MemberExists, InvitationExists, ScopeMissing, EmailUnverified,
    TooManyAttempts.
    """
    await _check_limits(email, acting, work, deps)
    organisation_id, me, now = acting.organisation_id, acting.me, deps.now()
    invitation = Invitation(
        id=InvitationId(deps.new_id()),
        organisation_id=organisation_id,
        email=email,
        role=role,
        invited_by=me.user_id,
        created_at=now,
        expires_at=now + deps.lifetimes.invitation,
    )
    secret = deps.new_secret()
    async with work.within(organisation_id, me.user_id) as repositories:
        await check_manages(acting, repositories, role)
        if await repositories.members.has(organisation_id, canonical(email)):
            raise MemberExists("a member has this e-mail address")
        await repositories.invitations.expire(organisation_id, canonical(email), now)
        if not await repositories.invitations.add(invitation, token_hash(secret)):
            raise InvitationExists("this address is invited; send the invitation anew instead")
        await _send(invitation, secret, acting, repositories, deps)
        await _record(acting, invitation, repositories, deps)
    return invitation


async def list_invitations(
    after: InvitationId | None, limit: int, acting: Acting, work: Work
) -> tuple[list[Invitation], InvitationId | None]:
    """A page of the open invitations, and where it ends if there are more."""
    async with work.within(acting.organisation_id, None) as repositories:
        found = await repositories.invitations.page(acting.organisation_id, after, limit + 1)
    page = found[:limit]
    return page, page[-1].id if len(found) > limit else None


async def withdraw_invitation(
    invitation_id: InvitationId, acting: Acting, work: Work, deps: Deps
) -> None:
    """Make an invitation's token useless. Raises: InvitationNotFound, OwnerRequired."""
    async with work.within(acting.organisation_id, acting.me.user_id) as repositories:
        invitation = await _managed(invitation_id, acting, repositories)
        await repositories.invitations.settle(invitation, Settlement.WITHDRAWN, deps.now())
        await _record(acting, invitation, repositories, deps)


async def resend_invitation(
    invitation_id: InvitationId, acting: Acting, work: Work, deps: Deps
) -> Invitation:
    """Send an invitation with a new token and a new expiry.

    Raises: InvitationNotFound, OwnerRequired, ScopeMissing, EmailUnverified, TooManyAttempts.
    """
    async with work.within(acting.organisation_id, acting.me.user_id) as repositories:
        email = (await _managed(invitation_id, acting, repositories)).email
    await _check_limits(email, acting, work, deps)
    secret = deps.new_secret()
    async with work.within(acting.organisation_id, acting.me.user_id) as repositories:
        invitation = await _managed(invitation_id, acting, repositories)
        renewed = replace(invitation, expires_at=deps.now() + deps.lifetimes.invitation)
        await repositories.invitations.renew(renewed, token_hash(secret))
        await _send(renewed, secret, acting, repositories, deps)
        await _record(acting, renewed, repositories, deps)
    return renewed


async def _managed(
    invitation_id: InvitationId, acting: Acting, repositories: Repositories
) -> Invitation:
    invitation = await repositories.invitations.get(acting.organisation_id, invitation_id)
    if invitation is None:
        raise InvitationNotFound(
            "the organisation has no such open invitation", invitation_id=str(invitation_id)
        )
    await check_manages(acting, repositories, invitation.role)
    return invitation


async def _send(
    invitation: Invitation, token: str, acting: Acting, repositories: Repositories, deps: Deps
) -> None:
    organisation = await repositories.organisations.get(invitation.organisation_id)
    inviter = await repositories.users.get(acting.me.user_id)
    if organisation is None or inviter is None:
        raise MemberNotFound("you are not in this organisation any more")
    if inviter.email_verified_at is None:
        # Who has shown no address of their own makes us write to nobody else's.
        raise EmailUnverified("verify your e-mail address first; ask for a link if you need one")
    letter = letters.Invitation(
        token=token,
        organisation=organisation.name,
        inviter=inviter.name,
        role=invitation.role,
        expires_at=invitation.expires_at,
    )
    await send(letter, invitation.email, repositories, deps)


async def _check_limits(email: str, acting: Acting, work: Work, deps: Deps) -> None:
    """Raises: TooManyAttempts."""
    organisation = str(acting.organisation_id)
    account = canonical(email)
    await check_limits("invite", acting, work, deps, account=account, organisation=organisation)


async def _record(
    acting: Acting, invitation: Invitation, repositories: Repositories, deps: Deps
) -> None:
    targets = (("invitation", str(invitation.id)),)
    event = decision(
        acting,
        Outcome.SUCCESS,
        acting.organisation_id,
        deps,
        targets=targets,
        role=invitation.role,
    )
    await record(event, repositories)
