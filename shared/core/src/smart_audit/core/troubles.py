"""Why a service cannot start or go on, in a sentence."""

import psycopg
from sqlalchemy.exc import DBAPIError

from smart_audit.core.errors import DomainError
from smart_audit.core.sealing import SealBroken

EXPECTED = (DomainError, SealBroken, RuntimeError, DBAPIError, psycopg.Error)


def sentence(error: Exception, service: str, verb: str) -> str | None:
    """What went wrong and the remedy, never a statement or its values; None for a defect."""
    if not isinstance(error, EXPECTED):
        return None
    cause = error.orig if isinstance(error, DBAPIError) else error
    said = str(cause).splitlines()[0] if str(cause) else type(cause).__name__
    if not isinstance(cause, psycopg.Error):
        return said
    if isinstance(cause, psycopg.OperationalError):
        return f"{service} cannot reach its database: {said}"
    if verb == "migrate":
        return f"{service} cannot be migrated: {said}"
    return f"the database is not ready for {service}: {said}; run `migrate` first"
