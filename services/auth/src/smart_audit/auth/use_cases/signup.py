"""Sign a user up."""

from dataclasses import dataclass, field

from smart_audit.auth.domain import (
    INSTALLATION,
    OWNER,
    Acting,
    Organisation,
    OrganisationId,
    Outcome,
    User,
    UserId,
)
from smart_audit.auth.errors import EmailTaken
from smart_audit.auth.repository import Repositories
from smart_audit.auth.use_cases.common import Deps, Work, decision, record
from smart_audit.auth.use_cases.verify_email import send_verification


@dataclass(frozen=True, slots=True)
class Signup:
    """Who wants to sign up."""

    email: str
    password: str = field(repr=False)
    first_name: str
    last_name: str


@dataclass(frozen=True, slots=True)
class SignedUp:
    """The new user and the user's personal organisation."""

    user: User
    organisation_id: OrganisationId


async def signup(command: Signup, acting: Acting, work: Work, deps: Deps) -> SignedUp | EmailTaken:
    """Create a user with a personal organisation; a taken address is refused.

    The password is hashed before it is known whether the address is taken: both answers take the
    same time, and no database connection waits for a hash.
    """
    password_hash = await deps.hasher.hash(command.password)
    user = User(
        id=UserId(deps.new_id()),
        email=command.email,
        first_name=command.first_name,
        last_name=command.last_name,
        password_hash=password_hash,
        created_at=deps.now(),
    )
    async with work.everywhere() as repositories:
        return await _add(user, acting, repositories, deps)


async def _add(
    user: User, acting: Acting, repositories: Repositories, deps: Deps
) -> SignedUp | EmailTaken:
    if not await repositories.users.add(user):
        refusal = EmailTaken("a user with this e-mail address exists; log in instead")
        event = decision(
            acting,
            Outcome.DENIED,
            INSTALLATION,
            deps,
            email=user.email,
            reason=refusal.reason,
        )
        await record(event, repositories)
        return refusal
    personal = Organisation(OrganisationId(deps.new_id()), user.name)
    await repositories.organisations.add(personal, user.id, OWNER, user.created_at)
    await send_verification(user, repositories, deps)
    event = decision(
        acting,
        Outcome.SUCCESS,
        personal.id,
        deps,
        user=user,
        targets=(("user", str(user.id)), ("organisation", str(personal.id))),
    )
    await record(event, repositories)
    return SignedUp(user, personal.id)
