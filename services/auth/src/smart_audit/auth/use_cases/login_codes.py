"""Log in by a code that is sent by mail, where an organisation lets its members do so."""

import hmac
from dataclasses import dataclass, field, replace
from datetime import timedelta
from hashlib import sha256
from uuid import UUID

from smart_audit.auth.domain import (
    INSTALLATION,
    NOBODY,
    Acting,
    Challenge,
    Membership,
    OrganisationId,
    Outcome,
    User,
    canonical,
    token_hash,
)
from smart_audit.auth.errors import CodeInvalid
from smart_audit.auth.factors import ONE_TIME_CODE
from smart_audit.auth.mail.letters import SignInCode
from smart_audit.auth.repository import Repositories
from smart_audit.auth.use_cases.accounts import home_of
from smart_audit.auth.use_cases.common import Deps, Work, decision, record, refuse
from smart_audit.auth.use_cases.links import LIFETIMES, LOGIN_CODE
from smart_audit.auth.use_cases.login import LoggedIn, SecondFactorNeeded, open_session
from smart_audit.auth.use_cases.mails import send
from smart_audit.auth.use_cases.throttling import check_limits
from smart_audit.core.errors import DomainError

ATTEMPTS = 5
DIGITS = 8


@dataclass(frozen=True, slots=True)
class LoginWithCode:
    """A code, and the challenge of the request that it was sent for."""

    challenge: str = field(repr=False)
    code: str = field(repr=False)


async def request_login_code(
    email: str, acting: Acting, work: Work, deps: Deps
) -> tuple[str, timedelta]:
    """Send a code, if the user may log in so; gives its challenge and lifetime in any case.

    The session will be of the first of the user's organisations that offers this.

    Raises: TooManyAttempts, for unknown addresses too.
    """
    await check_limits("mail", acting, work, deps, account=canonical(email))
    challenge, now, lifetime = deps.new_secret(), deps.now(), LIFETIMES[LOGIN_CODE]
    code = _digits(deps.new_secret())
    async with work.everywhere() as repositories:
        user = await repositories.users.find(canonical(email))
        user_id = user.id if user else NOBODY
        home = await home_of(user_id, repositories)
        membership = await repositories.organisations.offering_codes(user_id)
        active = user is not None and user.deactivated_at is None
        sent = user if active and membership else None
        organisation_id = membership.organisation.id if membership else INSTALLATION
        data = {"code": _bound(code, challenge), "organisation_id": str(organisation_id)}
        await repositories.challenges.add(
            Challenge(
                token_hash(challenge),
                LOGIN_CODE,
                sent.id if sent else None,
                data,
                created_at=now,
                expires_at=now + lifetime,
            )
        )
        letter = SignInCode(code, lifetime, acting.client)
        await send(letter, sent.email if sent else "", repositories, deps)
        event = decision(acting, Outcome.SUCCESS, home, deps, user=user, email=email)
        await record(event, repositories)
    return challenge, lifetime


async def login_with_code(
    command: LoginWithCode, acting: Acting, work: Work, deps: Deps
) -> LoggedIn | SecondFactorNeeded | DomainError:
    """Open a session by a code; it works once, and five wrong ones end its request.

    The challenge is locked meanwhile: guesses at the same time wait for each other.

    Raises: TooManyAttempts.
    """
    await check_limits("code", acting, work, deps, account=command.challenge)
    async with work.everywhere() as repositories:
        now = deps.now()
        challenge = await repositories.challenges.find(
            token_hash(command.challenge), LOGIN_CODE, now
        )
        if challenge is None or not _is_right(command, challenge):
            if challenge is not None:
                await repositories.challenges.attempted(challenge)
            return await _refuse(challenge, acting, repositories, deps)
        found = await _who(challenge, repositories)
        if found is None:
            return await _refuse(challenge, acting, repositories, deps)
        user, membership = found
        await repositories.challenges.use(challenge, now)
        # Whoever has the code reads the mail of the address.
        await repositories.users.verify_email(user.id, now)
        user = replace(user, email_verified_at=now)
        return await open_session(user, membership, (ONE_TIME_CODE,), acting, repositories, deps)


async def _refuse(
    challenge: Challenge | None, acting: Acting, repositories: Repositories, deps: Deps
) -> CodeInvalid:
    refusal = CodeInvalid("the code is wrong, was used or has expired; try again, or get a new one")
    user_id = challenge.user_id if challenge else None
    organisation_id = await home_of(user_id, repositories) if user_id else INSTALLATION
    return await refuse(refusal, acting, organisation_id, repositories, deps, user_id=user_id)


async def _who(challenge: Challenge, repositories: Repositories) -> tuple[User, Membership] | None:
    """Whose code it is, and in which organisation; None when it offers this no longer."""
    user = await repositories.users.get(challenge.user_id) if challenge.user_id else None
    if user is None or user.deactivated_at is not None:
        return None
    organisation_id = OrganisationId(UUID(challenge.data["organisation_id"]))
    membership = await repositories.organisations.membership(user.id, organisation_id)
    if membership is None or not membership.organisation.login_codes:
        return None
    return user, membership


def _is_right(command: LoginWithCode, challenge: Challenge) -> bool:
    bound = _bound("".join(command.code.split()), command.challenge)
    return challenge.attempts < ATTEMPTS and hmac.compare_digest(bound, challenge.data["code"])


def _digits(secret: str) -> str:
    """A code of eight digits out of 256 random bits."""
    return str(int(sha256(secret.encode()).hexdigest(), 16))[-DIGITS:]


def _bound(code: str, challenge: str) -> str:
    """What is stored of a code, as hex.

    Eight digits alone would be guessed out of any hash. The challenge is not stored: without its
    256 bits, whoever reads the database cannot try a single code (OWASP ASVS 5.0, 6.5.2, 6.6.2).
    """
    return hmac.new(challenge.encode(), code.encode(), sha256).hexdigest()
