"""Log a user in."""

from dataclasses import dataclass, field

from smart_audit.auth.domain import (
    INSTALLATION,
    Client,
    OrganisationId,
    Outcome,
    Session,
    SessionId,
    User,
    canonical,
)
from smart_audit.auth.errors import CredentialsInvalid
from smart_audit.auth.repository import Repositories
from smart_audit.auth.use_cases.common import (
    Deps,
    Tokens,
    Work,
    decision,
    issue_tokens,
    new_refresh_token,
    record,
)

ACTION = "auth.login"


@dataclass(frozen=True, slots=True)
class Login:
    """Who wants to log in."""

    email: str
    password: str = field(repr=False)
    client: Client


@dataclass(frozen=True, slots=True)
class LoggedIn:
    """The new session and its tokens."""

    user: User
    session: Session
    tokens: Tokens


async def login(command: Login, work: Work, deps: Deps) -> LoggedIn | CredentialsInvalid:
    """Open a session; a wrong password and an unknown address get the same answer and work.

    The user is read in one transaction and the decision written in another: a hash takes tens
    of milliseconds, and logins that wait for one must not hold all database connections.
    """
    async with work.begin() as repositories:
        found = await repositories.users.find(canonical(command.email))
    user, organisation_id = found or (None, INSTALLATION)
    verified = await deps.hasher.verify(command.password, user.password_hash if user else None)
    async with work.begin() as repositories:
        if user is None or verified is None:
            return await _refuse(command, user, organisation_id, repositories, deps)
        if verified.new_hash:
            await repositories.users.set_password_hash(user.id, verified.new_hash)
        return await _open_session(command, user, organisation_id, repositories, deps)


async def _refuse(
    command: Login,
    user: User | None,
    organisation_id: OrganisationId,
    repositories: Repositories,
    deps: Deps,
) -> CredentialsInvalid:
    refusal = CredentialsInvalid("the e-mail address or the password is wrong")
    event = decision(
        ACTION,
        Outcome.DENIED,
        organisation_id,
        command.client,
        deps,
        user=user,
        email=command.email,
        reason=refusal.reason,
    )
    await record(event, repositories)
    return refusal


async def _open_session(
    command: Login,
    user: User,
    organisation_id: OrganisationId,
    repositories: Repositories,
    deps: Deps,
) -> LoggedIn:
    now = deps.now()
    session = Session(
        id=SessionId(deps.new_id()),
        user_id=user.id,
        organisation_id=organisation_id,
        created_at=now,
        expires_at=now + deps.lifetimes.session,
    )
    secret = deps.new_secret()
    token = new_refresh_token(secret, session, now, deps)
    await repositories.sessions.add(session)
    await repositories.sessions.add_token(token)
    event = decision(
        ACTION,
        Outcome.SUCCESS,
        organisation_id,
        command.client,
        deps,
        user=user,
        targets=(("session", str(session.id)),),
    )
    await record(event, repositories)
    return LoggedIn(user, session, await issue_tokens(session, secret, token, now, deps))
