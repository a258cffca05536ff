"""Log a user in."""

from dataclasses import dataclass, field
from uuid import UUID

from smart_audit.auth.domain import (
    INSTALLATION,
    PASSWORD,
    Acting,
    Membership,
    Outcome,
    Session,
    SessionId,
    User,
    UserId,
    canonical,
)
from smart_audit.auth.errors import CredentialsInvalid
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
)
from smart_audit.auth.use_cases.throttling import check_limits

NOBODY = UserId(UUID(int=0))


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


async def login(
    command: Login, acting: Acting, work: Work, deps: Deps
) -> LoggedIn | CredentialsInvalid:
    """Open a session; a wrong password and an unknown address get the same answer and work.

    Both are throttled alike, before anybody is looked up.

    The user is read in one transaction and the decision written in another: a hash takes tens
    of milliseconds, and logins that wait for one must not hold all database connections.
    """
    account = canonical(command.email)
    domain = domain_of(account)
    await check_limits("login", acting, work, deps, account=account, organisation=domain)
    async with work.everywhere() as repositories:
        user = await repositories.users.find(account)
        organisations = repositories.organisations
        # Nobody has a membership; but asking takes the same time.
        membership = await organisations.first_membership(user.id if user else NOBODY)
    password_hash = user.password_hash if user and user.deactivated_at is None else None
    verified = await deps.hasher.verify(command.password, password_hash)
    if verified is not None:
        await deps.throttle.succeeded(
            "login", account=account, address=acting.client.address, organisation=domain
        )
    async with work.everywhere() as repositories:
        if user is None or membership is None or verified is None:
            return await _refuse(command, user, membership, acting, repositories, deps)
        if verified.new_hash:
            await repositories.users.set_password_hash(user.id, verified.new_hash)
        return await open_session(user, membership, (PASSWORD,), acting, repositories, deps)


async def _refuse(
    command: Login,
    user: User | None,
    membership: Membership | None,
    acting: Acting,
    repositories: Repositories,
    deps: Deps,
) -> CredentialsInvalid:
    refusal = CredentialsInvalid("the e-mail address or the password is wrong")
    event = decision(
        acting,
        Outcome.DENIED,
        membership.organisation.id if membership else INSTALLATION,
        deps,
        user=user,
        email=command.email,
        reason=refusal.reason,
    )
    await record(event, repositories)
    return refusal


async def open_session(
    user: User,
    membership: Membership,
    amr: tuple[str, ...],
    acting: Acting,
    repositories: Repositories,
    deps: Deps,
) -> LoggedIn:
    """Open a session for a user who has proved who it is, by the methods `amr`."""
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
    await repositories.sessions.add_token(token)
    event = decision(
        acting,
        Outcome.SUCCESS,
        session.organisation_id,
        deps,
        user=user,
        targets=(("session", str(session.id)),),
        amr=list(amr),
    )
    await record(event, repositories)
    return LoggedIn(user, session, await issue_tokens(session, membership, secret, token, deps))
