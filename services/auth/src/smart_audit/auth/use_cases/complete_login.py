"""Complete a login by a second factor."""

from dataclasses import dataclass, field
from uuid import UUID

from smart_audit.auth.domain import (
    INSTALLATION,
    Acting,
    Challenge,
    Membership,
    OrganisationId,
    User,
    UserId,
    token_hash,
)
from smart_audit.auth.errors import ChallengeInvalid
from smart_audit.auth.factors import Proof, methods
from smart_audit.auth.repository import Repositories
from smart_audit.auth.use_cases.common import Deps, Work, refuse
from smart_audit.auth.use_cases.login import LOGIN, LoggedIn, begin_session
from smart_audit.auth.use_cases.second_factor import count_guess, forget_guesses, prove
from smart_audit.core.errors import DomainError

ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class CompleteLogin:
    """The challenge of a login, and what it asks for."""

    challenge: str = field(repr=False)
    proof: Proof


async def complete_login(
    command: CompleteLogin, acting: Acting, work: Work, deps: Deps
) -> LoggedIn | DomainError:
    """Open the session of a login whose first factor was right.

    Raises: TooManyAttempts, Unavailable.
    """
    hashed = token_hash(command.challenge)
    async with work.everywhere() as repositories:
        challenge = await repositories.challenges.find(hashed, LOGIN, deps.now())
    # Nothing waits for the throttle while it holds a connection.
    user_id = challenge.user_id if challenge else None
    if user_id is not None:
        await count_guess(command.proof, user_id, acting, work, deps)
    async with work.everywhere() as repositories:
        answer = await _complete(command, acting, repositories, deps)
    if isinstance(answer, LoggedIn):
        await forget_guesses(command.proof, answer.user.id, acting, deps)
    return answer


async def _complete(
    command: CompleteLogin, acting: Acting, repositories: Repositories, deps: Deps
) -> LoggedIn | DomainError:
    """The challenge is locked meanwhile: it opens one session, and is good for five attempts."""
    now = deps.now()
    challenge = await repositories.challenges.find(token_hash(command.challenge), LOGIN, now)
    found = await _who(challenge, repositories)
    if challenge is None or found is None:
        refusal = ChallengeInvalid("this login has expired or is complete; log in again")
        return await refuse(refusal, acting, INSTALLATION, repositories, deps)
    user, membership = found
    proven = await prove(command.proof, user, command.challenge, acting, repositories, deps)
    if isinstance(proven, DomainError):
        await repositories.challenges.attempted(challenge)
        organisation_id = membership.organisation.id
        return await refuse(proven, acting, organisation_id, repositories, deps, user=user)
    await repositories.challenges.use(challenge, now)
    amr = methods(challenge.data["amr"], proven.methods)
    return await begin_session(
        user, membership, amr, acting, repositories, deps, second_factor=proven.factor.value
    )


async def _who(
    challenge: Challenge | None, repositories: Repositories
) -> tuple[User, Membership] | None:
    """Whose login it is; None when it cannot go on."""
    if challenge is None or challenge.user_id is None or challenge.attempts >= ATTEMPTS:
        return None
    user = await repositories.users.get(challenge.user_id)
    organisation_id = OrganisationId(UUID(challenge.data["organisation_id"]))
    membership = await repositories.organisations.membership(
        UserId(challenge.user_id), organisation_id
    )
    if user is None or user.deactivated_at is not None or membership is None:
        return None
    return user, membership
