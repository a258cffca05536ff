"""Change a password, and choose a new one by a link when it is forgotten."""

from smart_audit.auth.domain import NOBODY, Acting, Outcome, User, canonical
from smart_audit.auth.errors import CredentialsInvalid, LinkInvalid
from smart_audit.auth.mail.letters import ResetPassword
from smart_audit.auth.repository import Repositories
from smart_audit.auth.throttle import domain_of
from smart_audit.auth.use_cases.accounts import home_of, is_own_password, record_own, the_user
from smart_audit.auth.use_cases.check_password import check_password, context_of
from smart_audit.auth.use_cases.common import Deps, Work, decision, record, refuse
from smart_audit.auth.use_cases.links import LIFETIMES, RESET_PASSWORD, follow, new_link
from smart_audit.auth.use_cases.login import LOGIN
from smart_audit.auth.use_cases.mails import client_to_tell, send
from smart_audit.auth.use_cases.notices import notify
from smart_audit.auth.use_cases.sessions import end_other_sessions, revoke_user
from smart_audit.auth.use_cases.throttling import check_limits


async def request_password_reset(email: str, acting: Acting, work: Work, deps: Deps) -> None:
    """Send a link to an address, if a user has it; the answer and the work are always the same.

    Raises: TooManyAttempts, for unknown addresses too.
    """
    await check_limits("reset", acting, work, deps, account=canonical(email))
    async with work.everywhere() as repositories:
        user = await repositories.users.find(canonical(email))
        await send_reset(user, acting, repositories, deps)
        event = decision(
            acting,
            Outcome.SUCCESS,
            await home_of(user.id if user else NOBODY, repositories),
            deps,
            user=user,
            email=email,
        )
        await record(event, repositories)


async def send_reset(
    user: User | None, acting: Acting, repositories: Repositories, deps: Deps
) -> None:
    """Send a user a link that lets the user choose a new password; nobody gets none."""
    sent = user if user and user.deactivated_at is None else None
    token = await new_link(RESET_PASSWORD, sent.id if sent else None, repositories, deps)
    letter = ResetPassword(token, LIFETIMES[RESET_PASSWORD], client_to_tell(user, acting))
    await send(letter, sent.email if sent else "", repositories, deps)


async def reset_password(
    token: str, new_password: str, acting: Acting, work: Work, deps: Deps
) -> None:
    """Set a password by a link, and end all sessions.

    It opens none, so that a second factor is asked for as ever (OWASP ASVS 5.0, 6.4.3). Whoever
    has got the link reads the mail of the address, which verifies it.

    Raises: LinkInvalid, PasswordRefused.
    """
    async with work.everywhere() as repositories:
        _, user_id = await follow(token, RESET_PASSWORD, repositories, deps)
        context = await context_of(await the_user(user_id, repositories), repositories)
    await check_password(new_password, context, deps, field="new_password")
    password_hash = await deps.hasher.hash(new_password)
    async with work.everywhere() as repositories:
        _, user_id = await follow(token, RESET_PASSWORD, repositories, deps)
        user = await the_user(user_id, repositories)
        if user.deactivated_at is not None:
            raise LinkInvalid("the account is not active")
        await repositories.users.verify_email(user.id, deps.now())
        await _set(user, password_hash, repositories, deps)
        await end_other_sessions(user.id, None, repositories, deps)
        await revoke_user(user.id, repositories, deps)
        await notify(user, "password.reset", acting, repositories, deps)
        await record_own(user, acting, repositories, deps)
    await _throttle_no_longer(user, acting, deps)


async def change_password(
    current_password: str,
    new_password: str,
    acting: Acting,
    work: Work,
    deps: Deps,
    *,
    end_others: bool,
) -> int | CredentialsInvalid:
    """Change the caller's password; gives how many other sessions were ended.

    No database connection waits for the two hashes.

    Raises: TooManyAttempts, PasswordRefused, Unavailable.
    """
    me = acting.me
    async with work.within(acting.organisation_id, me.user_id) as repositories:
        user = await the_user(me.user_id, repositories)
        context = await context_of(user, repositories)
    if not await is_own_password(current_password, user, acting, work, deps):
        refusal = CredentialsInvalid("the current password is wrong")
        async with work.within(acting.organisation_id, me.user_id) as repositories:
            return await refuse(
                refusal, acting, acting.organisation_id, repositories, deps, user=user
            )
    await check_password(new_password, context, deps, field="new_password")
    password_hash = await deps.hasher.hash(new_password)
    async with work.within(acting.organisation_id, me.user_id) as repositories:
        await the_user(me.user_id, repositories)
        await _set(user, password_hash, repositories, deps)
        ended = (
            await end_other_sessions(user.id, me.session_id, repositories, deps)
            if end_others
            else []
        )
        await notify(user, "password.changed", acting, repositories, deps)
        await record_own(user, acting, repositories, deps)
        return len(ended)


async def _set(user: User, password_hash: str, repositories: Repositories, deps: Deps) -> None:
    """Save a new password.

    Links to choose another one are good no longer, nor are logins that wait for a second factor.
    """
    await repositories.users.set_password(user.id, password_hash, deps.now())
    for purpose in (RESET_PASSWORD, LOGIN):
        await repositories.challenges.withdraw(user.id, purpose)


async def _throttle_no_longer(user: User, acting: Acting, deps: Deps) -> None:
    """Who has shown to own the account is not held up by guesses at it."""
    account = canonical(user.email)
    await deps.throttle.succeeded(
        "login",
        account=account,
        address=acting.client.address,
        organisation=domain_of(account),
    )
