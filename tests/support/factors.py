"""Second factors for tests: an app for codes, passkeys, and logins with them."""

import time
from dataclasses import dataclass, field, replace
from typing import Any

import jwt
from google.protobuf.json_format import MessageToDict
from google.protobuf.struct_pb2 import Struct
from pyotp import TOTP

from smart_audit.api.auth.v1 import auth_pb2, factors_pb2
from tests.support.authenticator import Authenticator
from tests.support.world import PASSWORD, User, World

STEP_S = 30


@dataclass(frozen=True)
class App:
    """An app for one-time codes that a user has confirmed."""

    secret: str = field(repr=False)
    recovery_codes: list[str] = field(repr=False)

    def code(self, steps: int = 0) -> str:
        """The code of now, or of some steps before or after."""
        return TOTP(self.secret).at(time.time() + steps * STEP_S)

    def wrong(self) -> str:
        """A code that is not accepted now."""
        near = {self.code(steps) for steps in range(-3, 4)}
        return next(code for code in ("000000", "111111", "222222") if code not in near)


async def enrol(world: World, user: User) -> str:
    """Enrol an app; gives its secret."""
    answer = await world.factors.EnrolTotp(factors_pb2.EnrolTotpRequest(), metadata=user.metadata)
    secret: str = answer.secret
    return secret


async def with_app(world: World, user: User, **more: Any) -> App:
    """Enrol and confirm an app, and let so much time go by that each code is new."""
    secret = await enrol(world, user)
    answer = await world.factors.ConfirmTotp(
        factors_pb2.ConfirmTotpRequest(code=TOTP(secret).now(), **more), metadata=user.metadata
    )
    some_time_later(world, user)
    return App(secret, list(answer.recovery_codes))


def some_time_later(world: World, user: User) -> None:
    """Make the last code that was accepted one of long ago."""
    execute(world, "UPDATE auth.totp_secrets SET last_step = 0 WHERE user_id = %s", user.id)


def execute(world: World, statement: str, *values: object) -> None:
    """Change the database as its owner."""
    with world.database.connect() as connection:
        connection.execute(statement, values)


async def challenge_of(world: World, user: User) -> auth_pb2.LoginResponse:
    """Log in by password as a user with a second factor, who is asked for it."""
    answer: auth_pb2.LoginResponse = await world.auth.Login(
        auth_pb2.LoginRequest(email=user.email, password=PASSWORD)
    )
    assert answer.mfa_required
    return answer


def complete(world: World, challenge: str, **factor: Any) -> Any:
    """Complete a login."""
    return world.auth.CompleteLogin(auth_pb2.CompleteLoginRequest(challenge=challenge, **factor))


def logged_in(user: User, answer: Any) -> User:
    """The user with the tokens of an answer."""
    return replace(
        user,
        session_id=getattr(answer, "session_id", user.session_id),
        access_token=answer.access_token,
        refresh_token=answer.refresh_token,
    )


async def with_passkey(
    world: World, user: User, authenticator: Authenticator, name: str = "key", **more: Any
) -> factors_pb2.FinishPasskeyRegistrationResponse:
    """Register a passkey."""
    begun = await world.factors.BeginPasskeyRegistration(
        factors_pb2.BeginPasskeyRegistrationRequest(), metadata=user.metadata
    )
    credential = authenticator.create(MessageToDict(begun.options))
    answer: factors_pb2.FinishPasskeyRegistrationResponse = (
        await world.factors.FinishPasskeyRegistration(
            factors_pb2.FinishPasskeyRegistrationRequest(
                credential=struct(credential), name=name, **more
            ),
            metadata=user.metadata,
        )
    )
    return answer


async def signed(world: World, authenticator: Authenticator) -> Struct:
    """What an authenticator answers to a new challenge."""
    begun = await world.auth.BeginPasskeyLogin(auth_pb2.BeginPasskeyLoginRequest())
    return struct(authenticator.get(MessageToDict(begun.options)))


def passkey_login(world: World, credential: Struct) -> Any:
    """Log in by a passkey alone."""
    return world.auth.FinishPasskeyLogin(auth_pb2.FinishPasskeyLoginRequest(credential=credential))


def struct(value: dict[str, Any]) -> Struct:
    """JSON as a message."""
    message = Struct()
    message.update(value)
    return message


def claims(user: User) -> dict[str, Any]:
    """What the user's access token says."""
    return jwt.decode(user.access_token, options={"verify_signature": False})
