"""Members and invitations: what they are and what holds of them. No I/O."""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import NewType
from uuid import UUID

from smart_audit.auth.domain import OWNER, OrganisationId, UserId
from smart_audit.auth.roles import PERMISSIONS

InvitationId = NewType("InvitationId", UUID)

ADMIN = "admin"
MANAGE_MEMBERS = "members.manage"


@dataclass(frozen=True, slots=True)
class Member:
    """A person in an organisation."""

    user_id: UserId
    email: str
    first_name: str
    last_name: str
    role: str
    joined_at: datetime

    @property
    def name(self) -> str:
        """The display name."""
        return f"{self.first_name} {self.last_name}"


class Settlement(Enum):
    """How an invitation ended."""

    ACCEPTED = "accepted"
    DECLINED = "declined"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class Invitation:
    """A person's way into an organisation, until it is settled."""

    id: InvitationId
    organisation_id: OrganisationId
    email: str
    role: str
    invited_by: UserId
    created_at: datetime
    expires_at: datetime

    def has_expired(self, at: datetime) -> bool:
        """Whether it is too late to answer."""
        return at >= self.expires_at


def may_manage(acting: str, *roles: str) -> bool:
    """Whether a member may manage others: give or take away these roles.

    Whoever manages members may, but only an owner makes and unmakes owners. No role that manages
    members is above another but that one, so nobody gets above their own.
    """
    return MANAGE_MEMBERS in PERMISSIONS[acting] and (OWNER not in roles or acting == OWNER)
