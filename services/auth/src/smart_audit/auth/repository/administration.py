"""What administrators of the installation see of users, and change."""

from datetime import datetime
from typing import Any

from sqlalchemy import Select, delete, literal, or_, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from smart_audit.auth.administration import ADMINISTRATORS, Joined, UserFilter
from smart_audit.auth.domain import INSTALLATION, User, UserId
from smart_audit.auth.repository.organisations import ORGANISATION, to_membership
from smart_audit.auth.repository.users import USER
from smart_audit.auth.tables import memberships, organisations, users


class Administration:
    """Users, seen from above. It needs a transaction that sees everything."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def page(self, narrow: UserFilter, after: UserId | None, limit: int) -> list[User]:
        """Users, the latest first, from below `after` on."""
        statement = select(*USER).order_by(users.c.id.desc()).limit(limit)
        if after is not None:
            statement = statement.where(users.c.id < after)
        if narrow.search:
            name = users.c.first_name + literal(" ") + users.c.last_name
            statement = statement.where(
                or_(
                    users.c.email.icontains(narrow.search, autoescape=True),
                    name.icontains(narrow.search, autoescape=True),
                )
            )
        if narrow.deactivated is not None:
            kept_out = users.c.deactivated_at.is_not(None)
            statement = statement.where(kept_out if narrow.deactivated else ~kept_out)
        return [User(*row) for row in await self._connection.execute(statement)]

    async def organisations(self, user_id: UserId) -> list[Joined]:
        """What a user is, where and since when; the organisation joined first first."""
        statement = (
            select(*ORGANISATION, memberships.c.role, memberships.c.created_at)
            .join(memberships, memberships.c.organisation_id == organisations.c.id)
            .where(memberships.c.user_id == user_id)
            .order_by(memberships.c.created_at)
        )
        rows = await self._connection.execute(statement)
        return [Joined(to_membership(row[:-1]), row[-1]) for row in rows]

    async def set_deactivated(self, user_id: UserId, at: datetime | None) -> None:
        """Keep a user out from `at` on, or let the user in again."""
        await self._connection.execute(
            update(users).where(users.c.id == user_id).values(deactivated_at=at)
        )

    async def require_password_reset(self, user_id: UserId) -> None:
        """Forget the password: no way in can take it for a good one, until another is chosen."""
        await self._connection.execute(
            update(users)
            .where(users.c.id == user_id)
            .values(password_hash=None, password_reset_required=True)
        )

    async def active_administrators(self) -> set[UserId]:
        """Who can administer the installation. No other transaction changes that until the end."""
        # Two administrators who deactivate each other at once must not both succeed.
        await self._connection.execute(
            select(organisations.c.id).where(organisations.c.id == INSTALLATION).with_for_update()
        )
        return set((await self._connection.execute(_administrators())).scalars())

    async def administers(self, user_id: UserId) -> bool:
        """Whether a user can administer the installation."""
        statement = _administrators().where(users.c.id == user_id)
        return (await self._connection.execute(statement)).one_or_none() is not None

    async def add_administrator(self, user_id: UserId, role: str, at: datetime) -> None:
        """Make a user a member of the installation's own organisation, or change the role."""
        added = upsert(memberships).values(
            organisation_id=INSTALLATION, user_id=user_id, role=role, created_at=at
        )
        await self._connection.execute(
            added.on_conflict_do_update(
                constraint="memberships_pkey", set_={"role": added.excluded.role}
            )
        )

    async def remove_administrator(self, user_id: UserId) -> bool:
        """Take the membership away. False when there was none."""
        statement = (
            delete(memberships)
            .where(memberships.c.organisation_id == INSTALLATION, memberships.c.user_id == user_id)
            .returning(memberships.c.user_id)
        )
        return (await self._connection.execute(statement)).one_or_none() is not None


def _administrators() -> Select[Any]:
    return (
        select(users.c.id)
        .join(memberships, memberships.c.user_id == users.c.id)
        .where(
            memberships.c.organisation_id == INSTALLATION,
            memberships.c.role.in_(ADMINISTRATORS),
            users.c.deactivated_at.is_(None),
        )
    )
