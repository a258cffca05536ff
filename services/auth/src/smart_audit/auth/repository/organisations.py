"""Organisations and memberships in the database."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import BindParameter, Select, bindparam, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from smart_audit.auth.domain import Membership, Organisation, OrganisationId, SignInPolicy, UserId
from smart_audit.auth.tables import memberships, organisations, users

ORGANISATION = (
    organisations.c.id,
    organisations.c.name,
    organisations.c.sign_in_policy,
    organisations.c.login_codes,
)


class Organisations:
    """Organisations and who is what in them."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(self, organisation: Organisation, owner: UserId, role: str, at: datetime) -> None:
        """Add an organisation with its first member."""
        await self._connection.execute(
            insert(organisations).values(
                id=organisation.id,
                name=organisation.name,
                sign_in_policy=organisation.sign_in_policy.value,
                login_codes=organisation.login_codes,
                created_at=at,
            )
        )
        await self._connection.execute(
            insert(memberships).values(
                organisation_id=organisation.id, user_id=owner, role=role, created_at=at
            )
        )

    async def get(
        self, organisation_id: OrganisationId, *, lock: bool = False
    ) -> Organisation | None:
        """An organisation; locked until the end of the transaction if asked.

        The lock holds up whoever would open a session there.
        """
        statement = select(*ORGANISATION).where(organisations.c.id == organisation_id)
        if lock:
            statement = statement.with_for_update()
        row = (await self._connection.execute(statement)).one_or_none()
        return None if row is None else _to_organisation(row)

    async def save(self, organisation: Organisation) -> None:
        """Save the name and the policies."""
        await self._connection.execute(
            update(organisations)
            .where(organisations.c.id == organisation.id)
            .values(
                name=organisation.name,
                sign_in_policy=organisation.sign_in_policy.value,
                login_codes=organisation.login_codes,
            )
        )

    async def memberships(
        self, user_id: UserId, after: OrganisationId | None, limit: int
    ) -> list[Membership]:
        """What a user is in the organisations after one, the oldest organisation first."""
        statement = _memberships(user_id).order_by(organisations.c.id).limit(limit)
        if after is not None:
            statement = statement.where(organisations.c.id > after)
        return [to_membership(row) for row in await self._connection.execute(statement)]

    async def live_membership(
        self, user_id: UserId, organisation_id: OrganisationId
    ) -> Membership | None:
        """What a user is in an organisation; nothing when the user was deactivated."""
        values = {"of_user": user_id, "in_organisation": organisation_id}
        row = (await self._connection.execute(LIVE_MEMBERSHIP, values)).one_or_none()
        return None if row is None else to_membership(row)

    async def membership(
        self, user_id: UserId, organisation_id: OrganisationId
    ) -> Membership | None:
        """What a user is in an organisation."""
        return await self._one(
            _memberships(user_id).where(memberships.c.organisation_id == organisation_id)
        )

    async def first_membership(self, user_id: UserId) -> Membership | None:
        """What a user is in the organisation joined first: the personal one."""
        return await self._one(_memberships(user_id).order_by(memberships.c.created_at).limit(1))

    async def require_second_factor(self, user_id: UserId) -> bool:
        """Whether an organisation of the user requires a second factor."""
        statement = _memberships(user_id).where(
            organisations.c.sign_in_policy == SignInPolicy.SECOND_FACTOR_REQUIRED.value
        )
        return (await self._connection.execute(statement.limit(1))).one_or_none() is not None

    async def all_memberships(self, user_id: UserId) -> list[Membership]:
        """What a user is in all organisations, the first joined first."""
        statement = _memberships(user_id).order_by(memberships.c.created_at)
        return [to_membership(row) for row in await self._connection.execute(statement)]

    async def offering_codes(self, user_id: UserId) -> Membership | None:
        """What a user is in the first organisation that lets members log in by mail."""
        offering = _memberships(user_id).where(organisations.c.login_codes)
        return await self._one(offering.order_by(memberships.c.created_at).limit(1))

    async def _one(self, statement: Select[Any]) -> Membership | None:
        row = (await self._connection.execute(statement)).one_or_none()
        return None if row is None else to_membership(row)


def to_membership(row: Sequence[Any]) -> Membership:
    """A membership as it was read: the columns of ORGANISATION, then the role."""
    *organisation, role = row
    return Membership(_to_organisation(organisation), role)


def _to_organisation(row: Sequence[Any]) -> Organisation:
    id_, name, policy, login_codes = row
    return Organisation(id_, name, SignInPolicy(policy), login_codes)


def _memberships(user_id: UserId | BindParameter[UserId]) -> Select[Any]:
    return (
        select(*ORGANISATION, memberships.c.role)
        .join(memberships, memberships.c.organisation_id == organisations.c.id)
        .where(memberships.c.user_id == user_id)
    )


# What a user is in an organisation; no row when the user was deactivated. It is part of each
# refresh, so it is made once.
LIVE_MEMBERSHIP = (
    _memberships(bindparam("of_user"))
    .join(users, users.c.id == memberships.c.user_id)
    .where(
        memberships.c.organisation_id == bindparam("in_organisation"),
        users.c.deactivated_at.is_(None),
    )
)
