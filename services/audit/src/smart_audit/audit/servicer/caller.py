"""Whose log a call is about."""

from smart_audit.audit.domain import OrganisationId
from smart_audit.core.rpc.context import current_caller


def organisation() -> OrganisationId:
    """The organisation of the access token. Raises: TokenMissing."""
    return OrganisationId(current_caller().organisation_id)
