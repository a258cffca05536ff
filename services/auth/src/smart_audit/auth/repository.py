"""The queries of auth. Repositories work in the transaction they are given and never commit."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import delete, func, insert, or_, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from smart_audit.auth.domain import (
    CanonicalEmail,
    Membership,
    Organisation,
    OrganisationId,
    RefreshToken,
    Session,
    SessionId,
    User,
    UserId,
    canonical,
)
from smart_audit.auth.tables import (
    memberships,
    organisations,
    outbox,
    refresh_tokens,
    sessions,
    signing_keys,
    users,
)

# Names of advisory locks, held to the end of a transaction.
SIGNING_KEYS_LOCK = 0x5341_0001
OUTBOX_LOCK = 0x5341_0002

USER = (
    users.c.id,
    users.c.email,
    users.c.first_name,
    users.c.last_name,
    users.c.password_hash,
    users.c.created_at,
)


class Users:
    """Users and what they are members of."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def add(self, user: User) -> bool:
        """Add a user. False when the e-mail address is taken."""
        statement = (
            upsert(users)
            .values(
                id=user.id,
                email=user.email,
                email_canonical=canonical(user.email),
                first_name=user.first_name,
                last_name=user.last_name,
                password_hash=user.password_hash,
                created_at=user.created_at,
            )
            .on_conflict_do_nothing(constraint="users_email_canonical_key")
            .returning(users.c.id)
        )
        return (await self._session.execute(statement)).one_or_none() is not None

    async def add_owned(
        self, organisation: Organisation, owner: UserId, role: str, at: datetime
    ) -> None:
        """Add an organisation with its first member."""
        await self._session.execute(
            insert(organisations).values(id=organisation.id, name=organisation.name, created_at=at)
        )
        await self._session.execute(
            insert(memberships).values(
                organisation_id=organisation.id, user_id=owner, role=role, created_at=at
            )
        )

    async def find(self, email: CanonicalEmail) -> tuple[User, OrganisationId] | None:
        """The user with this address, and the organisation joined first: the personal one."""
        statement = (
            select(*USER, memberships.c.organisation_id)
            .join(memberships, memberships.c.user_id == users.c.id)
            .where(users.c.email_canonical == email)
            .order_by(memberships.c.created_at)
            .limit(1)
        )
        row = (await self._session.execute(statement)).one_or_none()
        return None if row is None else (User(*row[:-1]), OrganisationId(row[-1]))

    async def member(
        self, user_id: UserId, organisation_id: OrganisationId
    ) -> tuple[User, Membership] | None:
        """A user, and what the user is in an organisation."""
        statement = (
            select(*USER, organisations.c.id, organisations.c.name, memberships.c.role)
            .join(memberships, memberships.c.user_id == users.c.id)
            .join(organisations, organisations.c.id == memberships.c.organisation_id)
            .where(users.c.id == user_id, organisations.c.id == organisation_id)
        )
        row = (await self._session.execute(statement)).one_or_none()
        if row is None:
            return None
        *user, organisation, name, role = row
        return User(*user), Membership(Organisation(organisation, name), role)

    async def set_password_hash(self, user_id: UserId, password_hash: str) -> None:
        """Replace a hash by a stronger one of the same password."""
        await self._session.execute(
            update(users).where(users.c.id == user_id).values(password_hash=password_hash)
        )


