"""What administrators of the installation see and do: what it is and what holds of it. No I/O."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from smart_audit.auth.domain import INSTALLATION, OWNER, Membership, UserId

ADMIN = "admin"
ADMINISTRATORS = (OWNER, ADMIN)
"""Roles in the installation's own organisation that administer all users."""

DEFAULT_IMPERSONATION = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class UserFilter:
    """Which users to list; None and empty take all."""

    search: str = ""
    """A part of the e-mail address or of the name, in any case."""
    deactivated: bool | None = None


@dataclass(frozen=True, slots=True)
class Joined:
    """What a user is in an organisation, and since when."""

    membership: Membership
    at: datetime


def is_administrator(joined: Collection[Joined]) -> bool:
    """Whether somebody with these memberships administers the installation."""
    return any(
        one.membership.organisation.id == INSTALLATION and one.membership.role in ADMINISTRATORS
        for one in joined
    )


def is_last(user_id: UserId, administrators: Collection[UserId]) -> bool:
    """Whether nobody could administer the installation without this user."""
    return set(administrators) == {user_id}
