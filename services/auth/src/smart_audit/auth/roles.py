"""What a role may do: read from the one table, the enum `Role` of the protos."""

from collections.abc import Mapping
from typing import Any

from smart_audit.api.access.v1 import roles_pb2
from smart_audit.auth.domain import INSTALLATION, Membership

PREFIX = "ROLE_"


def _permissions(*extensions: Any) -> dict[str, frozenset[str]]:
    values = roles_pb2.Role.DESCRIPTOR.values
    return {
        value.name.removeprefix(PREFIX).lower(): frozenset(
            permission
            for extension in extensions
            for permission in value.GetOptions().Extensions[extension]
        )
        for value in values
        if value.number
    }


PERMISSIONS: Mapping[str, frozenset[str]] = _permissions(roles_pb2.permissions)
INSTALLATION_PERMISSIONS: Mapping[str, frozenset[str]] = _permissions(
    roles_pb2.permissions, roles_pb2.installation_permissions
)


def scopes_for(membership: Membership, amr: tuple[str, ...]) -> tuple[str, ...]:
    """What a member's token may be used for.

    Nothing where the organisation requires a second factor and the session had none: the person
    can then enrol one, and little else.
    """
    if membership.lacks_factor(amr):
        return ()
    own = membership.organisation.id == INSTALLATION
    table = INSTALLATION_PERMISSIONS if own else PERMISSIONS
    return tuple(sorted(table[membership.role]))