class Sessions:
    """Sessions and their refresh tokens."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def add(self, session: Session) -> None:
        """Add a session."""
        await self._session.execute(
            insert(sessions).values(
                id=session.id,
                user_id=session.user_id,
                organisation_id=session.organisation_id,
                created_at=session.created_at,
                expires_at=session.expires_at,
            )
        )

    async def get(self, session_id: SessionId, *, lock: bool = False) -> Session | None:
        """A session; locked until the end of the transaction if asked."""
        statement = select(
            sessions.c.id,
            sessions.c.user_id,
            sessions.c.organisation_id,
            sessions.c.created_at,
            sessions.c.expires_at,
            sessions.c.ended_at,
        ).where(sessions.c.id == session_id)
        if lock:
            statement = statement.with_for_update()
        row = (await self._session.execute(statement)).one_or_none()
        return None if row is None else Session(*row)

    async def end(self, session: Session) -> None:
        """Save the end of a session."""
        await self._session.execute(
            update(sessions).where(sessions.c.id == session.id).values(ended_at=session.ended_at)
        )

    async def add_token(self, token: RefreshToken) -> None:
        """Add a refresh token."""
        await self._session.execute(
            insert(refresh_tokens).values(
                token_hash=token.token_hash,
                session_id=token.session_id,
                expires_at=token.expires_at,
            )
        )

    async def find_token(self, token_hash: bytes) -> RefreshToken | None:
        """A refresh token by its hash, locked until the end of the transaction."""
        statement = (
            select(
                refresh_tokens.c.token_hash,
                refresh_tokens.c.session_id,
                refresh_tokens.c.expires_at,
                refresh_tokens.c.rotated_at,
            )
            .where(refresh_tokens.c.token_hash == token_hash)
            .with_for_update()
        )
        row = (await self._session.execute(statement)).one_or_none()
        return None if row is None else RefreshToken(*row)

    async def spend_token(self, token: RefreshToken, at: datetime) -> None:
        """Note that a refresh token has been exchanged."""
        await self._session.execute(
            update(refresh_tokens)
            .where(refresh_tokens.c.token_hash == token.token_hash)
            .values(rotated_at=at)
        )


@dataclass(frozen=True, slots=True)
class SigningKeyRow:
    """A signing key as it is stored; the private key is sealed."""

    id: str
    public_key: bytes
    sealed_private_key: bytes
    created_at: datetime
    activates_at: datetime


class SigningKeys:
    """The keys that sign access tokens."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def lock(self) -> None:
        """Keep other processes from adding a key until the end of the transaction."""
        await self._session.execute(select(func.pg_advisory_xact_lock(SIGNING_KEYS_LOCK)))

    async def published(self, at: datetime) -> list[SigningKeyRow]:
        """The keys that are not retired, the newest first."""
        statement = (
            select(
                signing_keys.c.id,
                signing_keys.c.public_key,
                signing_keys.c.sealed_private_key,
                signing_keys.c.created_at,
                signing_keys.c.activates_at,
            )
            .where(or_(signing_keys.c.retires_at.is_(None), signing_keys.c.retires_at > at))
            .order_by(signing_keys.c.activates_at.desc())
        )
        return [SigningKeyRow(*row) for row in await self._session.execute(statement)]

    async def add(self, key: SigningKeyRow) -> None:
        """Publish a key."""
        await self._session.execute(
            insert(signing_keys).values(
                id=key.id,
                public_key=key.public_key,
                sealed_private_key=key.sealed_private_key,
                created_at=key.created_at,
                activates_at=key.activates_at,
            )
        )


class Outbox:
    """Audit events that wait to be sent, in the order in which they were decided."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def add(self, event: Mapping[str, Any]) -> None:
        """Add an event, in the transaction of the decision that it tells of."""
        await self._session.execute(insert(outbox).values(event=event))

    async def lock(self) -> None:
        """Keep other processes from sending until the end of the transaction."""
        await self._session.execute(select(func.pg_advisory_xact_lock(OUTBOX_LOCK)))

    async def next(self, limit: int) -> list[tuple[int, dict[str, Any]]]:
        """The first events that wait: (position, event)."""
        statement = (
            select(outbox.c.position, outbox.c.event)
            .where(outbox.c.refusal.is_(None))
            .order_by(outbox.c.position)
            .limit(limit)
        )
        return [(row.position, row.event) for row in await self._session.execute(statement)]

    async def remove(self, positions: Sequence[int]) -> None:
        """Forget events that are in the log."""
        await self._session.execute(delete(outbox).where(outbox.c.position.in_(positions)))

    async def set_aside(self, position: int, refusal: str) -> None:
        """Keep an event that audit refused, out of the way of the others."""
        await self._session.execute(
            update(outbox).where(outbox.c.position == position).values(refusal=refusal)
        )


class Repositories:
    """All repositories of one transaction."""

    def __init__(self, session: AsyncSession) -> None:
        self.users = Users(session)
        self.sessions = Sessions(session)
        self.signing_keys = SigningKeys(session)
        self.outbox = Outbox(session)
