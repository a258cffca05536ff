"""Show that an e-mail address reaches the user, and change it."""

from dataclasses import replace
from datetime import timedelta

from smart_audit.auth.domain import Acting, Membership, User, canonical
from smart_audit.auth.errors import EmailUnverified, LinkInvalid
from smart_audit.auth.mail.letters import ConfirmEmail, VerifyEmail
from smart_audit.auth.repository import Repositories
from smart_audit.auth.use_cases.accounts import record_own, the_user
from smart_audit.auth.use_cases.common import Deps, Work, refuse
from smart_audit.auth.use_cases.links import (
    CHANGE_EMAIL,
    LIFETIMES,
    LOGIN_CODE,
    RESET_PASSWORD,
    VERIFY_EMAIL,
    follow,
    new_link,
)
from smart_audit.auth.use_cases.mails import send
from smart_audit.auth.use_cases.notices import notify
from smart_audit.auth.use_cases.throttling import check_limits

LINKS_PER_HOUR = 5
HOUR = timedelta(hours=1)


async def request_email_verification(acting: Acting, work: Work, deps: Deps) -> None:
    """Send a link to the caller's address, unless it is verified. Raises: TooManyAttempts."""
    me = acting.me
    async with work.within(acting.organisation_id, me.user_id) as repositories:
        email = (await the_user(me.user_id, repositories)).email
    await check_limits("mail", acting, work, deps, account=canonical(email))
    async with work.within(acting.organisation_id, me.user_id) as repositories:
        user = await the_user(me.user_id, repositories)
        if user.email_verified_at is None:
            await send_verification(user, repositories, deps)
        await record_own(user, acting, repositories, deps)


async def send_verification(user: User, repositories: Repositories, deps: Deps) -> None:
    """Send a user a link that verifies the address."""
    token = await new_link(VERIFY_EMAIL, user.id, repositories, deps, email=user.email)
    letter = VerifyEmail(token, LIFETIMES[VERIFY_EMAIL])
    await send(letter, user.email, repositories, deps)


async def refuse_unverified(
    user: User, membership: Membership, acting: Acting, repositories: Repositories, deps: Deps
) -> EmailUnverified:
    """Refuse a login before the address is verified, and send another link, if few were sent."""
    sent = await repositories.challenges.open(user.id, VERIFY_EMAIL, deps.now() - HOUR)
    if sent < LINKS_PER_HOUR:
        await send_verification(user, repositories, deps)
    refusal = EmailUnverified("verify your e-mail address first: we have sent you a link")
    organisation_id = membership.organisation.id
    return await refuse(refusal, acting, organisation_id, repositories, deps, user=user)


async def change_email(new_email: str, acting: Acting, work: Work, deps: Deps) -> None:
    """Send a link to a new address; following it is what changes the address.

    Somebody else's address is not told from a free one: it gets no mail, and that is all.

    Raises: TooManyAttempts.
    """
    me = acting.me
    await check_limits("mail", acting, work, deps, account=canonical(new_email))
    async with work.within(acting.organisation_id, me.user_id) as repositories:
        user = await the_user(me.user_id, repositories)
        taken = await repositories.users.find(canonical(new_email)) not in (None, user)
        token = await new_link(CHANGE_EMAIL, user.id, repositories, deps, email=new_email)
        letter = ConfirmEmail(token, LIFETIMES[CHANGE_EMAIL])
        await send(letter, "" if taken else new_email, repositories, deps)
        await notify(user, "email.change_requested", acting, repositories, deps)
        await record_own(user, acting, repositories, deps)


async def verify_email(token: str, acting: Acting, work: Work, deps: Deps) -> str:
    """Follow a link of either kind; gives the address that is verified now.

    Raises: LinkInvalid, EmailTaken.
    """
    async with work.everywhere() as repositories:
        try:
            return await _verify(token, acting, repositories, deps)
        except LinkInvalid:
            return await _change(token, acting, repositories, deps)


async def _verify(token: str, acting: Acting, repositories: Repositories, deps: Deps) -> str:
    challenge, user_id = await follow(token, VERIFY_EMAIL, repositories, deps)
    user = await the_user(user_id, repositories)
    await repositories.challenges.use(challenge, deps.now())
    await repositories.users.verify_email(user.id, deps.now())
    await record_own(user, acting, repositories, deps)
    return user.email


async def _change(token: str, acting: Acting, repositories: Repositories, deps: Deps) -> str:
    """What was sent to the old address is good no longer."""
    challenge, user_id = await follow(token, CHANGE_EMAIL, repositories, deps)
    before = await the_user(user_id, repositories)
    user = replace(before, email=str(challenge.data["email"]))
    await repositories.users.set_email(user.id, user.email, deps.now())
    for purpose in (VERIFY_EMAIL, CHANGE_EMAIL, RESET_PASSWORD, LOGIN_CODE):
        await repositories.challenges.withdraw(user.id, purpose)
    await notify(before, "email.changed", acting, repositories, deps)
    await record_own(user, acting, repositories, deps)
    return user.email
