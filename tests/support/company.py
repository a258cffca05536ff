"""People of several roles in one organisation."""

import asyncio
from dataclasses import dataclass, replace
from typing import Any

import jwt

from smart_audit.api.auth.v1 import auth_pb2, organisations_pb2
from tests.support.mails import mail_to
from tests.support.world import User, World, refusal


@dataclass(frozen=True)
class Company:
    """An organisation, and its members with tokens for it."""

    owner: User
    admin: User
    member: User

    @property
    def id(self) -> str:
        """The organisation."""
        return self.owner.organisation_id


async def new_company(world: World) -> Company:
    """An organisation with a member of each of these roles."""
    owner = await world.new_user()
    admin, member = [await joined(world, owner, role) for role in ("admin", "member")]
    return Company(owner, admin, member)


async def joined(world: World, owner: User, role: str, user: User | None = None) -> User:
    """A user, a new one if none is given, who is a member of the owner's organisation.

    Without an invitation, which takes longer than most tests, and has tests of its own.
    """
    user = user or await world.new_user()
    with world.database.connect() as connection:
        connection.execute(
            "INSERT INTO auth.memberships (organisation_id, user_id, role, created_at)"
            " VALUES (%s, %s, %s, now())",
            [owner.organisation_id, user.id, role],
        )
    return await switched(world, user, owner.organisation_id)


async def invited(world: World, by: User, email: str, role: str = "member") -> str:
    """Invite somebody; gives the token of the mail."""
    await world.organisations.CreateInvitation(
        organisations_pb2.CreateInvitationRequest(email=email, role=role), metadata=by.metadata
    )
    return (await mail_to(world, email, "invited")).token


async def switched(world: World, user: User, organisation_id: str) -> User:
    """The user, with the session moved to another organisation."""
    answer = await world.organisations.SwitchOrganisation(
        organisations_pb2.SwitchOrganisationRequest(
            organisation_id=organisation_id, refresh_token=user.refresh_token
        ),
        metadata=user.metadata,
    )
    return _with_tokens(user, answer)


async def refreshed(world: World, user: User) -> User:
    """The user with new tokens."""
    answer = await world.auth.RefreshToken(
        auth_pb2.RefreshTokenRequest(refresh_token=user.refresh_token)
    )
    return _with_tokens(user, answer)


def _with_tokens(user: User, answer: Any) -> User:
    return replace(
        user,
        access_token=answer.access_token,
        refresh_token=answer.refresh_token,
        organisation_id=claims(answer.access_token)["org"],
    )


def claims(access_token: str) -> dict[str, Any]:
    """What a token says."""
    read: dict[str, Any] = jwt.decode(access_token, options={"verify_signature": False})
    return read


def scopes(user: User) -> set[str]:
    """What a user's token permits."""
    return set(claims(user.access_token)["scope"].split())


def use_second_factor(world: World, user: User) -> None:
    """Let the session count as one that was opened with a second factor; refresh it next."""
    with world.database.connect() as connection:
        connection.execute(
            "UPDATE auth.sessions SET amr = '{pwd,otp,mfa}' WHERE id = %s", [user.session_id]
        )


async def refused_within_a_second(call: Any) -> str:
    """Repeat a call until it is refused; gives the reason."""
    for _ in range(50):
        try:
            return (await refusal(call())).reason
        except AssertionError:
            await asyncio.sleep(0.02)
    raise AssertionError("it works a second later, too")
