"""Options that several commands have, and how they are read."""

import json
import os
from base64 import urlsafe_b64decode
from pathlib import Path
from typing import Annotated, Final
from uuid import UUID

import typer

from smart_audit.cli.failures import ExitCode, Failure
from smart_audit.client.connection import Session

TOKEN_VARIABLE: Final = "SMART_AUDIT_TOKEN"  # noqa: S105  (a name, not a token)
ADDRESS_VARIABLE: Final = "SMART_AUDIT_ADDRESS"
DEFAULT_ADDRESS: Final = "localhost:8000"
_MALFORMED: Final = "the access token is malformed"

AddressOption = Annotated[
    str,
    typer.Option("--address", envvar=ADDRESS_VARIABLE, help="The gateway's host:port."),
]
TokenFileOption = Annotated[
    Path | None,
    typer.Option("--token-file", help=f"File with the access token, instead of ${TOKEN_VARIABLE}."),
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
    """The session of the given access token.

    Raises: Failure when there is none; OSError when the file cannot be read.
    """
    session = read_session_if_any(token_file)
    if not session.access_token:
        raise Failure(
            f"no access token: export {TOKEN_VARIABLE}=$(smart-audit token --email …)",
            ExitCode.AUTH,
        )
    return session


def read_session_if_any(token_file: Path | None) -> Session:
    """The session of the given access token; one without a token when none is given.

    Raises: Failure when it is malformed; OSError when the file cannot be read.
    """
    if token_file is not None:
        token = token_file.read_text(encoding="utf-8").strip()
    else:
        token = os.environ.get(TOKEN_VARIABLE, "").strip()
    if not token.isascii() or not token.isprintable() or " " in token:
        raise Failure(_MALFORMED, ExitCode.AUTH)
    return Session(token)


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
