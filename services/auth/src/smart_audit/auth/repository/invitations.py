"""Invitations in the database."""

from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from smart_audit.auth.domain import CanonicalEmail, OrganisationId, canonical
from smart_audit.auth.members import Invitation, InvitationId, Settlement
from smart_audit.auth.tables import invitations

OPEN = select(
    invitations.c.id,
    invitations.c.organisation_id,
    invitations.c.email,
    invitations.c.role,
    invitations.c.invited_by,
    invitations.c.created_at,
    invitations.c.expires_at,
).where(invitations.c.settled_at.is_(None))


class Invitations:
    """Invitations that wait for an answer; settled ones are kept and not shown."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(self, invitation: Invitation, token_hash: bytes) -> bool:
        """Add an invitation. False when the address has an open one."""
        statement = (
            insert(invitations)
            .values(
                id=invitation.id,
                organisation_id=invitation.organisation_id,
                email=invitation.email,
                email_canonical=canonical(invitation.email),
                role=invitation.role,
                token_hash=token_hash,
                invited_by=invitation.invited_by,
                created_at=invitation.created_at,
                expires_at=invitation.expires_at,
            )
            .on_conflict_do_nothing(
                index_elements=["organisation_id", "email_canonical"],
                index_where=invitations.c.settled_at.is_(None),
            )
            .returning(invitations.c.id)
        )
        return (await self._connection.execute(statement)).one_or_none() is not None

    async def get(
        self, organisation_id: OrganisationId, invitation_id: InvitationId
    ) -> Invitation | None:
        """An open invitation, locked until the end of the transaction."""
        statement = OPEN.where(
            invitations.c.organisation_id == organisation_id, invitations.c.id == invitation_id
        ).with_for_update()
        row = (await self._connection.execute(statement)).one_or_none()
        return None if row is None else Invitation(*row)

    async def find(self, token_hash: bytes) -> Invitation | None:
        """The open invitation that a token belongs to."""
        statement = OPEN.where(invitations.c.token_hash == token_hash)
        row = (await self._connection.execute(statement)).one_or_none()
        return None if row is None else Invitation(*row)

    async def page(
        self, organisation_id: OrganisationId, after: InvitationId | None, limit: int
    ) -> list[Invitation]:
        """The open invitations after one, the oldest first."""
        statement = (
            OPEN.where(invitations.c.organisation_id == organisation_id)
            .order_by(invitations.c.id)
            .limit(limit)
        )
        if after is not None:
            statement = statement.where(invitations.c.id > after)
        return [Invitation(*row) for row in await self._connection.execute(statement)]

    async def renew(self, invitation: Invitation, token_hash: bytes) -> None:
        """Give an invitation a new token, and save its new expiry."""
        await self._connection.execute(
            update(invitations)
            .where(invitations.c.id == invitation.id)
            .values(token_hash=token_hash, expires_at=invitation.expires_at)
        )

    async def settle(self, invitation: Invitation, settlement: Settlement, at: datetime) -> None:
        """Note how an invitation ended."""
        await self._connection.execute(
            update(invitations)
            .where(invitations.c.id == invitation.id)
            .values(settled_at=at, settlement=settlement.value)
        )

    async def expire(
        self, organisation_id: OrganisationId, email: CanonicalEmail, at: datetime
    ) -> None:
        """Settle an address's open invitation if it is too late to answer it."""
        await self._connection.execute(
            update(invitations)
            .where(
                invitations.c.organisation_id == organisation_id,
                invitations.c.email_canonical == email,
                invitations.c.settled_at.is_(None),
                invitations.c.expires_at <= at,
            )
            .values(settled_at=at, settlement=Settlement.EXPIRED.value)
        )
