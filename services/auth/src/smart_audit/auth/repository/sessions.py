"""Sessions and their refresh tokens in the database."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, Select, bindparam, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from smart_audit.auth.domain import (
    Membership,
    OrganisationId,
    RefreshToken,
    Session,
    SessionId,
    UserId,
)
from smart_audit.auth.repository.organisations import LIVE_MEMBERSHIP, to_membership
from smart_audit.auth.tables import refresh_tokens, sessions

SESSION = (
    sessions.c.id,
    sessions.c.user_id,
    sessions.c.organisation_id,
    sessions.c.created_at,
    sessions.c.expires_at,
    sessions.c.authenticated_at,
    sessions.c.amr,
    sessions.c.last_used_at,
    sessions.c.address,
    sessions.c.user_agent,
    sessions.c.ended_at,
    sessions.c.impersonator_id,
    sessions.c.impersonation_reason,
)
TOKEN = (
    refresh_tokens.c.token_hash,
    refresh_tokens.c.session_id,
    refresh_tokens.c.expires_at,
    refresh_tokens.c.rotated_at,
)

REMEMBERED_ORIGINS = 50
ORIGINS = (
    select(sessions.c.address, sessions.c.user_agent)
    .where(sessions.c.user_id == bindparam("of_user"), sessions.c.impersonator_id.is_(None))
    .order_by(sessions.c.created_at.desc())
    .limit(REMEMBERED_ORIGINS)
)
# The statements of a refresh, made once: making them anew took a third of it.
FIND_TOKEN = (
    select(*TOKEN, *SESSION)
    .join(sessions, sessions.c.id == refresh_tokens.c.session_id)
    .where(refresh_tokens.c.token_hash == bindparam("token_hash"))
    .with_for_update()
)
ROTATE = LIVE_MEMBERSHIP.add_cte(
    update(refresh_tokens)
    .where(refresh_tokens.c.token_hash == bindparam("spent_hash"))
    .values(rotated_at=bindparam("at"))
    .cte("spent"),
    update(sessions)
    .where(sessions.c.id == bindparam("of_session"))
    .values(last_used_at=bindparam("at"), address=bindparam("used_from"))
    .cte("used"),
    insert(refresh_tokens)
    .values(
        token_hash=bindparam("following_hash"),
        session_id=bindparam("of_session"),
        expires_at=bindparam("until"),
    )
    .cte("added"),
)


class Sessions:
    """Sessions and their refresh tokens."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(self, session: Session) -> None:
        """Add a session."""
        await self._connection.execute(
            insert(sessions),
            {
                "id": session.id,
                "user_id": session.user_id,
                "organisation_id": session.organisation_id,
                "created_at": session.created_at,
                "expires_at": session.expires_at,
                "authenticated_at": session.authenticated_at,
                "amr": list(session.amr),
                "last_used_at": session.last_used_at,
                "address": session.address,
                "user_agent": session.user_agent,
                "impersonator_id": session.impersonator_id,
                "impersonation_reason": session.impersonation_reason,
            },
        )

    async def get(self, session_id: SessionId, *, lock: bool = False) -> Session | None:
        """A session; locked until the end of the transaction if asked."""
        statement = select(*SESSION).where(sessions.c.id == session_id)
        if lock:
            statement = statement.with_for_update()
        row = (await self._connection.execute(statement)).one_or_none()
        return None if row is None else _to_session(row)

    async def live(
        self,
        user_id: UserId,
        at: datetime,
        *,
        organisation_id: OrganisationId | None = None,
    ) -> list[Session]:
        """A user's sessions that have not ended, locked, the last used first.

        organisation_id: only those of one organisation.
        """
        statement = _live(at).where(sessions.c.user_id == user_id)
        if organisation_id is not None:
            statement = statement.where(sessions.c.organisation_id == organisation_id)
        statement = statement.order_by(sessions.c.last_used_at.desc(), sessions.c.id)
        return [_to_session(row) for row in await self._connection.execute(statement)]

    async def live_in(self, organisation_id: OrganisationId, at: datetime) -> list[Session]:
        """The sessions of an organisation that have not ended, locked."""
        statement = (
            _live(at).where(sessions.c.organisation_id == organisation_id).order_by(sessions.c.id)
        )
        return [_to_session(row) for row in await self._connection.execute(statement)]

    async def move(self, session: Session) -> None:
        """Save the organisation that a session is for."""
        await self._connection.execute(
            update(sessions)
            .where(sessions.c.id == session.id)
            .values(organisation_id=session.organisation_id)
        )

    async def origins(self, user_id: UserId) -> list[tuple[str, str]]:
        """(address, user agent) of a user's last sessions, ended ones included."""
        rows = await self._connection.execute(ORIGINS, {"of_user": user_id})
        return [(row.address, row.user_agent) for row in rows]

    async def end(self, session_ids: Sequence[SessionId], at: datetime) -> None:
        """Save the end of sessions. Their tokens have to be revoked besides."""
        await self._connection.execute(
            update(sessions).where(sessions.c.id.in_(session_ids)).values(ended_at=at)
        )

    async def authenticated(self, session: Session) -> None:
        """Save when and how the person has authenticated last."""
        await self._connection.execute(
            update(sessions)
            .where(sessions.c.id == session.id)
            .values(authenticated_at=session.authenticated_at, amr=list(session.amr))
        )

    async def add_token(self, token: RefreshToken) -> None:
        """Add a refresh token."""
        await self._connection.execute(
            insert(refresh_tokens),
            {
                "token_hash": token.token_hash,
                "session_id": token.session_id,
                "expires_at": token.expires_at,
            },
        )

    async def replace_tokens(self, token: RefreshToken) -> None:
        """Add a refresh token, instead of all that its session had."""
        await self._connection.execute(
            delete(refresh_tokens).where(refresh_tokens.c.session_id == token.session_id)
        )
        await self.add_token(token)

    async def find_token(self, token_hash: bytes) -> tuple[RefreshToken, Session] | None:
        """A refresh token by its hash, and its session; locked until the end of the transaction."""
        row = (await self._connection.execute(FIND_TOKEN, {"token_hash": token_hash})).one_or_none()
        if row is None:
            return None
        return RefreshToken(*row[: len(TOKEN)]), _to_session(row[len(TOKEN) :])

    async def rotate(
        self,
        token: RefreshToken,
        following: RefreshToken,
        session: Session,
        address: str,
        at: datetime,
    ) -> Membership | None:
        """Spend a refresh token, add its successor and note the use, in one statement.

        It gives what the user is in the organisation now, and None for who was deactivated. That
        is read here and not with the session: whoever changes it locks the session first, and what
        was read before our lock may have changed while we waited.
        """
        values = {
            "spent_hash": token.token_hash,
            "at": at,
            "used_from": address,
            "following_hash": following.token_hash,
            "of_session": following.session_id,
            "until": following.expires_at,
            "of_user": session.user_id,
            "in_organisation": session.organisation_id,
        }
        row = (await self._connection.execute(ROTATE, values)).one_or_none()
        return None if row is None else to_membership(row)


def _live(at: datetime) -> Select[Any]:
    return (
        select(*SESSION)
        .where(sessions.c.ended_at.is_(None), sessions.c.expires_at > at)
        .with_for_update()
    )


def _to_session(row: Row[Any] | Sequence[Any]) -> Session:
    values = list(row)
    values[6] = tuple(values[6])
    return Session(*values)
