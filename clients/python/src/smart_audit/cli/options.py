"""Options that several commands have, and how they are read."""

from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

import typer

from smart_audit.cli.failures import ExitCode, Failure
from smart_audit.client import claims

LimitOption = Annotated[
    int, typer.Option("--limit", "-n", min=0, help="How many at most; 0 for all of them.")
]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing of success.")]
FilterOption = Annotated[
    str,
    typer.Option(
        "--filter", "-f", help="Which events, in the language of AIP-160: outcome=DENIED, …"
    ),
]
FromOption = Annotated[
    str, typer.Option("--from", metavar="TIME", help="The first moment, e.g. 2026-01-31.")
]
ToOption = Annotated[
    str, typer.Option("--to", metavar="TIME", help="The first moment after the period.")
]


def read_time(text: str, option: str) -> datetime:
    """A time as in 2026-01-31 or 2026-01-31T12:30:00+01:00, UTC when it names no zone.

    Raises: Failure.
    """
    try:
        time = datetime.fromisoformat(text)
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        sentence = f"{option}: {text!r} is not a time; write e.g. 2026-01-31"
        raise Failure(sentence, ExitCode.USAGE) from error


def claims_of(access_token: str) -> dict[str, Any]:
    """What an access token says; whether it is good the service says.

    Raises: Failure.
    """
    try:
        return claims.claims_of(access_token)
    except ValueError as error:
        raise Failure("the access token is malformed", ExitCode.AUTH) from error


def organisation_of(access_token: str) -> str:
    """The organisation that an access token names. Raises: Failure."""
    return str(UUID(claims_of(access_token)["org"]))
