"""What the tests of the requirements do again and again."""

import asyncio
from functools import partial
from typing import Any

from smart_audit.api.audit.v1 import audit_pb2
from smart_audit.api.auth.v1 import account_pb2, auth_pb2
from tests.support.governance import until
from tests.support.mails import Mail, account_of, mails_in, queue_is_empty
from tests.support.tokens import bearer
from tests.support.world import User, World, ended_within, refusal

NEW_PASSWORD = "a kestrel over the moor"


def me(world: World, token: str) -> Any:
    """A call that any good token of a user may make."""
    return world.auth.GetMe(auth_pb2.GetMeRequest(), metadata=bearer(token))


def listing(world: World, token: str) -> Any:
    """A call of audit that any good token of a member may make."""
    return world.events.ListEvents(audit_pb2.ListEventsRequest(), metadata=bearer(token))


async def refused_everywhere(world: World, token: str) -> set[str]:
    """Why each service refuses a token."""
    return {(await refusal(call(world, token))).reason for call in (me, listing)}


async def ended_everywhere(world: World, *users: User) -> None:
    """Each service refuses the access tokens within a second, and auth the refresh tokens."""
    for user in users:
        calls = [partial(call, world, user.access_token) for call in (me, listing)]
        await asyncio.gather(*map(ended_within, calls))
        assert (await refusal(refresh(world, user.refresh_token))).reason == "SESSION_ENDED"


async def login_refused(world: World, email: str, password: str) -> str:
    """Why a login is refused."""
    request = auth_pb2.LoginRequest(email=email, password=password)
    return (await refusal(world.auth.Login(request))).reason


def refresh(world: World, token: str) -> Any:
    """A call that exchanges a refresh token."""
    return world.auth.RefreshToken(auth_pb2.RefreshTokenRequest(refresh_token=token))


def change(world: World, user: User, current: str, new: str, **more: Any) -> Any:
    """A call that changes a password."""
    request = account_pb2.ChangePasswordRequest(current_password=current, new_password=new, **more)
    return account_of(world).ChangePassword(request, metadata=user.metadata)


async def reset_link(world: World, email: str) -> str:
    """The token of a link to choose a new password."""
    request = account_pb2.RequestPasswordResetRequest(email=email)
    await account_of(world).RequestPasswordReset(request)
    return (await last_mail(world, email)).token


def reset(world: World, token: str, password: str = NEW_PASSWORD) -> Any:
    """A call that sets a password by a link."""
    request = account_pb2.ResetPasswordRequest(token=token, new_password=password)
    return account_of(world).ResetPassword(request)


async def asked_for_code(world: World, user: User) -> tuple[str, str]:
    """The challenge of a login by mail, and the code that was sent for it."""
    world.database.execute(
        "UPDATE auth.organisations SET login_codes = true WHERE id = %s",
        user.organisation_id,
    )
    answer = await account_of(world).RequestLoginCode(
        account_pb2.RequestLoginCodeRequest(email=user.email)
    )
    return answer.challenge, (await last_mail(world, user.email)).code


def enter_code(world: World, challenge: str, code: str) -> Any:
    """A call that logs in by a code that was mailed."""
    request = account_pb2.LoginWithCodeRequest(challenge=challenge, code=code)
    return account_of(world).LoginWithCode(request)


async def last_mail(world: World, recipient: str) -> Mail:
    """The last mail to an address, once all have been sent."""
    await queue_is_empty(world)
    return mails_in(world.mail_dir, recipient)[-1]


async def an_hour_later(world: World, user: User) -> str:
    """An access token that says that the user has authenticated an hour ago."""
    world.database.execute(
        "UPDATE auth.sessions SET authenticated_at = authenticated_at - interval '1 hour'"
        " WHERE id = %s",
        user.session_id,
    )
    token: str = (await refresh(world, user.refresh_token)).access_token
    return token


async def recorded(world: World, user: User, action: str, **narrow: Any) -> audit_pb2.Event:
    """The latest event of one kind in the user's log, once it is there."""
    request = audit_pb2.ListEventsRequest(action=action, page_size=1, **narrow)

    async def found() -> audit_pb2.Event | None:
        answer = await world.events.ListEvents(request, metadata=user.metadata)
        return answer.events[0] if answer.events else None

    event: audit_pb2.Event = await until(found)
    return event
