"""`smart-audit token`: log in and print an access token."""

import asyncio
import re
import sys
from typing import Annotated

import typer

from smart_audit.api.auth.v1 import auth_pb2
from smart_audit.cli.failures import ExitCode, Failure
from smart_audit.cli.options import DEFAULT_ADDRESS, AddressOption, read_address
from smart_audit.client.connection import Connection, Session

TOTP_CODE = re.compile("[0-9]{6}")


def token(
    email: Annotated[str, typer.Option(help="The address you signed up with.")],
    address: AddressOption = DEFAULT_ADDRESS,
) -> None:
    """Log in and print an access token.

    The password is asked for, or read from stdin when that is no terminal. So is the code of an
    app, or a recovery code, if the account has a second factor.
    """
    request = auth_pb2.LoginRequest(email=email, password=_secret("password"))
    typer.echo(asyncio.run(_log_in(read_address(address), request)))


async def _log_in(address: str, request: auth_pb2.LoginRequest) -> str:
    async with Connection(address, Session()) as connection:
        answer = await connection.call(connection.auth.Login, request)
        if not answer.mfa_required:
            return answer.access_token
        completion = _completion(answer.challenge, _secret("code"))
        return (await connection.call(connection.auth.CompleteLogin, completion)).access_token


def _completion(challenge: str, code: str) -> auth_pb2.CompleteLoginRequest:
    if TOTP_CODE.fullmatch(code):
        return auth_pb2.CompleteLoginRequest(challenge=challenge, totp_code=code)
    return auth_pb2.CompleteLoginRequest(challenge=challenge, recovery_code=code)


def _secret(name: str) -> str:
    """Never an option: arguments are seen by every user of the machine."""
    if sys.stdin.isatty():
        answer: str = typer.prompt(name.capitalize(), hide_input=True, err=True)
        return answer
    # One line and no more: what `echo` or a password manager pipes in ends with a newline.
    secret = sys.stdin.readline().rstrip("\r\n")
    if not secret:
        raise Failure(f"no {name} on stdin", ExitCode.USAGE)
    return secret
