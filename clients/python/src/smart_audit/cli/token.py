"""`smart-audit token`: log in and print an access token."""

import asyncio
import sys
from typing import Annotated

import typer

from smart_audit.api.auth.v1 import auth_pb2
from smart_audit.cli.failures import ExitCode, Failure
from smart_audit.cli.options import DEFAULT_ADDRESS, AddressOption, read_address
from smart_audit.client.connection import Connection, Session


def token(
    email: Annotated[str, typer.Option(help="The address you signed up with.")],
    address: AddressOption = DEFAULT_ADDRESS,
) -> None:
    """Log in and print an access token.

    The password is asked for, or read from stdin when that is no terminal.
    """
    request = auth_pb2.LoginRequest(email=email, password=_password())
    answer = asyncio.run(_log_in(read_address(address), request))
    typer.echo(answer.access_token)


async def _log_in(address: str, request: auth_pb2.LoginRequest) -> auth_pb2.LoginResponse:
    async with Connection(address, Session()) as connection:
        return await connection.call(connection.auth.Login, request)


def _password() -> str:
    """Never an option: arguments are seen by every user of the machine."""
    if sys.stdin.isatty():
        answer: str = typer.prompt("Password", hide_input=True, err=True)
        return answer
    # One line and no more: what `echo` or a password manager pipes in ends with a newline.
    password = sys.stdin.readline().rstrip("\r\n")
    if not password:
        raise Failure("no password on stdin", ExitCode.USAGE)
    return password
