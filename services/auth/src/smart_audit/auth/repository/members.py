"""The members of organisations in the database."""

from datetime import datetime

from sqlalchemy import delete, exists, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from smart_audit.auth.domain import OWNER, CanonicalEmail, OrganisationId, UserId
from smart_audit.auth.members import Member
from smart_audit.auth.tables import memberships, users

MEMBERS = select(
    memberships.c.user_id,
    users.c.email,
    users.c.first_name,
    users.c.last_name,
    memberships.c.role,
    memberships.c.created_at,
).join(users, users.c.id == memberships.c.user_id)


class Members:
    """Who is what in an organisation."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def get(self, organisation_id: OrganisationId, user_id: UserId) -> Member | None:
        """One member."""
        statement = MEMBERS.where(
            memberships.c.organisation_id == organisation_id, memberships.c.user_id == user_id
        )
        row = (await self._connection.execute(statement)).one_or_none()
        return None if row is None else Member(*row)

    async def page(
        self, organisation_id: OrganisationId, after: UserId | None, limit: int
    ) -> list[Member]:
        """The members after one, in the order of their ids: as they signed up."""
        statement = (
            MEMBERS.where(memberships.c.organisation_id == organisation_id)
            .order_by(memberships.c.user_id)
            .limit(limit)
        )
        if after is not None:
            statement = statement.where(memberships.c.user_id > after)
        return [Member(*row) for row in await self._connection.execute(statement)]

    async def has(self, organisation_id: OrganisationId, email: CanonicalEmail) -> bool:
        """Whether a member has this address."""
        found = MEMBERS.where(
            memberships.c.organisation_id == organisation_id, users.c.email_canonical == email
        )
        return bool((await self._connection.execute(select(exists(found.subquery())))).scalar_one())

    async def owners(self, organisation_id: OrganisationId) -> int:
        """How many owners there are."""
        statement = select(func.count()).where(
            memberships.c.organisation_id == organisation_id, memberships.c.role == OWNER
        )
        return (await self._connection.execute(statement)).scalar_one()

    async def add(
        self, organisation_id: OrganisationId, user_id: UserId, role: str, at: datetime
    ) -> bool:
        """Add a member. False when the user is one."""
        statement = (
            insert(memberships)
            .values(organisation_id=organisation_id, user_id=user_id, role=role, created_at=at)
            .on_conflict_do_nothing()
            .returning(memberships.c.user_id)
        )
        return (await self._connection.execute(statement)).one_or_none() is not None

    async def set_role(self, organisation_id: OrganisationId, user_id: UserId, role: str) -> None:
        """Change a member's role."""
        await self._connection.execute(
            update(memberships)
            .where(
                memberships.c.organisation_id == organisation_id, memberships.c.user_id == user_id
            )
            .values(role=role)
        )

    async def remove(self, organisation_id: OrganisationId, user_id: UserId) -> None:
        """Remove a member."""
        await self._connection.execute(
            delete(memberships).where(
                memberships.c.organisation_id == organisation_id, memberships.c.user_id == user_id
            )
        )
