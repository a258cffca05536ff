"""Authenticate again within a session, before something sensitive."""

from dataclasses import dataclass, field

from smart_audit.auth.domain import PASSWORD, Acting, Membership, Outcome, Session, User
from smart_audit.auth.errors import CredentialsInvalid, SecondFactorMissing
from smart_audit.auth.factors import PasskeyAnswer, Proof, methods
from smart_audit.auth.repository import Repositories
from smart_audit.auth.use_cases.accounts import is_own_password, the_user
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
from smart_audit.auth.use_cases.passkey_login import spend_challenge
from smart_audit.auth.use_cases.second_factor import count_guess, forget_guesses, prove
from smart_audit.auth.use_cases.sessions import revoke
from smart_audit.core.errors import DomainError, InvalidArgument
from smart_audit.core.revocations import SessionEnded, token_key


@dataclass(frozen=True, slots=True)
class Reauthenticate:
    """What shows that the person is still there."""

    password: str = field(repr=False)
    proof: Proof | None
    token_id: str
    """Of the access token that calls; it is refused afterwards."""


async def reauthenticate(
    command: Reauthenticate, acting: Acting, work: Work, deps: Deps
) -> Tokens | DomainError:
    """Renew when and how the session was authenticated; it gets new tokens instead of the old.

    Source: OWASP ASVS 5.0, 7.2.4 and 7.5.1.

    Raises: InvalidArgument, SessionEnded, UserNotFound, TooManyAttempts, Unavailable.
    """
    if not command.password and not isinstance(command.proof, PasskeyAnswer):
        raise InvalidArgument(
            "password is required, unless a passkey is sent", fields={"password": "is required"}
        )
    user_id = acting.me.user_id
    async with work.within(None, user_id) as repositories:
        user = await the_user(user_id, repositories)
    password = command.password
    right = not password or await is_own_password(password, user, acting, work, deps)
    await count_guess(command.proof, user_id, acting, work, deps)
    async with work.within(None, user_id) as repositories:
        amr = (
            await _methods(command, user, acting, repositories, deps)
            if right
            else CredentialsInvalid("the password is wrong")
        )
        if isinstance(amr, DomainError):
            organisation_id = acting.organisation_id
            return await refuse(amr, acting, organisation_id, repositories, deps, user=user)
        # Factors are locked before sessions, here as in changes of factors: no two can wait for
        # each other.
        session, membership = await _session(acting, repositories, deps)
        renewed = session.authenticated(deps.now(), amr)
        tokens = await _renew(renewed, membership, command.token_id, acting, repositories, deps)
    await forget_guesses(command.proof, user_id, acting, deps)
    return tokens


async def _session(
    acting: Acting, repositories: Repositories, deps: Deps
) -> tuple[Session, Membership]:
    """Raises: SessionEnded."""
    session = await repositories.sessions.get(acting.me.session_id, lock=True)
    if session is None or not session.is_live(deps.now()):
        raise SessionEnded("the session has ended; log in again")
    membership = await repositories.organisations.membership(
        session.user_id, session.organisation_id
    )
    if membership is None:
        raise SessionEnded("you are not in this organisation any more; log in again")
    return session, membership


async def _methods(
    command: Reauthenticate, user: User, acting: Acting, repositories: Repositories, deps: Deps
) -> tuple[str, ...] | DomainError:
    """What was shown, beside a password that is right if there is one."""
    by_password = (PASSWORD,) if command.password else ()
    if command.proof is None:
        offered = (await repositories.factors.of(user.id)).offered
        if offered:
            return SecondFactorMissing(
                "send a second factor too", factors=" ".join(one.value for one in offered)
            )
        return by_password
    challenge = await _challenge(command.proof, repositories, deps)
    if isinstance(challenge, DomainError):
        return challenge
    proven = await prove(command.proof, user, challenge, acting, repositories, deps)
    return proven if isinstance(proven, DomainError) else methods(by_password, proven.methods)


async def _challenge(proof: Proof, repositories: Repositories, deps: Deps) -> str | DomainError:
    if isinstance(proof, PasskeyAnswer):
        return await spend_challenge(proof, repositories, deps)
    return ""


async def _renew(
    session: Session,
    membership: Membership,
    token_id: str,
    acting: Acting,
    repositories: Repositories,
    deps: Deps,
) -> Tokens:
    secret = deps.new_secret()
    token = new_refresh_token(secret, session, deps.now(), deps)
    await repositories.sessions.authenticated(session)
    await repositories.sessions.replace_tokens(token)
    await revoke([token_key(token_id)], repositories, deps)
    event = decision(
        acting,
        Outcome.SUCCESS,
        session.organisation_id,
        deps,
        targets=(("session", str(session.id)),),
        amr=list(session.amr),
    )
    await record(event, repositories)
    return await issue_tokens(session, membership, secret, token, deps)
