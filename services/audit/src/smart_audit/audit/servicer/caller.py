"""Whose log a call is about, and who calls."""

from smart_audit.audit.domain import PERSON, Actor, OrganisationId
from smart_audit.core.rpc.context import current_caller

MACHINE = "service"


def organisation() -> OrganisationId:
    """The organisation of the access token. Raises: TokenMissing."""
    return OrganisationId(current_caller().organisation_id)


def actor() -> Actor:
    """Who calls, as events name it. Raises: TokenMissing."""
    caller = current_caller()
    return Actor(caller.subject, MACHINE if caller.is_machine else PERSON)
