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
    canonical,
)
from smart_audit.auth.errors import EmailTaken
from smart_audit.auth.password_policy import PasswordContext
from smart_audit.auth.repository import Repositories
from smart_audit.auth.use_cases.check_password import check_password
from smart_audit.auth.use_cases.common import Deps, Work, decision, record
from smart_audit.auth.use_cases.notices import notify
from smart_audit.auth.use_cases.throttling import check_limits
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


async def signup(command: Signup, acting: Acting, work: Work, deps: Deps) -> SignedUp:
    """Create a user with a personal organisation; whether the address is taken is not told.

    Who signs up with an address that is taken gets the same answer, with ids that are nobody's, and
    the owner of the address gets a mail. The password is checked and hashed before it is known
    which it will be, and no database connection waits for a hash.

    Raises: TooManyAttempts, PasswordRefused.
    """
    await check_limits("signup", acting, work, deps, account=canonical(command.email))
    context = PasswordContext(command.email, command.first_name, command.last_name)
    await check_password(command.password, context, deps)
    user = User(
        id=UserId(deps.new_id()),
        email=command.email,
        first_name=command.first_name,
        last_name=command.last_name,
        password_hash=await deps.hasher.hash(command.password),
        created_at=deps.now(),
    )
    personal = Organisation(OrganisationId(deps.new_id()), user.name)
    async with work.everywhere() as repositories:
        if await repositories.users.add(user):
            await _added(user, personal, acting, repositories, deps)
        else:
            await _taken(user, acting, repositories, deps)
    return SignedUp(user, personal.id)


async def _added(
    user: User, personal: Organisation, acting: Acting, repositories: Repositories, deps: Deps
) -> None:
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


async def _taken(user: User, acting: Acting, repositories: Repositories, deps: Deps) -> None:
    event = decision(
        acting, Outcome.DENIED, INSTALLATION, deps, email=user.email, reason=EmailTaken.reason
    )
    await record(event, repositories)
    owner = await repositories.users.find(canonical(user.email))
    if owner is not None:
        await notify(owner, "signup.repeated", acting, repositories, deps)
