"""`smart-audit login`, `logout` and `whoami`: who a profile is."""

import asyncio
import os
from dataclasses import replace
from typing import Annotated, Any

import typer

from smart_audit.api.auth.v1 import auth_pb2, sessions_pb2
from smart_audit.cli.asking import ask, ask_openly, factor
from smart_audit.cli.calling import (
    AddressOption,
    Calling,
    Calls,
    ProfileOption,
    calls,
    warn_if_exposed,
)
from smart_audit.cli.failures import ExitCode, Failure
from smart_audit.cli.messages import row
from smart_audit.cli.options import QuietOption, claims_of
from smart_audit.cli.render import Column, Form, OutputOption, show_one
from smart_audit.cli.text import complain, tell
from smart_audit.client.connection import Connection, Session
from smart_audit.client.errors import CallError, Unauthenticated
from smart_audit.client.profiles import Credentials, Profiles
from smart_audit.client.settings import API_KEY_VARIABLE, TOKEN_VARIABLE, Settings

EmailOption = Annotated[str, typer.Option(help="The address you signed up with.")]

_GIVEN = (TOKEN_VARIABLE, API_KEY_VARIABLE)
_WHO = [
    Column("user.email", "user"),
    Column("user.id", "user id"),
    Column("service_account", "service account"),
    Column("organisation.name", "organisation"),
    Column("organisation.id", "organisation id"),
    Column("organisation.role", "role"),
    Column("scopes"),
    Column("profile"),
    Column("address"),
    Column("by"),
]


def login(
    email: EmailOption = "",
    *,
    api_key: Annotated[
        bool, typer.Option("--api-key", help="Log in with an API key instead, from stdin.")
    ] = False,
    profile: ProfileOption = "",
    address: AddressOption = "",
    quiet: QuietOption = False,
) -> None:
    """Log in, and remember it: every command of the profile then calls as you.

    The password is asked for, or read from stdin when that is no terminal; so is the code of an
    app, or a recovery code, if the account has a second factor. The tokens are kept in a file that
    is yours alone, and renewed by themselves. An address that is named is the profile's from now
    on.

    Examples:
    smart-audit login --email ada@example.com
    smart-audit login --profile work --address https://audit.example.com
    smart-audit login --api-key < key.txt
    """
    profiles = Profiles.of_user()
    is_new = bool(profile and address) and profile not in profiles.names()
    settings = Settings.read(profile="" if is_new else profile, address=address)
    if is_new:
        settings = replace(settings, profile=profile)
    warn_if_exposed(settings)
    if api_key:
        held = Credentials(settings.address, api_key=ask("API key"))
        asyncio.run(_exchange(Calling(settings), held.api_key))
    else:
        held = asyncio.run(_log_in(settings, email or ask_openly("email")))
    if address:
        profiles.set(settings.profile, "address", settings.address)
    profiles.keep(settings.profile, held)
    tell(f"logged in at {settings.address}, profile {settings.profile}", quiet=quiet)
    for variable in _GIVEN:
        if os.environ.get(variable):
            complain(f"{variable} is set, and goes before what the profile is logged in with")


async def tokens(
    connection: Connection, email: str
) -> auth_pb2.LoginResponse | auth_pb2.CompleteLoginResponse:
    """Log in with what is asked for. Raises: CallError, Failure."""
    request = auth_pb2.LoginRequest(email=email, password=ask("password"))
    answer = await connection.call(connection.auth.Login, request)
    if not answer.mfa_required:
        return answer
    completion = auth_pb2.CompleteLoginRequest(challenge=answer.challenge, **factor(ask("code")))
    return await connection.call(connection.auth.CompleteLogin, completion)


def logout(
    *,
    everywhere: Annotated[
        bool, typer.Option("--everywhere", help="End all your other sessions too.")
    ] = False,
    profile: ProfileOption = "",
    address: AddressOption = "",
    quiet: QuietOption = False,
) -> None:
    """End the session, and forget its tokens.

    They are forgotten even if the service cannot be reached; the exit code is then 1. An API key is
    forgotten, and stays good until it is revoked.

    Examples:
    smart-audit logout
    smart-audit logout --everywhere
    """
    own = {name: value for name, value in os.environ.items() if name not in _GIVEN}
    settings = Settings.read(profile=profile, address=address, environment=own)
    warn_if_exposed(settings)
    where = Calling(settings)
    if settings.kept_in is None:
        raise Failure(
            f"not logged in at {settings.address}, profile {settings.profile}", ExitCode.AUTH
        )
    try:
        if not settings.credentials.api_key:
            _end_session(where, everywhere=everywhere)
    except Unauthenticated:
        pass  # a session that has ended already is what was asked for
    except CallError as error:
        raise Failure(f"the tokens are forgotten, but the session goes on: {error}") from error
    finally:
        settings.kept_in.forget(settings.profile)
    tell("logged out", quiet=quiet)


@calls
def whoami(to: Calls, *, output: OutputOption = Form.TABLE) -> None:
    """Show who you are to the service, and by which profile.

    Examples:
    smart-audit whoami
    smart-audit whoami -o json
    """
    session = to.authenticated()
    found: dict[str, Any] = {}
    claims = claims_of(session.access_token)
    if "client_id" in claims:
        found = {
            "service_account": claims["client_id"],
            "organisation": {"id": claims["org"]},
            "scopes": claims["scope"].split(),
        }
    else:
        found = row(to.call(to.services.auth.GetMe, auth_pb2.GetMeRequest()))
    settings = to.calling.settings
    found |= {"profile": settings.profile, "address": settings.address, "by": _by(settings)}
    show_one(found, _WHO, output)


def _by(settings: Settings) -> str:
    held = settings.credentials
    kind = "api key" if held.api_key else "session" if held.refresh_token else "access token"
    return kind if settings.kept_in else f"{kind} of the environment"


def _end_session(where: Calling, *, everywhere: bool) -> None:
    """Raises: CallError."""
    with where.blocking(where.session(), retry_for_s=0) as connection:
        services = connection.services
        if everywhere:
            request = sessions_pb2.RevokeOtherSessionsRequest()
            connection.call(services.sessions.RevokeOtherSessions, request)
        connection.call(services.auth.Logout, auth_pb2.LogoutRequest())


async def _log_in(settings: Settings, email: str) -> Credentials:
    async with Calling(settings).connect(Session()) as connection:
        answer = await tokens(connection, email)
    return Credentials(settings.address, answer.access_token, answer.refresh_token)


async def _exchange(where: Calling, api_key: str) -> None:
    """Try an API key before it is kept. Raises: CallError."""
    async with where.connect(Session(api_key=api_key)) as connection:
        await connection.authenticate()
