"""`smart-audit token`: an access token, for curl and other programs."""

import asyncio
import time

import typer

from smart_audit.cli.account import EmailOption, tokens
from smart_audit.cli.calling import Calling, calling
from smart_audit.cli.options import claims_of
from smart_audit.client.connection import Session

# A token that is about to end would be refused before whoever gets it has used it.
_LEAST_S = 60


@calling
def token(where: Calling, email: EmailOption = "") -> None:
    """Print an access token: that of the profile, or with --email one of a login of its own.

    The password is asked for, or read from stdin when that is no terminal. So is the code of an
    app, or a recovery code, if the account has a second factor.

    Examples:
    curl -H "authorization: Bearer $(smart-audit token)" localhost:8000/v1/events
    export SMART_AUDIT_TOKEN=$(smart-audit token --email ada@example.com)
    """
    if email:
        typer.echo(asyncio.run(_log_in(where, email)))
        return
    where.require_known()
    session = where.authenticated()
    if claims_of(session.access_token)["exp"] < time.time() + _LEAST_S and session.refresh_token:
        with where.blocking(session) as connection:
            connection.authenticate()
    typer.echo(session.access_token)


async def _log_in(where: Calling, email: str) -> str:
    async with where.connect(Session()) as connection:
        return (await tokens(connection, email)).access_token
