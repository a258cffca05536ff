"""Log a user in."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from smart_audit.auth.domain import (
    INSTALLATION,
    MULTIPLE_FACTORS,
    PASSWORD,
    Acting,
    Challenge,
    Membership,
    Outcome,
    Session,
    SessionId,
    User,
    canonical,
    token_hash,
)
from smart_audit.auth.errors import CredentialsInvalid, EmailUnverified
from smart_audit.auth.factors import Factor, Factors
from smart_audit.auth.repository import Repositories
from smart_audit.auth.throttle import domain_of
from smart_audit.auth.use_cases.common import (
    Deps,
    Tokens,
    Work,
    decision,
    issue_tokens,
    new_refresh_token,
    record,
    refuse,
)
from smart_audit.auth.use_cases.new_devices import tell_of_new_device
from smart_audit.auth.use_cases.throttling import check_limits
from smart_audit.auth.use_cases.verify_email import refuse_unverified
from smart_audit.core.errors import DomainError
from smart_audit.core.revocations import SessionEnded

LOGIN = "login"
LIFETIME = timedelta(minutes=5)
WRONG = "the e-mail address or the password is wrong"


@dataclass(frozen=True, slots=True)
class Login:
    """Who wants to log in."""

    email: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class LoggedIn:
    """The new session and its tokens."""

    user: User
    session: Session
    tokens: Tokens


@dataclass(frozen=True, slots=True)
class SecondFactorNeeded:
    """A challenge, which a second factor answers."""

    challenge: str = field(repr=False)
    expires_in: timedelta
    factors: tuple[Factor, ...]
    passkey_options: Mapping[str, Any]
    """For the browser; empty without a passkey."""


async def login(
    command: Login, acting: Acting, work: Work, deps: Deps
) -> LoggedIn | SecondFactorNeeded | DomainError:
    """Open a session, or ask for a second factor.

    A wrong password and an unknown address get the same answer and work.

    Both are throttled alike, before anybody is looked up.

    The user is read in one transaction and the decision written in another: a hash takes tens
    of milliseconds, and logins that wait for one must not hold all database connections.
    """
    account = canonical(command.email)
    domain = domain_of(account)
    await check_limits("login", acting, work, deps, account=account, organisation=domain)
    async with work.everywhere() as repositories:
        user, membership = await repositories.users.find_with_home(account)
    password_hash = user.password_hash if user and user.deactivated_at is None else None
    verified = await deps.hasher.verify(command.password, password_hash)
    if verified is not None:
        await deps.throttle.succeeded(
            "login", account=account, address=acting.client.address, organisation=domain
        )
    async with work.everywhere() as repositories:
        if user is None or membership is None or verified is None:
            refusal = CredentialsInvalid(WRONG)
            organisation_id = membership.organisation.id if membership else INSTALLATION
            who = {"user": user, "email": command.email}
            return await refuse(refusal, acting, organisation_id, repositories, deps, **who)
        opened = await open_session(user, membership, (PASSWORD,), acting, repositories, deps)
        if verified.new_hash:
            await repositories.users.set_password_hash(user, verified.new_hash)
        return opened


async def open_session(
    user: User,
    membership: Membership,
    amr: tuple[str, ...],
    acting: Acting,
    repositories: Repositories,
    deps: Deps,
) -> LoggedIn | SecondFactorNeeded | DomainError:
    """Open a session for a user who has proved who it is, by the methods `amr`.

    A user who has a second factor, and has not used it, is asked for it instead.
    """
    if MULTIPLE_FACTORS not in amr:
        factors = await repositories.factors.of(user.id)
        if factors.offered:
            return await _ask(factors, user, membership, amr, acting, repositories, deps)
    return await begin_session(user, membership, amr, acting, repositories, deps)


async def _ask(
    factors: Factors,
    user: User,
    membership: Membership,
    amr: tuple[str, ...],
    acting: Acting,
    repositories: Repositories,
    deps: Deps,
) -> SecondFactorNeeded:
    secret, now = deps.new_secret(), deps.now()
    organisation_id = membership.organisation.id
    data = {"organisation_id": str(organisation_id), "amr": list(amr)}
    challenge = Challenge(token_hash(secret), LOGIN, user.id, data, now, now + LIFETIME)
    await repositories.challenges.add(challenge)
    asked = replace(acting, action="auth.login.challenge")
    event = decision(asked, Outcome.SUCCESS, organisation_id, deps, user=user, amr=list(amr))
    await record(event, repositories)
    passkeys = factors.passkeys
    options = deps.relying_party.request_options(secret, passkeys) if passkeys else {}
    return SecondFactorNeeded(secret, LIFETIME, factors.offered, options)


async def begin_session(
    user: User,
    membership: Membership,
    amr: tuple[str, ...],
    acting: Acting,
    repositories: Repositories,
    deps: Deps,
    **facts: Any,
) -> LoggedIn | EmailUnverified:
    """Open a session for a user who has proved enough, by the methods `amr`.

    facts: what the event tells besides. Raises: SessionEnded when the user has left the
    organisation meanwhile.
    """
    if deps.require_verified_email and user.email_verified_at is None:
        return await refuse_unverified(user, membership, acting, repositories, deps)
    await tell_of_new_device(user, acting, repositories, deps)
    now = deps.now()
    session = Session(
        id=SessionId(deps.new_id()),
        user_id=user.id,
        organisation_id=membership.organisation.id,
        created_at=now,
        expires_at=now + deps.lifetimes.session,
        authenticated_at=now,
        amr=amr,
        last_used_at=now,
        address=acting.client.address,
        user_agent=acting.client.user_agent,
    )
    secret = deps.new_secret()
    token = new_refresh_token(secret, session, now, deps)
    await repositories.sessions.add(session)
    # Read anew: a hash ago the role may have been another. From here on the new session holds up
    # whoever would change it.
    now_so = await repositories.organisations.live_membership(user.id, session.organisation_id)
    if now_so is None:
        raise SessionEnded("you are not in this organisation any more; log in again")
    if PASSWORD in amr and not await repositories.users.password_stands(user):
        raise CredentialsInvalid(WRONG)
    await repositories.sessions.add_token(token)
    event = decision(
        acting,
        Outcome.SUCCESS,
        session.organisation_id,
        deps,
        user=user,
        targets=(("session", str(session.id)),),
        amr=list(amr),
        **facts,
    )
    await record(event, repositories)
    return LoggedIn(user, session, await issue_tokens(session, now_so, secret, token, deps))
