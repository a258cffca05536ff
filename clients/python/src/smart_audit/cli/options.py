"""Options that several commands have, and how they are read."""

import json
import os
from base64 import urlsafe_b64decode
from pathlib import Path
from typing import Annotated, Final
from uuid import UUID

import typer

from smart_audit.cli.failures import ExitCode, Failure
from smart_audit.client.blocking import BlockingConnection
from smart_audit.client.connection import Session

TOKEN_VARIABLE: Final = "SMART_AUDIT_TOKEN"  # noqa: S105  (a name, not a token)
API_KEY_VARIABLE: Final = "SMART_AUDIT_API_KEY"
ADDRESS_VARIABLE: Final = "SMART_AUDIT_ADDRESS"
DEFAULT_ADDRESS: Final = "localhost:8000"
_MALFORMED: Final = "the access token is malformed"
_API_KEY_PREFIX: Final = "sa_"

AddressOption = Annotated[
    str,
    typer.Option("--address", envvar=ADDRESS_VARIABLE, help="The gateway's host:port."),
]
TokenFileOption = Annotated[
    Path | None,
    typer.Option(
        "--token-file",
        help=f"File with the access token, instead of ${TOKEN_VARIABLE} or ${API_KEY_VARIABLE}.",
    ),
]


def read_address(text: str) -> str:
    """The host:port of an address, which may be written as a URL too.

    Raises: Failure.
    """
    if text.startswith("https://"):
        raise Failure(f"{text}: TLS is not supported yet; use host:port", ExitCode.USAGE)
    address = text.removeprefix("http://").rstrip("/")
    host, colon, port = address.rpartition(":")
    if not colon or not host or not port.isdecimal():
        raise Failure(f"{text!r} is not an address; write host:port", ExitCode.USAGE)
    return address


def read_session(token_file: Path | None) -> Session:
    """The session of the given access token or API key.

    Raises: Failure when there is none; OSError when the file cannot be read.
    """
    session = read_session_if_any(token_file)
    if not session.access_token and not session.api_key:
        raise Failure(
            f"no access token: export {TOKEN_VARIABLE}=$(smart-audit token --email …), or an API "
            f"key as {API_KEY_VARIABLE}",
            ExitCode.AUTH,
        )
    return session


def read_session_if_any(token_file: Path | None) -> Session:
    """The session of the given access token or API key; one without any when none is given.

    Raises: Failure when it is malformed; OSError when the file cannot be read.
    """
    if token_file is not None:
        token = token_file.read_text(encoding="utf-8").strip()
    else:
        token = os.environ.get(TOKEN_VARIABLE, "").strip()
    if not _is_one_word(token):
        raise Failure(_MALFORMED, ExitCode.AUTH)
    if token:
        return Session(token)
    api_key = os.environ.get(API_KEY_VARIABLE, "").strip()
    if api_key and not (_is_one_word(api_key) and api_key.startswith(_API_KEY_PREFIX)):
        raise Failure(f"{API_KEY_VARIABLE} holds no API key: those begin with sa_", ExitCode.AUTH)
    return Session(api_key=api_key)


def authenticated(session: Session, address: str) -> Session:
    """The session, with an access token if it has an API key. Raises: CallError."""
    if session.is_due:
        with BlockingConnection(address, session) as connection:
            connection.authenticate()
    return session


def organisation_of(session: Session) -> str:
    """The organisation that an access token names; whether the token is good the service says.

    Raises: Failure.
    """
    try:
        _, claims, _ = session.access_token.split(".")
        named = json.loads(urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))["org"]
        return str(UUID(named))
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise Failure(_MALFORMED, ExitCode.AUTH) from error


def _is_one_word(text: str) -> bool:
    return text.isascii() and text.isprintable() and " " not in text
