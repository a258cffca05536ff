"""All that is held about a person, for the person to see and to end."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Select, delete, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from smart_audit.auth.domain import OWNER, OrganisationId, UserId, canonical
from smart_audit.auth.tables import (
    invitations,
    memberships,
    organisations,
    outbox,
    passkeys,
    recovery_codes,
    service_accounts,
    sessions,
    totp_secrets,
)


@dataclass(frozen=True, slots=True)
class Standing:
    """What would become of an organisation without one of its members."""

    organisation_id: OrganisationId
    name: str
    others: int
    """Its other members."""
    other_owners: int


class Persons:
    """What belongs to one person, over all tables."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def held(self, user_id: UserId, email: str) -> dict[str, list[dict[str, Any]]]:
        """What is held about a person beside the profile, but for secrets; plain values."""
        return {kind: await self._rows(query) for kind, query in _held(user_id, email).items()}

    async def standings(self, user_id: UserId) -> list[Standing]:
        """The person's organisations, locked until the transaction ends: so are their members."""
        mine = select(memberships.c.organisation_id).where(memberships.c.user_id == user_id)
        lock = (
            select(organisations.c.id)
            .where(organisations.c.id.in_(mine))
            .order_by(organisations.c.id)
            .with_for_update()
        )
        await self._connection.execute(lock)
        other = memberships.c.user_id != user_id
        statement = (
            select(
                organisations.c.id,
                organisations.c.name,
                func.count().filter(other),
                func.count().filter(other, memberships.c.role == OWNER),
            )
            .join(memberships, memberships.c.organisation_id == organisations.c.id)
            .where(organisations.c.id.in_(mine))
            .group_by(organisations.c.id)
        )
        return [Standing(*row) for row in await self._connection.execute(statement)]

    async def machines(self, organisation_ids: Sequence[OrganisationId]) -> list[UUID]:
        """The service accounts of organisations."""
        statement = select(service_accounts.c.id).where(
            service_accounts.c.organisation_id.in_(organisation_ids)
        )
        return list((await self._connection.execute(statement)).scalars())

    async def delete_organisations(self, organisation_ids: Sequence[OrganisationId]) -> None:
        """Delete organisations with all that is theirs."""
        await self._connection.execute(
            delete(organisations).where(organisations.c.id.in_(organisation_ids))
        )

    async def forget(self, user_id: UserId, email: str) -> None:
        """Delete what holds the person's data and does not go with the user."""
        await self._connection.execute(
            delete(invitations).where(invitations.c.email_canonical == canonical(email))
        )
        await self._connection.execute(
            delete(outbox).where(
                outbox.c.refusal.is_not(None), outbox.c.event["actor_id"].astext == str(user_id)
            )
        )

    async def _rows(self, query: Select[Any]) -> list[dict[str, Any]]:
        rows = (await self._connection.execute(query)).mappings()
        return [{name: _plain(value) for name, value in row.items()} for row in rows]


def _held(user_id: UserId, email: str) -> dict[str, Select[Any]]:
    """What to tell of each kind. Columns are named one by one: a secret must not slip in."""
    return {
        "memberships": select(
            memberships.c.organisation_id,
            organisations.c.name.label("organisation"),
            memberships.c.role,
            memberships.c.created_at,
        )
        .join(organisations, organisations.c.id == memberships.c.organisation_id)
        .where(memberships.c.user_id == user_id)
        .order_by(memberships.c.created_at),
        "sessions": select(
            sessions.c.id,
            sessions.c.organisation_id,
            sessions.c.created_at,
            sessions.c.last_used_at,
            sessions.c.expires_at,
            sessions.c.ended_at,
            sessions.c.authenticated_at,
            sessions.c.amr,
            sessions.c.address,
            sessions.c.user_agent,
            sessions.c.impersonator_id,
            sessions.c.impersonation_reason,
        )
        .where(sessions.c.user_id == user_id)
        .order_by(sessions.c.created_at),
        "authenticator_apps": select(totp_secrets.c.created_at, totp_secrets.c.confirmed_at).where(
            totp_secrets.c.user_id == user_id
        ),
        "passkeys": select(
            passkeys.c.id,
            passkeys.c.name,
            passkeys.c.backed_up,
            passkeys.c.created_at,
            passkeys.c.last_used_at,
        )
        .where(passkeys.c.user_id == user_id)
        .order_by(passkeys.c.created_at),
        "recovery_codes": select(recovery_codes.c.created_at, recovery_codes.c.used_at).where(
            recovery_codes.c.user_id == user_id
        ),
        "invitations": select(
            invitations.c.id,
            invitations.c.organisation_id,
            invitations.c.email,
            invitations.c.role,
            (invitations.c.invited_by == user_id).label("sent"),
            invitations.c.created_at,
            invitations.c.expires_at,
            invitations.c.settled_at,
            invitations.c.settlement,
        )
        .where(
            or_(
                invitations.c.invited_by == user_id,
                invitations.c.email_canonical == canonical(email),
            )
        )
        .order_by(invitations.c.created_at),
    }


def _plain(value: Any) -> Any:
    """A value as JSON knows it."""
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value) if isinstance(value, UUID) else value
