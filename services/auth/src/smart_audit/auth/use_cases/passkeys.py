"""Add, rename and remove passkeys."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from smart_audit.auth.domain import Acting, Challenge, Outcome, token_hash
from smart_audit.auth.errors import (
    ChallengeInvalid,
    FactorExists,
    FactorNotFound,
    PasskeyLimitReached,
)
from smart_audit.auth.factors import (
    MAX_PASSKEYS,
    Factors,
    Passkey,
    PasskeyAnswer,
    PasskeyId,
)
from smart_audit.auth.passkeys import challenge_of
from smart_audit.auth.repository import Repositories
from smart_audit.auth.use_cases.common import Deps, Work, decision, record
from smart_audit.auth.use_cases.factors import (
    changed,
    check_last,
    new_codes,
    own_factors,
    removed,
    used_in_session,
)

PURPOSE = "passkey_registration"
LIFETIME = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class NewPasskey:
    """What the browser has made, and what to call it."""

    answer: PasskeyAnswer
    name: str
    end_others: bool


async def begin_passkey(acting: Acting, work: Work, deps: Deps) -> dict[str, Any]:
    """What the browser needs to make a passkey, with a new challenge.

    Raises: PasskeyLimitReached.
    """
    async with work.within(None, acting.me.user_id) as repositories:
        user, factors = await own_factors(acting, repositories)
        if len(factors.passkeys) >= MAX_PASSKEYS:
            raise PasskeyLimitReached(
                f"you have {MAX_PASSKEYS} passkeys; remove one first", limit=str(MAX_PASSKEYS)
            )
        secret, now = deps.new_secret(), deps.now()
        session = {"session_id": str(acting.me.session_id)}
        await repositories.challenges.add(
            Challenge(token_hash(secret), PURPOSE, user.id, session, now, now + LIFETIME)
        )
        event = decision(acting, Outcome.SUCCESS, acting.organisation_id, deps, user=user)
        await record(event, repositories)
        return deps.relying_party.creation_options(user, factors.passkeys, secret)


async def finish_passkey(
    command: NewPasskey, acting: Acting, work: Work, deps: Deps
) -> tuple[Passkey, list[str]]:
    """Add a passkey to the caller's; gives recovery codes too with the first factor.

    Raises: PasskeyInvalid, ChallengeInvalid, FactorExists.
    """
    async with work.within(None, acting.me.user_id) as repositories:
        user, factors = await own_factors(acting, repositories)
        challenge = await _spend_challenge(command.answer, acting, repositories, deps)
        made = deps.relying_party.new_passkey(command.answer.credential, challenge)
        passkey = Passkey(
            id=PasskeyId(deps.new_id()),
            credential_id=made.credential_id,
            user_id=user.id,
            name=command.name,
            public_key=made.public_key,
            sign_count=made.sign_count,
            transports=made.transports,
            backed_up=made.backed_up,
            created_at=deps.now(),
        )
        if not await repositories.passkeys.add(passkey):
            raise FactorExists("this passkey is registered already")
        codes = [] if factors.count else await new_codes(user, repositories, deps)
        await used_in_session(passkey.methods, acting, repositories)
        await changed(
            "passkey.added",
            user,
            acting,
            repositories,
            deps,
            end_others=command.end_others,
            targets=(("passkey", str(passkey.id)),),
            name=passkey.name,
        )
        return passkey, codes


async def _spend_challenge(
    answer: PasskeyAnswer, acting: Acting, repositories: Repositories, deps: Deps
) -> str:
    """The challenge that was answered in the session that got it. Raises: ChallengeInvalid."""
    secret = challenge_of(answer.credential)
    challenge = await repositories.challenges.find(token_hash(secret), PURPOSE, deps.now())
    session_id = str(acting.me.session_id)
    if challenge is None or challenge.data["session_id"] != session_id:
        raise ChallengeInvalid("the challenge has expired or was answered; begin again")
    await repositories.challenges.use(challenge, deps.now())
    return secret


async def rename_passkey(
    passkey_id: PasskeyId, name: str, acting: Acting, work: Work, deps: Deps
) -> Passkey:
    """Rename one of the caller's passkeys. Raises: FactorNotFound."""
    me = acting.me
    async with work.within(None, me.user_id) as repositories:
        passkey = await repositories.passkeys.rename(me.user_id, passkey_id, name)
        if passkey is None:
            raise _no_such(passkey_id)
        event = decision(
            acting,
            Outcome.SUCCESS,
            acting.organisation_id,
            deps,
            targets=(("passkey", str(passkey_id)),),
            name=name,
        )
        await record(event, repositories)
        return passkey


async def remove_passkey(
    passkey_id: PasskeyId, acting: Acting, work: Work, deps: Deps, *, end_others: bool
) -> None:
    """Remove one of the caller's passkeys. Raises: FactorNotFound, FactorRequired."""
    async with work.within(None, acting.me.user_id) as repositories:
        user, factors = await own_factors(acting, repositories)
        passkey = _one(factors, passkey_id)
        await check_last(user, factors, repositories)
        await removed(user, factors, repositories, deps)
        await repositories.passkeys.remove(user.id, passkey_id)
        await changed(
            "passkey.removed",
            user,
            acting,
            repositories,
            deps,
            end_others=end_others,
            targets=(("passkey", str(passkey_id)),),
            name=passkey.name,
        )


def _one(factors: Factors, passkey_id: PasskeyId) -> Passkey:
    found = next((one for one in factors.passkeys if one.id == passkey_id), None)
    if found is None:
        raise _no_such(passkey_id)
    return found


def _no_such(passkey_id: PasskeyId) -> FactorNotFound:
    return FactorNotFound("you have no such passkey", passkey_id=str(passkey_id))
