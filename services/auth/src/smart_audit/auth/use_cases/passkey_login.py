"""Log in by a passkey alone: it says who its user is."""

from datetime import timedelta
from typing import Any

from smart_audit.auth.domain import (
    INSTALLATION,
    Acting,
    Challenge,
    Membership,
    User,
    token_hash,
)
from smart_audit.auth.errors import ChallengeInvalid, PasskeyInvalid
from smart_audit.auth.factors import PasskeyAnswer
from smart_audit.auth.passkeys import challenge_of, no_such_passkey
from smart_audit.auth.repository import Repositories
from smart_audit.auth.use_cases.common import Deps, Work, refuse
from smart_audit.auth.use_cases.login import LoggedIn, begin_session
from smart_audit.auth.use_cases.second_factor import find_passkey, use_passkey
from smart_audit.core.errors import DomainError

PURPOSE = "passkey_login"
LIFETIME = timedelta(minutes=5)


async def begin_passkey_login(work: Work, deps: Deps) -> dict[str, Any]:
    """What the browser needs to use a passkey of anybody, with a new challenge."""
    secret, now = deps.new_secret(), deps.now()
    challenge = Challenge(token_hash(secret), PURPOSE, None, {}, now, now + LIFETIME)
    async with work.everywhere() as repositories:
        await repositories.challenges.add(challenge)
    return deps.relying_party.request_options(secret)


async def spend_challenge(
    answer: PasskeyAnswer, repositories: Repositories, deps: Deps
) -> str | DomainError:
    """The challenge that was answered, in base64url. No other answer to it is looked at."""
    try:
        secret = challenge_of(answer.credential)
    except PasskeyInvalid as refusal:
        return refusal
    challenge = await repositories.challenges.find(token_hash(secret), PURPOSE, deps.now())
    if challenge is None:
        return ChallengeInvalid("the challenge has expired or was answered; begin again")
    await repositories.challenges.use(challenge, deps.now())
    return secret


async def finish_passkey_login(
    answer: PasskeyAnswer, acting: Acting, work: Work, deps: Deps
) -> LoggedIn | DomainError:
    """Open a session for the user of a passkey."""
    async with work.everywhere() as repositories:
        challenge = await spend_challenge(answer, repositories, deps)
        if isinstance(challenge, DomainError):
            return await refuse(challenge, acting, INSTALLATION, repositories, deps)
        passkey = await find_passkey(answer, repositories)
        user = await repositories.users.get(passkey.user_id) if passkey else None
        membership = await _membership(user, repositories)
        if user is None or membership is None:
            return await refuse(no_such_passkey(), acting, INSTALLATION, repositories, deps)
        proven = await use_passkey(passkey, answer, user, challenge, acting, repositories, deps)
        if isinstance(proven, DomainError):
            organisation_id = membership.organisation.id
            return await refuse(proven, acting, organisation_id, repositories, deps, user=user)
        return await begin_session(user, membership, proven.methods, acting, repositories, deps)


async def _membership(user: User | None, repositories: Repositories) -> Membership | None:
    if user is None or user.deactivated_at is not None:
        return None
    return await repositories.organisations.first_membership(user.id)
