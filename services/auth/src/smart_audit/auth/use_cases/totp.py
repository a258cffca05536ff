"""Enrol, confirm and remove an app for one-time codes."""

from dataclasses import dataclass, field

from smart_audit.auth.domain import Acting, Outcome
from smart_audit.auth.errors import FactorExists, FactorNotFound, SecondFactorInvalid
from smart_audit.auth.factors import TotpSecret
from smart_audit.auth.totp import new_totp_secret, otpauth_uri
from smart_audit.auth.use_cases.common import Deps, Work, decision, record
from smart_audit.auth.use_cases.factors import (
    changed,
    check_last,
    new_codes,
    own_factors,
    removed,
    used_in_session,
)
from smart_audit.auth.use_cases.second_factor import BY_CODE, accept_code, totp_purpose


@dataclass(frozen=True, slots=True)
class EnrolledTotp:
    """What the app is told."""

    secret: str = field(repr=False)
    uri: str = field(repr=False)


async def enrol_totp(acting: Acting, work: Work, deps: Deps) -> EnrolledTotp:
    """A new secret for the caller's app, which counts once it is confirmed.

    Raises: FactorExists.
    """
    async with work.within(None, acting.me.user_id) as repositories:
        user, factors = await own_factors(acting, repositories)
        if factors.confirmed_totp:
            raise FactorExists("an app is confirmed; remove it first")
        secret = new_totp_secret(deps.new_secret())
        sealed = deps.sealer.seal(secret.encode(), totp_purpose(user.id))
        await repositories.factors.put_totp(TotpSecret(user.id, sealed, deps.now()))
        event = decision(acting, Outcome.SUCCESS, acting.organisation_id, deps, user=user)
        await record(event, repositories)
        return EnrolledTotp(secret, otpauth_uri(secret, user.email, deps.relying_party.name))


async def confirm_totp(
    code: str, acting: Acting, work: Work, deps: Deps, *, end_others: bool
) -> list[str]:
    """Count the caller's app from now on; gives recovery codes with the first factor.

    Raises: FactorNotFound, FactorExists, SecondFactorInvalid.
    """
    async with work.within(None, acting.me.user_id) as repositories:
        user, factors = await own_factors(acting, repositories)
        if factors.totp is None:
            raise FactorNotFound("no app is enrolled; enrol one first")
        if factors.confirmed_totp:
            raise FactorExists("the app is confirmed already")
        if not await accept_code(code, factors.totp, repositories, deps):
            raise SecondFactorInvalid("the code is wrong; is the clock of the app right?")
        await repositories.factors.confirm_totp(user.id, deps.now())
        codes = [] if factors.count else await new_codes(user, repositories, deps)
        await used_in_session(BY_CODE, acting, repositories)
        await changed("totp.added", user, acting, repositories, deps, end_others=end_others)
        return codes


async def remove_totp(acting: Acting, work: Work, deps: Deps, *, end_others: bool) -> None:
    """Remove the caller's app, one that was never confirmed too.

    Raises: FactorNotFound, FactorRequired.
    """
    async with work.within(None, acting.me.user_id) as repositories:
        user, factors = await own_factors(acting, repositories)
        if factors.totp is None:
            raise FactorNotFound("no app is enrolled")
        if factors.confirmed_totp:
            await check_last(user, factors, repositories)
            await removed(user, factors, repositories, deps)
        await repositories.factors.remove_totp(user.id)
        await changed("totp.removed", user, acting, repositories, deps, end_others=end_others)
